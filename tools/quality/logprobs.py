"""Token log-probabilities of fixed text, through the very endpoint that was measured.

Three dialects: vLLM's prompt_logprobs, the older echo with logprobs, and llama.cpp's grammar.
A server may keep its prefix cache on: vLLM does not read it for requests with prompt_logprobs
(sampling_params.py, skip_reading_prefix_cache, 0.32), so every token is really computed.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from knowledge.errors import QualityUnavailable
from knowledge.types import Choices, QualityPlan, QualityResult
from tools.load.http import fetch
from tools.load.target import Target
from tools.load.tokenizer import Tokenizer
from tools.quality import forced
from tools.quality.text import Piece, held_out, nested, sha256_of

IN_FLIGHT = 4
REQUEST_TIMEOUT_S = 300.0
_LOWEST = -700.0
"""Below this exp() underflows: servers write it (vLLM -9999) where they had minus infinity."""
_ROUNDING = 1e-3
PROBE = 16
"""Tokens, or characters of a text: fewer than llama.cpp's n-gram speculation looks up by (24)."""
_GRAMMAR = "grammar+logprobs"
_HINT = "Скорость измерена, но качество этой конфигурации не подтверждено"


Enough = Callable[[QualityResult], bool]


class _NotSupportedError(Exception):
    """The server answers, but not in this dialect."""

    refused = False


async def score(
    target: Target,
    plan: QualityPlan,
    tokenizer: Tokenizer | None,
    enough: Enough | None = None,
) -> QualityResult:
    """Score the plan's held-out pieces by POST /v1/completions, a few requests at a time.

    `enough` looks at what is scored after every `plan.chunks` pieces and may end it before
    `plan.most`. A plan that may grow ends once its time is over and `plan.least` are scored.
    Raises QualityUnavailable when the server speaks no dialect, fails, or
    answers with anything but one finite log-probability per token.
    """
    pieces = nested(held_out(tokenizer, plan.most, plan.chunk_tokens), plan.chunks)
    started = time.monotonic()
    reader = await Reader.find(target, plan.top, pieces[0])
    done = [reader.first]
    while True:
        look = plan.chunks * (1 + len(done) // plan.chunks)
        done += await reader.read(pieces[len(done) : min(look, len(done) + IN_FLIGHT)])
        seconds = time.monotonic() - started
        late = plan.grow_to is not None and seconds >= plan.grow_s and len(done) >= plan.least
        if not (late or len(done) in (look, len(pieces))):
            continue
        for one in done:
            reader.refuse_drafts(one.logprobs)
        result = _result(pieces[: len(done)], done, seconds)
        if late or len(done) == len(pieces) or (enough and enough(result)):
            return result


@dataclass(frozen=True)
class Reader:
    """Scores pieces in the dialect that the server was found to speak."""

    target: Target
    dialect: "Dialect"
    first: "Scored"
    """Of the piece that `find` was given."""

    @classmethod
    async def find(cls, target: Target, top: int, piece: Piece) -> "Reader":
        """Raises QualityUnavailable when the server speaks none.

        It is found out with the beginning of the piece: what a server has read whole, its
        speculation may draft, and llama.cpp gives no probability of a draft that is accepted.
        """
        dialect, first = await _find_dialect(target, top, piece[:PROBE])
        if len(piece) > PROBE:
            try:
                first = await _ask(target, dialect, piece)
            except _NotSupportedError as error:
                raise _unusable(str(error)) from error
        return cls(target, dialect, first)

    def refuse_drafts(self, logprobs: Sequence[float]) -> None:
        """Raises QualityUnavailable where speculation wrote the text instead of the model."""
        if self.dialect.name == _GRAMMAR and forced.drafted(logprobs):
            raise _unusable("вероятностей токенов, которые угадала спекуляция, сервер не сообщает")

    async def read(self, pieces: Sequence[Piece]) -> list["Scored"]:
        """In order, IN_FLIGHT at a time; the first failure cancels the others and is raised."""
        gate = asyncio.Semaphore(IN_FLIGHT)

        async def one(piece: Piece) -> Scored:
            async with gate:
                try:
                    return await _ask(self.target, self.dialect, piece)
                except _NotSupportedError as error:
                    raise _unusable(str(error)) from error

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(piece)) for piece in pieces]
        except* QualityUnavailable as failures:
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]


async def server_token_ids(target: Target, text: str) -> list[int] | None:
    """How the server itself splits a text, the first token left out; None where it does not say."""
    try:
        answer = await _post(target, {"prompt_logprobs": 0}, text)
        entries = answer["choices"][0]["prompt_logprobs"][1:]
        return [int(next(iter(entry))) for entry in entries if len(entry) == 1]
    except (_NotSupportedError, KeyError, IndexError, TypeError, ValueError):
        return None


def _result(pieces: Sequence[Piece], scored: Sequence["Scored"], seconds: float) -> QualityResult:
    chunks = tuple(one.logprobs for one in scored)
    tokens = sum(len(chunk) for chunk in chunks)
    mean = math.fsum(value for chunk in chunks for value in chunk) / tokens
    complete = all(one.top for one in scored)
    return QualityResult(
        tokens=tokens,
        mean_logprob=mean,
        perplexity=math.exp(-mean),
        chunk_logprobs=chunks,
        text_sha256=sha256_of(pieces),
        seconds=seconds,
        chunk_ids=tuple(sha256_of((piece,))[:16] for piece in pieces),
        chunk_top=tuple(one.top for one in scored) if complete else (),
    )


