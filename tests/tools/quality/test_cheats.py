"""Servers that cheat, measured as any other: each is caught by the check made for it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tokenizers import Tokenizer as RawTokenizer
from tokenizers import decoders, models, pre_tokenizers

from knowledge.types import ClosedLoop, EngineConfig, Lengths, QualityResult, Workload
from tests.tools.load.server import WORDS, ExactServer, Script
from tools.load.generator import run_round
from tools.load.prompts import PromptSource
from tools.load.target import Target
from tools.load.tokenizer import Tokenizer
from tools.quality.integrity import check

HONEST = Script(ttft_s=0.01, itl_s=0.001, own_text=True)
WORKLOAD = Workload(
    name="cheats",
    arrival=ClosedLoop(concurrency=2),
    input_tokens=Lengths(low=20, high=30),
    output_tokens=Lengths(low=32, high=32),
)


def word_tokenizer() -> Tokenizer:
    """One word is one token, as the server counts."""
    names = [word.strip() for word in WORDS]
    raw = RawTokenizer(models.WordLevel({n: i for i, n in enumerate([*names, "?"])}, unk_token="?"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    raw.decoder = decoders.WordPiece()
    return Tokenizer(raw)


async def failing(script: Script, workload: Workload = WORKLOAD) -> dict[str, str]:
    """Checks that did not pass, and what they saw."""
    words = word_tokenizer()
    async with ExactServer(script) as server:
        outcome = await run_round(
            Target(server.url, "exact"), workload, PromptSource(workload, words, 1),
            round_index=0, duration_s=0.6, drain_s=2, seed=0,
        )  # fmt: skip
    result = check(
        outcome.samples, workload, model_name="exact", served_models=["exact"], in_force={},
        config=EngineConfig(engine="e"), recounts=outcome.recounts,
    )  # fmt: skip
    return {c.name.split("(")[1].rstrip(")"): c.seen for c in result.checks if not c.passed}


async def test_an_honest_server_passes() -> None:
    assert await failing(HONEST) == {}


@pytest.mark.parametrize(
    ("cheat", "caught"),
    [
        ({"stops_at": 12}, "output length"),  # truncates, or ignores ignore_eos
        ({"burst": True}, "streaming"),
        ({"own_text": False}, "cached answers"),
        ({"claims": 2.0, "stops_at": 16}, "usage"),  # says 32, sends 16
        ({"claims": 0.5}, "usage"),
        ({"fault": "error-event", "fault_after": 5}, "error rate"),
        ({"fault": "no-stream"}, "error rate"),  # an error object as 200
        ({"fault": "truncated", "usage": "none"}, "error rate"),
    ],
)
async def test_a_cheat_is_caught(cheat: dict[str, Any], caught: str) -> None:
    assert caught in await failing(replace(HONEST, **cheat))


async def test_an_answer_that_ends_by_itself_is_named() -> None:
    seen = await failing(replace(HONEST, stops_at=12))
    assert "ignore_eos не действует" in seen["output length"]


async def test_a_few_errors_among_good_answers_are_still_seen() -> None:
    assert "error rate" in await failing(replace(HONEST, status=500, fault_every=9))


def scored(value: Callable[[int], float]) -> QualityResult:
    values = tuple(value(i) for i in range(400))
    return QualityResult(
        tokens=400, mean_logprob=-1, perplexity=2.7, chunk_logprobs=(values,), text_sha256="t",
        seconds=1,
    )  # fmt: skip


@pytest.mark.parametrize(("noise", "caught"), [(0.1, False), (0.9, True)])
def test_another_model_behind_the_same_name_has_another_fingerprint(
    noise: float, caught: bool
) -> None:
    def base(i: int) -> float:
        return -((i * 7919) % 101) / 20

    def other(i: int) -> float:
        return (1 - noise) * base(i) - noise * ((i * 104729) % 97) / 20

    result = check(
        [], WORKLOAD, model_name="m", served_models=["m"], in_force={},
        config=EngineConfig(engine="e"), quality=scored(other), reference=scored(base),
    )  # fmt: skip
    finding = {c.name.split("(")[1].rstrip(")"): c for c in result.checks}["logit fingerprint"]
    assert finding.passed is not caught
