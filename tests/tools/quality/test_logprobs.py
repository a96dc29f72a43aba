import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from knowledge.errors import QualityUnavailable
from knowledge.types import QualityPlan
from tests.tools.quality.server import (
    Answer,
    ScoringServer,
    echo_style,
    indifferent,
    logprob,
    vllm_style,
)
from tools.load.target import Target
from tools.load.tokenizer import Tokenizer
from tools.quality.logprobs import IN_FLIGHT, score
from tools.quality.text import held_out

PLAN = QualityPlan(chunks=6, chunk_tokens=30)


def expected(pieces: tuple[Any, ...]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(logprob(t, i) for i, t in enumerate(p) if i) for p in pieces)


@pytest.mark.parametrize("style", [vllm_style, echo_style])
async def test_each_dialect_gives_one_value_per_token(
    style: Callable[[dict[str, Any]], Answer], tokenizer: Tokenizer
) -> None:
    async with ScoringServer(style) as server:
        result = await score(Target(server.url, "m"), PLAN, tokenizer)
    assert result.chunk_logprobs == expected(held_out(tokenizer, 6, 30))
    assert result.tokens == 6 * 29
    mean = sum(map(sum, result.chunk_logprobs)) / result.tokens
    assert result.mean_logprob == pytest.approx(mean)
    assert result.perplexity == pytest.approx(math.exp(-mean))


@pytest.mark.parametrize("style", [vllm_style, echo_style])
async def test_without_a_tokenizer_the_server_splits_the_text(
    style: Callable[[dict[str, Any]], Answer],
) -> None:
    async with ScoringServer(style) as server:
        result = await score(Target(server.url, "m"), PLAN, None)
    pieces = tuple(str(piece).encode() for piece in held_out(None, 6, 30))
    assert result.chunk_logprobs == expected(pieces)


async def test_the_bos_itself_is_not_scored_and_the_first_word_is(
    bos_tokenizer: Tokenizer,
) -> None:
    async with ScoringServer(vllm_style) as server:
        result = await score(Target(server.url, "m"), PLAN, bos_tokenizer)
    assert result.tokens == 6 * 30


async def test_a_few_requests_at_a_time_and_the_targets_own_fields_kept(
    tokenizer: Tokenizer,
) -> None:
    target = Target("", "m", extra={"lora": "a", "stream": True, "max_tokens": 99})
    async with ScoringServer(vllm_style) as server:
        await score(Target(server.url, "m", extra=target.extra), PLAN, tokenizer)
    assert 1 < server.most_in_flight <= IN_FLIGHT
    body = server.bodies[0]
    assert (body["lora"], body["stream"], body["max_tokens"]) == ("a", False, 1)
    assert (body["temperature"], body["model"]) == (0, "m")


def spoiled(change: Callable[[list[Any]], Any]) -> Callable[[dict[str, Any]], Answer]:
    """Right in everything but what `change` does to the list of entries."""

    def answer(body: dict[str, Any]) -> Answer:
        status, content = vllm_style(body)
        if status != 200:
            return status, content
        value = json.loads(content)
        change(value["choices"][0]["prompt_logprobs"])
        return 200, json.dumps(value).encode()

    return answer


def put(value: object) -> Callable[[list[Any]], None]:
    def change(entries: list[Any]) -> None:
        next(iter(entries[5].values()))["logprob"] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        put(float("nan")),
        put(float("-inf")),
        put(-9999.0),
        put(0.5),
        put("-1.5"),
        put(True),
        put(None),
        lambda entries: entries.pop(),
        lambda entries: entries.append(entries[-1]),
        lambda entries: entries.__setitem__(4, None),
        lambda entries: entries.__setitem__(0, entries[1]),
        lambda entries: entries.__setitem__(3, {"999": {"logprob": -1.0}}),
        lambda entries: entries.clear(),
    ],
    ids=[
        "nan",
        "minus infinity",
        "vLLM's -9999",
        "above zero",
        "text",
        "bool",
        "null",
        "too few",
        "too many",
        "hole",
        "first scored",
        "other token",
        "empty",
    ],
)
async def test_what_is_no_logprob_of_this_text_is_never_a_number(
    change: Callable[[list[Any]], Any], tokenizer: Tokenizer
) -> None:
    async with ScoringServer(spoiled(change)) as server:
        with pytest.raises(QualityUnavailable):
            await score(Target(server.url, "m"), PLAN, tokenizer)


async def test_a_fault_in_a_later_piece_spoils_the_whole(tokenizer: Tokenizer) -> None:
    calls = 0

    def late(body: dict[str, Any]) -> Answer:
        nonlocal calls
        calls += 1
        return vllm_style(body) if calls < 4 else (503, b"busy")

    async with ScoringServer(late) as server:
        with pytest.raises(QualityUnavailable, match="503"):
            await score(Target(server.url, "m"), PLAN, tokenizer)


async def test_a_server_that_speaks_neither_dialect_is_said_to(tokenizer: Tokenizer) -> None:
    async with ScoringServer(indifferent) as server:
        with pytest.raises(QualityUnavailable, match="не оценивает текст") as caught:
            await score(Target(server.url, "m"), PLAN, tokenizer)
    assert "prompt_logprobs" in caught.value.message
    assert "echo" in caught.value.message
    assert len(server.bodies) == 3


async def test_a_dead_server_is_named_as_such(tokenizer: Tokenizer) -> None:
    async with ScoringServer(indifferent) as server:
        url = server.url
    with pytest.raises(QualityUnavailable, match="соединение"):
        await score(Target(url, "m"), PLAN, tokenizer)


async def test_the_key_is_not_in_the_error(tokenizer: Tokenizer) -> None:
    async with ScoringServer(lambda _: (401, b"bad key sk-secret")) as server:
        with pytest.raises(QualityUnavailable) as caught:
            await score(Target(server.url, "m", api_key="sk-secret"), PLAN, tokenizer)
    assert "sk-secret" not in str(caught.value)
    assert "401" in caught.value.message
