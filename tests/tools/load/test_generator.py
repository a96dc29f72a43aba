"""Samples against what the server wrote down: the two must tell the same story."""

import asyncio
import hashlib
import json
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from knowledge.errors import BadInput
from knowledge.types import ClosedLoop, Lengths, Poisson, RequestSample, Workload
from tests.tools.load.server import BASIC_FIELDS, ExactServer, Script
from tools.load.generator import RoundOutcome, run_round
from tools.load.prompts import Prompt, PromptSource
from tools.load.session import Session
from tools.load.target import NO_CONTINUOUS_USAGE, NO_IGNORE_EOS, Target
from tools.load.tokenizer import Tokenizer

Make = Callable[..., Workload]
SLACK_S = 0.2
"""A busy machine may stop the client between its look at the clock and its sending."""


async def load(
    server: ExactServer,
    workload: Workload,
    tokenizer: Tokenizer | None = None,
    *,
    duration_s: float = 0.3,
    drain_s: float = 2.0,
    target: Target | None = None,
    on_sample: Callable[[RequestSample], None] | None = None,
) -> RoundOutcome:
    return await run_round(
        target or Target(server.url, "exact"),
        workload,
        PromptSource(workload, tokenizer, 1),
        round_index=3,
        duration_s=duration_s,
        drain_s=drain_s,
        seed=1,
        on_sample=on_sample,
    )


