"""One question to a server, answered as a whole: for quality, never for timing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import orjson

from knowledge.errors import AdvisorError, QualityUnavailable
from knowledge.types import GreedyAnswer
from tools.load.http import fetch
from tools.load.target import Target
from tools.quality.logprobs import IN_FLIGHT

_TIMEOUT_S = 300.0
A = TypeVar("A")
T = TypeVar("T")


@dataclass(frozen=True)
class Prompted:
    """A prompt with its name: text to continue, or the turns of a chat as (role, content)."""

    name: str
    prompt: str = ""
    messages: tuple[tuple[str, str], ...] = ()
    max_tokens: int = 24

    @property
    def chat(self) -> bool:
        return bool(self.messages)


async def in_turn(
    call: Callable[[A], Awaitable[T]], asked: Sequence[A], at_once: int = IN_FLIGHT
) -> list[T]:
    """All results in order, a few at a time; the first AdvisorError cancels the others."""
    gate = asyncio.Semaphore(at_once)

    async def one(item: A) -> T:
        async with gate:
            return await call(item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in asked]
    except* AdvisorError as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def ask(
    target: Target, prompted: Prompted, more: dict[str, object] | None = None
) -> GreedyAnswer | None:
    """The answer to one prompt; None where the server refuses it (no chat template, say).

    Raises QualityUnavailable where the connection breaks or the server fails.
    """
    body: dict[str, object] = {
        **target.extra,
        "model": target.model,
        "max_tokens": prompted.max_tokens,
        "temperature": 0,
        "stream": False,
        "stream_options": None,
        **(more or {}),
    }
    if prompted.chat:
        body["messages"] = [{"role": role, "content": text} for role, text in prompted.messages]
    else:
        body["prompt"] = prompted.prompt
    try:
        response = await fetch(
            target.base_url,
            "/v1/chat/completions" if prompted.chat else "/v1/completions",
            method="POST",
            body=orjson.dumps({k: v for k, v in body.items() if v is not None}),
            api_key=target.api_key,
            timeout_s=_TIMEOUT_S,
        )
    except (OSError, TimeoutError) as error:
        raise QualityUnavailable(
            f"сервер не ответил на контрольный запрос ({error})", ""
        ) from error
    if 400 <= response.status < 500:
        return None
    if response.status != 200:
        raise QualityUnavailable(f"контрольный запрос: сервер ответил HTTP {response.status}", "")
    return _read(prompted, response.content)


def _read(prompted: Prompted, content: bytes) -> GreedyAnswer:
    try:
        answer = orjson.loads(content)
        choice, usage = answer["choices"][0], answer.get("usage") or {}
        text = (choice["message"].get("content") or "") if prompted.chat else choice["text"]
        return GreedyAnswer(
            prompt_id=prompted.name,
            chat=prompted.chat,
            text=text,
            finish_reason=choice.get("finish_reason"),
            prompt_tokens=usage.get("prompt_tokens"),
            completion_tokens=usage.get("completion_tokens"),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise QualityUnavailable("ответ на контрольный запрос не разобрать", "") from error
