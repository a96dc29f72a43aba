"""Several processes do what one does: all of the load, in one outcome."""

from collections.abc import Callable
from pathlib import Path

import pytest

from knowledge.errors import BadInput
from knowledge.types import ClosedLoop, Constant, Workload
from tests.tools.load.server import ExactServer, Script
from tools.load.fleet import LocalPipe
from tools.load.generator import run_round
from tools.load.prompts import PromptSource
from tools.load.target import Target
from tools.load.tokenizer import Tokenizer

Make = Callable[..., Workload]


async def test_streams_are_shared_out(workload: Make, tokenizer: Tokenizer) -> None:
    asked = workload(arrival=ClosedLoop(concurrency=5))
    async with ExactServer(Script(ttft_s=0.005, itl_s=0.001, usage="final")) as server:
        outcome = await run_round(
            Target(server.url, "exact"), asked, PromptSource(asked, tokenizer, 1),
            round_index=2, duration_s=0.6, drain_s=2, seed=1, processes=2,
        )  # fmt: skip
    assert outcome.client.processes == 2
    assert server.most_open == 5
    assert {s.stream for s in outcome.samples} == set(range(5))
    assert [s.index for s in outcome.samples] == list(range(len(outcome.samples)))
    assert len(outcome.samples) == len(server.log) > 2 * 16 * 5  # more than was handed over first
    assert len({str(s.body["prompt"]) for s in server.log}) == len(server.log)
    assert all(s.ok and s.output_tokens == s.asked_output_tokens for s in outcome.samples)
    assert {s.round for s in outcome.samples} == {2}


async def test_arrivals_are_shared_out(workload: Make) -> None:
    asked = workload(arrival=Constant(rate_per_s=50, max_in_flight=20))
    async with ExactServer(Script(ttft_s=0.005, itl_s=0.001)) as server:
        outcome = await run_round(
            Target(server.url, "exact"), asked, PromptSource(asked, None, 1),
            round_index=0, duration_s=0.5, drain_s=2, seed=1, processes=2,
        )  # fmt: skip
    due = [s.intended_s for s in outcome.samples]
    assert due == pytest.approx([i / 50 for i in range(25)], abs=1e-6)
    assert outcome.client.asked == 25


async def test_a_server_that_is_not_there_is_bad_input(workload: Make) -> None:
    asked = workload()
    with pytest.raises(BadInput, match="не отвечает"):
        await run_round(
            Target("http://127.0.0.1:9", "x"), asked, PromptSource(asked, None, 1),
            round_index=0, duration_s=0.5, drain_s=2, seed=1, processes=2,
        )  # fmt: skip


async def test_a_trace_with_arrivals_is_not_shared_out_silently(
    workload: Make, tmp_path: Path
) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text('{"prompt": "one", "output_tokens": 4}\n', encoding="utf-8")
    asked = workload(arrival=Constant(rate_per_s=50), trace_path=str(path))
    async with ExactServer() as server:
        with pytest.raises(BadInput, match="не делятся"):
            await run_round(
                Target(server.url, "exact"), asked, PromptSource(asked, None, 1), round_index=0,
                duration_s=0.5, drain_s=2, seed=1, processes=2, spawn=LocalPipe.spawn,
            )  # fmt: skip
    assert server.log == []
