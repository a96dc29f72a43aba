"""Token log-probabilities of fixed text, through the very endpoint that was measured.

Three dialects: vLLM's prompt_logprobs, the older echo with logprobs, and for llama.cpp, which
scores no prompt, the text generated under a grammar that allows nothing else. A server may keep its
prefix cache on: vLLM does not read it for requests with prompt_logprobs (sampling_params.py,
skip_reading_prefix_cache, 0.32), so every token is really computed.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from knowledge.errors import QualityUnavailable
from knowledge.types import QualityPlan, QualityResult
from tools.load.http import fetch
from tools.load.target import Target
from tools.load.tokenizer import Tokenizer
from tools.quality import forced
from tools.quality.text import Piece, held_out, sha256_of

IN_FLIGHT = 4
REQUEST_TIMEOUT_S = 300.0
_LOWEST = -700.0
"""Below this exp() underflows: servers write it (vLLM -9999) where they had minus infinity."""
_ROUNDING = 1e-3
_HINT = "Скорость измерена, но качество этой конфигурации не подтверждено"


class _NotSupportedError(Exception):
    """The server answers, but not in this dialect."""


async def score(target: Target, plan: QualityPlan, tokenizer: Tokenizer | None) -> QualityResult:
    """Score the plan's held-out pieces by POST /v1/completions, a few requests at a time.

    Raises QualityUnavailable when the server speaks neither dialect, fails, or answers with
    anything but one finite log-probability per token.
    """
    pieces = held_out(tokenizer, plan.chunks, plan.chunk_tokens)
    started = time.monotonic()
    dialect, first = await _find_dialect(target, pieces[0])
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def one(piece: Piece) -> tuple[float, ...]:
        async with gate:
            try:
                return await _ask(target, dialect, piece)
            except _NotSupportedError as error:
                raise _unusable(str(error)) from error

    rest = await _gather([one(piece) for piece in pieces[1:]])
    return _result((first, *rest), sha256_of(pieces), time.monotonic() - started)


async def _gather(jobs: Sequence[Any]) -> list[tuple[float, ...]]:
    """All results in order; the first failure cancels the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in jobs]
    except* QualityUnavailable as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def _result(
    chunks: tuple[tuple[float, ...], ...], text_sha256: str, seconds: float
) -> QualityResult:
    tokens = sum(len(chunk) for chunk in chunks)
    mean = math.fsum(value for chunk in chunks for value in chunk) / tokens
    return QualityResult(
        tokens=tokens,
        mean_logprob=mean,
        perplexity=math.exp(-mean),
        chunk_logprobs=chunks,
        text_sha256=text_sha256,
        seconds=seconds,
    )


class _Dialect:
    """The fields that ask for log-probabilities, and where they stand in the answer."""

    def __init__(
        self,
        name: str,
        fields: Callable[[Piece], dict[str, object]],
        read: Callable[[dict[str, Any], Piece], list[Any]],
    ) -> None:
        self.name = name
        self.fields = fields
        self.read = read


def _prompt_logprobs(answer: dict[str, Any], piece: Piece) -> list[Any]:
    """vLLM: per prompt token a mapping {id: {logprob}}, the first None."""
    entries = answer["choices"][0]["prompt_logprobs"]
    if isinstance(piece, str):
        # prompt_logprobs=0 gives the token itself and no alternatives.
        if any(entry is not None and len(entry) != 1 for entry in entries):
            raise ValueError("more than one token in an entry")
        return [entry and next(iter(entry.values()))["logprob"] for entry in entries]
    return [
        entry and entry[str(token)]["logprob"] for token, entry in zip(piece, entries, strict=True)
    ]


def _echoed(answer: dict[str, Any], piece: Piece) -> list[Any]:
    """The legacy form: the prompt's tokens, then the one that had to be generated."""
    values = answer["choices"][0]["logprobs"]["token_logprobs"]
    prompt = answer["usage"]["prompt_tokens"] if isinstance(piece, str) else len(piece)
    if len(values) - prompt not in (0, 1):
        raise ValueError(f"{len(values)} values for {prompt} tokens")
    return list(values[:prompt])


_DIALECTS = (
    _Dialect("prompt_logprobs", lambda _: {"prompt_logprobs": 0}, _prompt_logprobs),
    _Dialect("echo+logprobs", lambda _: {"echo": True, "logprobs": 1}, _echoed),
    _Dialect("grammar+logprobs", forced.fields, forced.read),
)


async def _find_dialect(target: Target, piece: Piece) -> tuple[_Dialect, tuple[float, ...]]:
    """The first dialect that the server speaks, with what it gave for `piece`."""
    reasons = []
    for dialect in _DIALECTS:
        try:
            return dialect, await _ask(target, dialect, piece)
        except _NotSupportedError as error:
            reasons.append(f"{dialect.name}: {error}")
    raise _unusable(f"сервер не оценивает текст запроса ({'; '.join(reasons)})")


async def _ask(target: Target, dialect: _Dialect, piece: Piece) -> tuple[float, ...]:
    """Log-probabilities of every token of `piece` that has one before it."""
    answer = await _post(target, dialect, piece)
    try:
        values = dialect.read(answer, piece)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise _NotSupportedError("в ответе нет значений по токенам запроса") from error
    if len(values) < 2 or values[0] is not None:
        raise _NotSupportedError(f"{len(values)} значений, и первое не пустое")
    return tuple(_checked(value) for value in values[1:])


def _checked(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _unusable(f"вместо логарифма вероятности пришло {value!r}")
    if not _LOWEST < value <= _ROUNDING:
        raise _unusable(f"значение {value} не может быть логарифмом вероятности")
    return min(float(value), 0.0)


async def _post(target: Target, dialect: _Dialect, piece: Piece) -> dict[str, Any]:
    fields: dict[str, object] = {
        **target.extra,
        "model": target.model,
        "prompt": piece,
        # Not 0: several servers refuse it. The token that is generated is not looked at.
        "max_tokens": 1,
        "temperature": 0,
        "stream": False,
        "stream_options": None,
        **dialect.fields(piece),
    }
    body = orjson.dumps({k: v for k, v in fields.items() if v is not None})
    try:
        response = await fetch(
            target.base_url,
            "/v1/completions",
            method="POST",
            body=body,
            api_key=target.api_key,
            timeout_s=REQUEST_TIMEOUT_S,
        )
    except TimeoutError as error:
        raise _unusable(f"сервер не ответил за {REQUEST_TIMEOUT_S:g} с") from error
    except OSError as error:
        raise _unusable(f"соединение с сервером прервано ({error})") from error
    return _parsed(target, response.status, response.content)


def _parsed(target: Target, status: int, content: bytes) -> dict[str, Any]:
    said = target.redact(" ".join(content[:200].decode("utf-8", "replace").split()))
    if 400 <= status < 500:
        raise _NotSupportedError(f"HTTP {status}: {said}")
    if status != 200:
        raise _unusable(f"сервер ответил HTTP {status}: {said}")
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        # NaN is no JSON: a server that computes it is caught here.
        raise _unusable(f"ответ сервера не разобрать: {said}") from error
    if not isinstance(answer, dict):
        raise _NotSupportedError(f"в ответе нет JSON-объекта: {said}")
    return answer


def _unusable(reason: str) -> QualityUnavailable:
    return QualityUnavailable(f"качество не проверить: {reason}", _HINT)
