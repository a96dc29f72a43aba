"""Text scored by a server that only says how likely its own tokens were."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from knowledge.errors import QualityUnavailable
from knowledge.types import QualityPlan
from tests.tools.quality.server import Answer, ScoringServer, logprob
from tools.load import Target, Tokenizer
from tools.quality import forced
from tools.quality.logprobs import score
from tools.quality.text import held_out

PLAN = QualityPlan(chunks=4, chunk_tokens=20)


def llamacpp_style(body: dict[str, Any]) -> Answer:
    """Generates what the grammar allows, or a token of its own."""
    tokens = [int(t) for t in re.findall(r"<\[(\d+)\]>", body.get("grammar", ""))] or [5]
    steps = [
        {"id": token, "token": "?", "logprob": logprob(token, place)}
        for place, token in enumerate(tokens[: body["max_tokens"]], start=len(body["prompt"]))
    ]
    answer = {"choices": [{"text": "x", "logprobs": {"content": steps}}]}
    return 200, json.dumps(answer).encode()


async def test_every_token_is_scored_where_no_prompt_is(tokenizer: Tokenizer) -> None:
    async with ScoringServer(llamacpp_style) as server:
        result = await score(Target(server.url, "m"), PLAN, tokenizer)
    pieces = held_out(tokenizer, 4, 20)
    assert result.chunk_logprobs == tuple(
        tuple(logprob(t, i) for i, t in enumerate(p) if i) for p in pieces
    )


async def test_other_tokens_than_the_text_are_no_score(tokenizer: Tokenizer) -> None:
    def ignores_the_grammar(body: dict[str, Any]) -> Answer:
        return llamacpp_style({**body, "grammar": ""})

    async with ScoringServer(ignores_the_grammar) as server:
        with pytest.raises(QualityUnavailable, match="не оценивает"):
            await score(Target(server.url, "m"), PLAN, tokenizer)


async def test_without_token_ids_nothing_can_be_forced() -> None:
    async with ScoringServer(llamacpp_style) as server:
        with pytest.raises(QualityUnavailable, match="не оценивает"):
            await score(Target(server.url, "m"), PLAN, None)
    assert forced.fields("text") == {}


def drafting() -> Callable[[dict[str, Any]], Answer]:
    """As llama.cpp with n-gram speculation: a long text that it has read it drafts, as certain."""
    known: set[tuple[int, ...]] = set()

    def answer(body: dict[str, Any]) -> Answer:
        forced_ids = [int(t) for t in re.findall(r"<\[(\d+)\]>", body.get("grammar", ""))]
        text = (*body["prompt"], *forced_ids)
        status, raw = llamacpp_style(body)
        if text in known and forced_ids and len(text) > 16:
            told = json.loads(raw)
            for step in told["choices"][0]["logprobs"]["content"]:
                step["logprob"] = 0.0
            raw = json.dumps(told).encode()
        known.add(text)
        return status, raw

    return answer


async def test_a_text_is_scored_before_the_server_can_draft_it(tokenizer: Tokenizer) -> None:
    async with ScoringServer(drafting()) as server:
        result = await score(Target(server.url, "m"), PLAN, tokenizer)
        assert all(value < 0 for chunk in result.chunk_logprobs for value in chunk)
        with pytest.raises(QualityUnavailable, match="спекуляция"):
            await score(Target(server.url, "m"), PLAN, tokenizer)


@pytest.mark.parametrize(("certain", "believed"), [(1, True), (2, False)])
async def test_a_few_certain_tokens_are_believed(
    certain: int, believed: bool, tokenizer: Tokenizer
) -> None:
    """Of 19 scored ones in a piece: a model may be sure of a word, and not of many."""

    def sure(body: dict[str, Any]) -> Answer:
        status, raw = llamacpp_style(body)
        told = json.loads(raw)
        for step in told["choices"][0]["logprobs"]["content"][:certain]:
            step["logprob"] = 0.0
        return status, json.dumps(told).encode()

    async with ScoringServer(sure) as server:
        asked = score(Target(server.url, "m"), PLAN.replace(chunk_tokens=21), tokenizer)
        if believed:
            assert (await asked).tokens == 4 * 20
        else:
            with pytest.raises(QualityUnavailable, match="спекуляция"):
                await asked