@dataclass(frozen=True)
class Scored:
    """One piece: per token that has one before it, its log-probability and the likeliest there."""

    logprobs: tuple[float, ...]
    top: tuple[Choices, ...] = ()


@dataclass(frozen=True)
class Dialect:
    """How log-probabilities are asked for, and where they stand in the answer."""

    name: str
    fields: Callable[[int, Piece], dict[str, object]]
    """Of the number of likeliest tokens and the piece."""
    read: Callable[[dict[str, Any], Piece], list[Any]]
    read_top: Callable[[dict[str, Any], int], list[Choices]]
    top: int = 0


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


def _prompt_top(answer: dict[str, Any], top: int) -> list[Choices]:
    """Of every token but the first; the token itself comes along even where it is not likely."""
    entries = answer["choices"][0]["prompt_logprobs"][1:]
    return [
        likeliest({name: one["logprob"] for name, one in entry.items()}, top) for entry in entries
    ]


def _echoed(answer: dict[str, Any], piece: Piece) -> list[Any]:
    """The legacy form: the prompt's tokens, then the one that had to be generated."""
    values = answer["choices"][0]["logprobs"]["token_logprobs"]
    prompt = answer["usage"]["prompt_tokens"] if isinstance(piece, str) else len(piece)
    if len(values) - prompt not in (0, 1):
        raise ValueError(f"{len(values)} values for {prompt} tokens")
    return list(values[:prompt])


def _echoed_top(answer: dict[str, Any], top: int) -> list[Choices]:
    entries = answer["choices"][0]["logprobs"].get("top_logprobs") or ()
    return [likeliest(entry, top) for entry in entries[1:] if entry]


def _no_top(_answer: dict[str, Any], _top: int) -> list[Choices]:
    return []


def likeliest(found: dict[str, float], top: int) -> Choices:
    """The `top` likeliest of what a server returned for one place."""
    ranked = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:top]
    return tuple((name, round(float(value), 5)) for name, value in ranked)


_DIALECTS = (
    # The id of the scored token tells it from the alternatives; a piece of text has none.
    Dialect(
        "prompt_logprobs",
        lambda top, piece: {"prompt_logprobs": 0 if isinstance(piece, str) else top},
        _prompt_logprobs,
        _prompt_top,
    ),
    Dialect(
        "echo+logprobs",
        lambda top, _: {"echo": True, "logprobs": max(1, top)},
        _echoed,
        _echoed_top,
    ),
    # Its likeliest tokens go by text, those of the others by id: only the loss is compared.
    Dialect(_GRAMMAR, lambda _, piece: forced.fields(piece), forced.read, _no_top),
)


async def _find_dialect(target: Target, top: int, piece: Piece) -> tuple[Dialect, Scored]:
    """The first dialect that the server speaks, with what it gave for `piece`.

    A server may limit how many likely tokens it returns: then none are asked for.
    """
    reasons = []
    for dialect in _DIALECTS:
        for asked in dict.fromkeys((top, 0)):
            spoken = replace(dialect, top=asked)
            try:
                return spoken, await _ask(target, spoken, piece)
            except _NotSupportedError as error:
                reasons.append(f"{dialect.name}: {error}")
                if not error.refused:
                    break
    raise _unusable(f"сервер не оценивает текст запроса ({'; '.join(dict.fromkeys(reasons))})")


async def _ask(target: Target, dialect: Dialect, piece: Piece) -> Scored:
    """Log-probabilities of every token of `piece` that has one before it."""
    answer = await _post(target, dialect.fields(dialect.top, piece), piece)
    try:
        values = dialect.read(answer, piece)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise _NotSupportedError("в ответе нет значений по токенам запроса") from error
    if len(values) < 2 or values[0] is not None:
        raise _NotSupportedError(f"{len(values)} значений, и первое не пустое")
    logprobs = tuple(_checked(value) for value in values[1:])
    return Scored(logprobs, _top_of(dialect, answer, len(logprobs)))


def _top_of(dialect: Dialect, answer: dict[str, Any], places: int) -> tuple[Choices, ...]:
    """Empty unless there are at least two candidates at every place."""
    if dialect.top < 1:
        return ()
    try:
        found = dialect.read_top(answer, dialect.top)[:places]
    except (KeyError, TypeError, ValueError, AttributeError):
        return ()
    whole = len(found) == places and all(len(one) >= min(2, dialect.top) for one in found)
    return tuple(found) if whole else ()


def _checked(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _unusable(f"вместо логарифма вероятности пришло {value!r}")
    if not _LOWEST < value <= _ROUNDING:
        raise _unusable(f"значение {value} не может быть логарифмом вероятности")
    return min(float(value), 0.0)


async def _post(target: Target, asked: dict[str, object], piece: Piece) -> dict[str, Any]:
    fields: dict[str, object] = {
        **target.extra,
        "model": target.model,
        "prompt": piece,
        # Not 0: several servers refuse it. The token that is generated is not looked at.
        "max_tokens": 1,
        "temperature": 0,
        "stream": False,
        "stream_options": None,
        **asked,
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
        problem = _NotSupportedError(f"HTTP {status}: {said}")
        problem.refused = True
        raise problem
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