@pytest.fixture
def paired(workload: Make, tmp_path: Path) -> Workload:
    """Every request asks for another number of tokens, which tells it apart in the log."""
    path = tmp_path / "paired.jsonl"
    rows = [{"prompt": f"prompt {i}", "output_tokens": 4 + i} for i in range(200)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return workload(trace_path=str(path))


def assert_agrees(server: ExactServer, samples: tuple[RequestSample, ...]) -> None:
    """Every sample tells what the log does of its request: tokens, text, and times.

    Seen from the client an answer takes as long as from the server, and the way there and back.
    """
    log = {served.body["max_tokens"]: served for served in server.log}
    assert len(log) == len(server.log) == len(samples) > 2
    lateness = []
    for sample in samples:
        served = log[sample.asked_output_tokens]
        assert sample.ok
        assert sample.output_tokens == sum(n for _, n in served.sent)
        assert sample.text_sha256 == hashlib.sha256(served.text.encode()).hexdigest()
        assert sum(sample.chunk_tokens) == sample.output_tokens
        assert len(sample.itl_ms) == sample.output_tokens - 1
        assert sample.first_token_s is not None
        assert sample.last_token_s is not None
        true_ttft = served.sent[0][0] - served.received
        assert sample.first_token_s - sample.sent_s >= true_ttft
        lateness.append(sample.first_token_s - sample.sent_s - true_ttft)
        true_span = served.sent[-1][0] - served.sent[0][0]
        lateness.append(abs(sample.last_token_s - sample.first_token_s - true_span))
        assert sample.last_token_s <= sample.end_s
    assert statistics.median(lateness) < 0.01


@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("usage", ["continuous", "final", "none"])
@pytest.mark.parametrize("per_chunk", [1, 4])
async def test_samples_agree_with_the_log(
    paired: Workload, tokenizer: Tokenizer, chat: bool, usage: str, per_chunk: int
) -> None:
    script = Script(usage=usage, per_chunk=per_chunk, split_seed=5, itl_s=0.002)
    async with ExactServer(script) as server:
        target = Target(server.url, "exact", endpoint="chat" if chat else "completions")
        outcome = await load(
            server,
            paired,
            None if usage == "none" and per_chunk == 1 else tokenizer,
            target=target,
            duration_s=0.15,
        )
    if usage == "none" and per_chunk == 4:
        counted = {tokenizer.count(served.text) for served in server.log}
        assert {s.output_tokens for s in outcome.samples} == counted  # all there is to go by
    else:
        assert_agrees(server, outcome.samples)


async def test_the_opening_chunk_without_text_is_no_token(workload: Make) -> None:
    async with ExactServer(Script(ttft_s=0.12, role_first=True)) as server:
        target = Target(server.url, "exact", endpoint="chat")
        outcome = await load(server, workload(), target=target, duration_s=0.05)
    for sample in outcome.samples:
        assert sample.first_token_s is not None
        assert sample.first_token_s - sample.sent_s >= 0.12
        assert len(sample.chunk_times_s) == sample.asked_output_tokens


async def test_closed_loop_keeps_its_streams_busy_on_kept_connections(workload: Make) -> None:
    seen: list[RequestSample] = []
    async with ExactServer(Script(ttft_s=0.005, itl_s=0.001)) as server:
        asked = workload(arrival=ClosedLoop(concurrency=4))
        outcome = await load(server, asked, on_sample=seen.append)
    assert server.connections == 4
    assert server.most_open == 4
    assert {s.stream for s in outcome.samples} == {0, 1, 2, 3}
    assert [s.index for s in outcome.samples] == list(range(len(outcome.samples)))
    assert {s.round for s in outcome.samples} == {3}
    assert len(outcome.samples) > 8
    assert sorted(seen, key=lambda s: s.index) == list(outcome.samples)
    assert outcome.loop_lag_p99_ms >= 0
    for stream in range(4):
        own = [s for s in outcome.samples if s.stream == stream]
        assert all(a.end_s <= b.sent_s for a, b in pairwise(own))
    assert all(s.intended_s == s.sent_s < 0.3 + SLACK_S for s in outcome.samples)


async def test_what_is_sent_is_what_was_asked(workload: Make, tokenizer: Tokenizer) -> None:
    async with ExactServer(Script()) as server:
        target = Target(server.url, "exact", api_key="sk-1", extra={"top_k": 1})
        outcome = await load(server, workload(), tokenizer, target=target, duration_s=0.05)
    for sample, served in zip(outcome.samples, server.log, strict=True):
        assert served.headers["authorization"] == "Bearer sk-1"
        assert served.body["temperature"] == 0
        assert served.body["ignore_eos"] is True
        assert served.body["top_k"] == 1
        assert served.body["stream_options"] == {
            "include_usage": True,
            "continuous_usage_stats": True,
        }
        assert tokenizer.count(str(served.body["prompt"])) == sample.asked_input_tokens
        assert sample.input_tokens == 7  # what the server says, not what was asked
        assert sample.finish_reason == "length"


async def test_connections_that_the_server_closes_are_opened_again(paired: Workload) -> None:
    script = Script(ttft_s=0.01, itl_s=0.002, framing="until-close")
    async with ExactServer(script) as server:
        outcome = await load(server, paired)
    assert server.connections >= len(outcome.samples) > 4
    assert_agrees(server, outcome.samples)


async def test_a_kept_connection_closed_while_idle_costs_no_request(paired: Workload) -> None:
    async with ExactServer(Script(ttft_s=0.01, itl_s=0.002, close_after_answer=True)) as server:
        outcome = await load(server, paired)
    assert len(outcome.samples) > 4
    assert_agrees(server, outcome.samples)


async def test_a_kept_connection_closed_in_the_moment_of_sending_is_tried_once_more(
    workload: Make,
) -> None:
    async with ExactServer(Script(ttft_s=0.01, drops_second=True)) as server:
        outcome = await load(server, workload())
    assert len(outcome.samples) > 4
    assert server.connections == len(outcome.samples)
    assert all(s.ok for s in outcome.samples)


async def test_what_was_asked_in_time_is_tried_once_more_after_the_last_moment_to_ask(
    workload: Make,
) -> None:
    prompt = Prompt("three words here", 3, 4)
    async with ExactServer(Script(drops_second=True)) as server:
        session = Session(Target(server.url, "exact"), workload())
        first = await session.ask(prompt)
        session.stop_at = time.perf_counter()
        second = await session.ask(prompt)
        session.cut_at = time.perf_counter()
        third = await session.ask(prompt)
        await session.close()
    assert (first.error, second.error) == (None, None)
    assert third.error is not None, "the drain is over too"
    assert server.connections == 2


@pytest.mark.parametrize(
    ("accepts", "stream_options", "level"),
    [
        (BASIC_FIELDS | {"stream_options", "ignore_eos"}, {"include_usage"}, NO_CONTINUOUS_USAGE),
        (BASIC_FIELDS | {"stream_options"}, {"include_usage"}, NO_IGNORE_EOS),
    ],
)
async def test_fields_that_a_server_refuses_are_left_out_and_that_is_remembered(
    workload: Make, accepts: frozenset[str], stream_options: set[str], level: int
) -> None:
    script = Script(ttft_s=0.01, accepts=accepts, stream_options=frozenset(stream_options))
    async with ExactServer(script) as server:
        target = Target(server.url, "exact")
        first = await load(server, workload(), target=target)
        refused = sum(served.refused for served in server.log)
        second = await load(server, workload(), target=target)
    assert all(s.ok for s in (*first.samples, *second.samples))
    assert target.dialect.level == level
    assert 0 < refused <= 2 * level
    assert sum(served.refused for served in server.log) == refused


async def test_a_refusal_with_every_field_left_out_is_an_error(workload: Make) -> None:
    async with ExactServer(Script(status=400)) as server:
        target = Target(server.url, "exact")
        outcome = await load(server, workload(), target=target, duration_s=0.1)
    assert {s.error for s in outcome.samples} == {"http-400"}
    assert target.dialect.level == 0


async def test_poisson_keeps_its_schedule_when_the_server_is_slow(workload: Make) -> None:
    """The intended times do not wait for answers, nor for the cap on what is in flight."""
    asked = workload(arrival=Poisson(rate_per_s=60, max_in_flight=2))
    async with ExactServer(Script(ttft_s=0.05, itl_s=0.001)) as server:
        outcome = await load(server, asked, duration_s=0.5)
    assert server.most_open == 2
    sent = [s for s in outcome.samples if s.error is None]
    kept = [s for s in outcome.samples if s.error == "cut"]
    assert len(sent) + len(kept) == len(outcome.samples)
    assert kept
    assert all(s.intended_s <= s.sent_s for s in outcome.samples)
    assert all(s.sent_s < 0.5 + SLACK_S for s in sent)
    assert all(s.sent_s >= 0.5 for s in kept)
    assert max(s.sent_s - s.intended_s for s in sent) > 0.05
    intended = [s.intended_s for s in outcome.samples]
    assert intended == sorted(intended)
    assert 10 < len(intended) < 60


async def test_poisson_is_seeded_per_round(workload: Make) -> None:
    asked = workload(arrival=Poisson(rate_per_s=100), output_tokens=Lengths(low=1, high=1))
    schedules = []
    async with ExactServer(Script(ttft_s=0.001)) as server:
        for index in (0, 0, 1):
            outcome = await run_round(
                Target(server.url, "exact"),
                asked,
                PromptSource(asked, None, 1),
                round_index=index,
                duration_s=0.2,
                drain_s=1,
                seed=4,
            )
            schedules.append([round(s.intended_s, 6) for s in outcome.samples])
    assert schedules[0] == schedules[1] != schedules[2]


async def test_a_trace_is_replayed_at_its_own_times(workload: Make, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = [{"prompt": f"p{i}", "output_tokens": 2, "arrival_s": 5 + i / 10} for i in range(9)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    asked = workload(arrival=Poisson(rate_per_s=1), trace_path=str(path))
    async with ExactServer(Script(ttft_s=0.005)) as server:
        outcome = await load(server, asked, duration_s=0.35)
    assert [round(s.intended_s, 3) for s in outcome.samples] == [0, 0.1, 0.2, 0.3]
    assert [s.body["prompt"] for s in server.log] == ["p0", "p1", "p2", "p3"]


async def test_a_server_that_is_not_there_is_bad_input(workload: Make) -> None:
    async with ExactServer() as server:
        url = server.url
    gone = Target(url, "exact", api_key="sk-secret")
    with pytest.raises(BadInput, match="не отвечает") as caught:
        await load(server, workload(), target=gone)
    assert caught.value.hint
    assert "sk-secret" not in str(caught.value)


async def test_a_key_that_no_header_can_hold_is_bad_input(workload: Make) -> None:
    async with ExactServer() as server:
        target = Target(server.url, "exact", api_key="sk\r\nX: y")
        with pytest.raises(BadInput, match="ключе API") as caught:
            await load(server, workload(), target=target)
    assert "sk" not in str(caught.value)
    assert not server.log


async def test_cancelling_a_round_leaves_nothing_behind(workload: Make) -> None:
    async with ExactServer(Script(fault="silent")) as server:
        before = asyncio.all_tasks()
        task = asyncio.create_task(load(server, workload(), duration_s=30))
        while len(server.log) < 2:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        tasks_of_the_server = {t for t in asyncio.all_tasks() if "_connection" in repr(t)}
        assert asyncio.all_tasks() - tasks_of_the_server <= before


@pytest.mark.parametrize("drain_s", [0.0, 0.2])
async def test_the_round_ends_by_itself(workload: Make, drain_s: float) -> None:
    begun = time.monotonic()
    async with ExactServer(Script(fault="drip", itl_s=0.01)) as server:
        outcome = await load(server, workload(), duration_s=0.1, drain_s=drain_s)
    assert time.monotonic() - begun < 3
    assert {s.error for s in outcome.samples} == {"cut"}
    assert len(outcome.samples) == 2
    assert all(s.first_token_s is not None for s in outcome.samples)
    if drain_s:
        assert all((s.output_tokens or 0) > s.asked_output_tokens for s in outcome.samples)


async def test_streams_begin_out_of_step(workload: Make) -> None:
    made = workload(arrival=ClosedLoop(concurrency=4), output_tokens=Lengths(low=8, high=8))
    async with ExactServer(Script()) as server:
        samples = (await load(server, made)).samples
    firsts = sorted(s.asked_output_tokens for s in samples if s.index < 4)
    assert firsts == [2, 4, 6, 8]
    assert {s.asked_output_tokens for s in samples if s.index >= 4} == {8}


async def _until_enough(
    workload: Workload, duration_s: float, said: list[int], after: int
) -> RoundOutcome:
    def enough(samples: Sequence[RequestSample]) -> bool:
        said.append(len(samples))
        return len(said) >= after

    async with ExactServer() as server:
        return await run_round(
            Target(server.url, "exact"), workload, PromptSource(workload, None, 1),
            round_index=0, duration_s=duration_s, drain_s=2.0, seed=1, enough=enough,
        )  # fmt: skip


async def test_a_round_ends_once_enough_is_seen_and_no_answer_is_cut(
    workload: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.load.round._LEAST_SETTLED_S", 0.0)
    monkeypatch.setattr("tools.load.round._LOOK_S", 0.05)
    said: list[int] = []
    outcome = await _until_enough(workload(arrival=ClosedLoop(concurrency=2)), 8.0, said, 2)
    assert outcome.ended_s
    assert 4.0 <= outcome.ended_s < 8.0
    assert said[0] > 0
    assert all(sample.ok for sample in outcome.samples)
    assert max(sample.sent_s for sample in outcome.samples) <= outcome.ended_s + SLACK_S


async def test_an_open_loop_and_a_short_round_are_never_ended_early(workload: Make) -> None:
    said: list[int] = []
    closed = await _until_enough(workload(arrival=ClosedLoop(concurrency=2)), 0.4, said, 1)
    opened = await _until_enough(workload(arrival=Poisson(rate_per_s=20)), 0.4, said, 1)
    assert closed.ended_s is None
    assert opened.ended_s is None
    assert said == []
