"""What a server may do wrong: each has its name, none costs the round, none leaks the key."""

import gc
from collections.abc import Callable

import pytest

from knowledge.measure import summarize
from knowledge.types import ClosedLoop, Metric, RequestSample, Workload
from tests.tools.load.server import ExactServer, Script
from tools.load.generator import run_round
from tools.load.prompts import PromptSource
from tools.load.target import Target

KEY = "sk-very-secret"


async def samples_of(
    script: Script, workload: Workload, *, duration_s: float = 0.1, silence_timeout_s: float = 60
) -> tuple[tuple[RequestSample, ...], ExactServer]:
    async with ExactServer(script) as server:
        outcome = await run_round(
            Target(server.url, "exact", api_key=KEY),
            workload,
            PromptSource(workload, None, 1),
            round_index=0,
            duration_s=duration_s,
            drain_s=0.5,
            seed=0,
            silence_timeout_s=silence_timeout_s,
        )
    return outcome.samples, server


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (Script(status=429), "http-429"),
        (Script(status=500), "http-500"),
        (Script(status=401), "http-401"),
        (Script(fault="reset"), "reset"),
        (Script(fault="malformed"), "malformed"),
        (Script(fault="not-http"), "malformed"),
        (Script(fault="truncated", usage="none"), "truncated"),
        (Script(fault="error-event"), "in-stream: out of memory Bearer ***"),
        (Script(fault="no-stream"), "in-stream: engine is dead"),
    ],
)
async def test_every_fault_has_its_name(
    workload: Callable[..., Workload], script: Script, error: str
) -> None:
    samples, _ = await samples_of(script, workload())
    assert len(samples) >= 2
    assert {s.error for s in samples} == {error}
    assert not any(s.ok for s in samples)
    assert not any(KEY in repr(s) for s in samples)


@pytest.mark.parametrize("fault", ["silent", "half-open"])
async def test_a_server_that_falls_silent_times_out(
    workload: Callable[..., Workload], fault: str
) -> None:
    samples, _ = await samples_of(Script(fault=fault), workload(), silence_timeout_s=0.08)
    assert {s.error for s in samples} == {"timeout"}
    assert all((s.first_token_s is not None) == (fault == "half-open") for s in samples)


async def test_tokens_before_a_reset_are_kept_in_the_sample(
    workload: Callable[..., Workload],
) -> None:
    samples, server = await samples_of(Script(fault="reset", fault_after=3), workload())
    for sample, served in zip(samples, server.log, strict=True):
        assert sample.error == "reset"
        assert sample.output_tokens == sum(n for _, n in served.sent) == 3


async def test_a_server_that_says_when_to_come_back_is_not_hammered(
    workload: Callable[..., Workload],
) -> None:
    script = Script(status=429, headers={"Retry-After": "1"})
    samples, server = await samples_of(script, workload(arrival=ClosedLoop(concurrency=3)))
    assert len(samples) == len(server.log) == 3


async def test_a_server_that_dies_in_the_round_gives_connect_errors(
    workload: Callable[..., Workload],
) -> None:
    asked = workload()
    async with ExactServer(Script(ttft_s=0.01, close_after_answer=True)) as server:
        outcome = await run_round(
            Target(server.url, "exact"),
            asked,
            PromptSource(asked, None, 1),
            round_index=0,
            duration_s=0.5,
            drain_s=0.5,
            seed=0,
            on_sample=lambda _: server.stop_listening(),
        )
    assert outcome.samples[0].ok
    assert outcome.samples[-1].error == "connect"


async def test_garbage_collection_is_off_in_the_round_and_on_after_it(
    workload: Callable[..., Workload],
) -> None:
    seen: list[bool] = []
    asked = workload()
    async with ExactServer() as server:
        await run_round(
            Target(server.url, "exact"),
            asked,
            PromptSource(asked, None, 1),
            round_index=0,
            duration_s=0.05,
            drain_s=1,
            seed=0,
            on_sample=lambda _: seen.append(gc.isenabled()),
        )
    assert seen
    assert not any(seen)
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize(
    "script",
    [
        Script(ttft_s=0.01, itl_s=0.001, status=503, fault_every=2),
        Script(ttft_s=0.01, itl_s=0.001, fault="reset", fault_every=2),
        Script(ttft_s=0.01, itl_s=0.001, fault="malformed", fault_every=2),
        Script(ttft_s=0.01, itl_s=0.001, fault="half-open", fault_every=2),
    ],
)
async def test_faults_are_counted_and_never_averaged_into_latency(
    workload: Callable[..., Workload], script: Script
) -> None:
    samples, _ = await samples_of(script, workload(), duration_s=0.5, silence_timeout_s=0.1)
    bad = [s for s in samples if s.error and s.error != "cut"]
    good = [s for s in samples if s.ok]
    assert bad
    assert good
    measured = summarize(samples, round_s=0.5, slos=(), seed=0)
    assert measured.failed_requests == len(bad)
    assert measured.metrics[Metric.ERROR_RATE].value > 0.05
    slowest_ms = max(1000 * (s.last_token_s - s.intended_s) for s in good if s.last_token_s)
    assert measured.metrics[Metric.E2E_P99_MS].value <= slowest_ms + 1e-6
