"""What runs behind a URL: its models, whether it is ready, and which server it is."""

import asyncio
import time
from collections.abc import Callable

import orjson

from knowledge.errors import BadInput, EngineFailed
from knowledge.types import Cause
from tools.load.http import Response, fetch, parse_url

_POLL_S = 0.25
_PROBE_TIMEOUT_S = 5.0
_OWNERS = {
    "vllm": "vllm",
    "sglang": "sglang",
    "llamacpp": "llama.cpp",
    "tensorrt_llm": "tensorrt-llm",
}
_SIGNS = (
    ("/version", "version", "vllm"),
    ("/get_server_info", "version", "sglang"),
    ("/props", "default_generation_settings", "llama.cpp"),
    ("/info", "max_concurrent_requests", "tgi"),
    ("/api/version", "version", "ollama"),
)
"""Path, a field of its answer, and the server that has both. SGLang has no /version."""


async def models(base_url: str, api_key: str | None = None) -> list[str]:
    """Ids of the served models. Raises BadInput when there is no such endpoint."""
    address = parse_url(base_url)
    try:
        response = await fetch(base_url, "/v1/models", api_key=api_key)
    except (OSError, TimeoutError) as error:
        raise BadInput(
            f"сервер не отвечает: {address}", "Проверьте адрес и запущен ли сервер"
        ) from error
    if response.status in (401, 403):
        raise BadInput(f"сервер не принял ключ API: {address}", "Проверьте ключ API")
    names = _model_names(response)
    if names is None:
        raise BadInput(
            f"это не OpenAI-совместимый сервер: {address} (/v1/models: {response.status})",
            "Проверьте адрес; путь до /v1 указывается без имени метода",
        )
    return names


async def wait_ready(
    base_url: str, alive: Callable[[], bool], deadline_s: float, path: str = "/v1/models"
) -> float:
    """Poll the path until it answers; seconds waited.

    `alive` says whether the server's process still runs. Raises EngineFailed (CRASH, TIMEOUT).
    """
    begun = time.monotonic()
    while True:
        waited = time.monotonic() - begun
        if not alive():
            raise EngineFailed(Cause.CRASH, "сервер завершился, так и не начав отвечать")
        if waited >= deadline_s:
            raise EngineFailed(Cause.TIMEOUT, f"сервер не ответил за {deadline_s:.0f} с")
        left = deadline_s - waited
        try:
            response = await fetch(base_url, path, timeout_s=min(_PROBE_TIMEOUT_S, max(left, 0.01)))
        except (OSError, TimeoutError):
            response = Response()
        if response.status in (200, 401, 403):
            return time.monotonic() - begun
        await asyncio.sleep(min(_POLL_S, left))


async def server_kind(base_url: str, api_key: str | None = None) -> str:
    """Best guess at the server, e.g. "vllm" or "llama.cpp"; "unknown" where nothing tells."""
    listing = await _json(base_url, "/v1/models", api_key)
    for model in _entries(listing):
        owner = str(model.get("owned_by", "")).lower()
        if owner in _OWNERS:
            return _OWNERS[owner]
    for path, sign, kind in _SIGNS:
        answer = await _json(base_url, path, api_key)
        if isinstance(answer, dict) and sign in answer:
            return kind
    return "unknown"


async def _json(base_url: str, path: str, api_key: str | None) -> object:
    try:
        response = await fetch(base_url, path, api_key=api_key, timeout_s=_PROBE_TIMEOUT_S)
        return orjson.loads(response.content) if response.status == 200 else None
    except (OSError, TimeoutError, orjson.JSONDecodeError):
        return None


def _entries(listing: object) -> list[dict[str, object]]:
    data = listing.get("data") if isinstance(listing, dict) else None
    return [m for m in data if isinstance(m, dict)] if isinstance(data, list) else []


def _model_names(response: Response) -> list[str] | None:
    try:
        listing = orjson.loads(response.content) if response.status == 200 else None
    except orjson.JSONDecodeError:
        return None
    if not isinstance(listing, dict) or not isinstance(listing.get("data"), list):
        return None
    return [str(model["id"]) for model in _entries(listing) if "id" in model]
