"""In front of a prefill server and a decode server of vLLM: each request visits both.

`python -m bench._prefill_decode_proxy PREFILL_URL DECODE_URL PORT`. The prefill server gets the
prompt with one token to write and keeps its KV; what it says of that KV goes to the decode server
with the request itself, and the answer streams through. Protocol: vLLM, disaggregated prefilling.
"""

import json
import sys
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=512)
_PATIENCE_S = 300.0
_REMOTE_DECODE = {
    "do_remote_decode": True,
    "do_remote_prefill": False,
    "remote_engine_id": None,
    "remote_block_ids": None,
    "remote_host": None,
    "remote_port": None,
}


def build(prefill: httpx.AsyncClient, decode: httpx.AsyncClient) -> FastAPI:
    """Completions are split; everything else is the decode server's."""
    app = FastAPI()

    @app.post("/v1/completions")
    @app.post("/v1/chat/completions")
    async def split(request: Request) -> Response:
        asked: dict[str, Any] = await request.json()
        headers = {"X-Request-Id": uuid.uuid4().hex}
        path = request.url.path
        first = await prefill.post(path, json=_only_prefill(asked), headers=headers)
        if first.status_code != 200:
            return Response(first.content, first.status_code, media_type="application/json")
        whole = asked | {"kv_transfer_params": first.json()["kv_transfer_params"]}
        sent = decode.build_request("POST", path, json=whole, headers=headers)
        answer = await decode.send(sent, stream=True)
        return StreamingResponse(
            _through(answer), answer.status_code, media_type=answer.headers.get("content-type")
        )

    @app.get("/{path:path}")
    async def other(path: str) -> Response:
        found = await decode.get(f"/{path}")
        kind = found.headers.get("content-type", "application/json")
        return Response(found.content, found.status_code, media_type=kind)

    @app.exception_handler(httpx.HTTPError)
    async def gone(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": {"message": f"сервер за прокси: {error!r}"}}, 502)

    return app


def _only_prefill(asked: dict[str, Any]) -> dict[str, Any]:
    limits = dict.fromkeys(("max_tokens", "max_completion_tokens", "min_tokens"), 1)
    short = {name: limits.get(name, value) for name, value in asked.items()}
    short.pop("stream_options", None)
    return short | {"stream": False, "kv_transfer_params": _REMOTE_DECODE}


async def _through(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


def main() -> None:
    prefill_url, decode_url, port = sys.argv[1:]
    print(json.dumps({"prefill": prefill_url, "decode": decode_url}), flush=True)
    clients = [
        httpx.AsyncClient(base_url=url, timeout=_PATIENCE_S, limits=_LIMITS)
        for url in (prefill_url, decode_url)
    ]
    app = build(*clients)
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning")


if __name__ == "__main__":
    main()
