"""The trial on the simulated engine: what a candidate does wrong is its result, never an error."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from knowledge.types import (
    Candidate,
    Cause,
    EngineConfig,
    FlagValue,
    LoadPlan,
    LoadSearch,
    Metric,
    Slo,
    TrialSpec,
    WorthChecking,
)
from tests.advisor.simulated import HARDWARE, task
from tools.arm import Arm
from tools.home import Home
from tools.preparing import World
from tools.process import leftovers
from tools.trial import run_trial, run_trials

Spec = Callable[..., TrialSpec]


@pytest.fixture
def world(home: Home, tmp_path: Path) -> World:
    return World(home=home, hardware=HARDWARE, logs=tmp_path / "logs", progress=lambda _: None)


@pytest.fixture
def spec(tiny_model: Path) -> Spec:
    asked = task(tiny_model)

    def make(ordinal: int = 0, *, deadline_s: float = 120, **flags: FlagValue) -> TrialSpec:
        named = {name.replace("_", "-"): value for name, value in flags.items()}
        return TrialSpec(
            session="test",
            ordinal=ordinal,
            purpose="hypothesis",
            candidate=Candidate(config=EngineConfig(engine="sim", flags=named)),
            model=asked.model,
            workload=asked.workload,
            load=LoadPlan(warmup_s=0.1, round_s=0.6, rounds=2),
            deadline_s=deadline_s,
        )

    return make


@pytest.mark.parametrize(
    ("flags", "deadline_s", "cause"),
    [
        ({"oom_at_start": True}, 120, Cause.OUT_OF_MEMORY),
        ({"hang_at_start": True}, 3, Cause.TIMEOUT),
        ({"crash_after_s": 0.3}, 120, Cause.CRASH),
        ({"no_such_flag": 1}, 120, Cause.BAD_FLAG),
    ],
)
async def test_what_goes_wrong_is_a_cause_and_nothing_is_left_running(
    spec: Spec, world: World, flags: dict[str, FlagValue], deadline_s: float, cause: Cause
) -> None:
    result = (await run_trial(spec(deadline_s=deadline_s, **flags), world)).result
    assert result.failure
    assert result.failure.cause is cause
    assert result.measurement is None
    assert leftovers() == []


async def test_a_hopeless_round_ends_early_and_the_measurement_says_so(
    spec: Spec, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.load.round._LEAST_SETTLED_S", 0.0)
    monkeypatch.setattr("tools.load.round._LOOK_S", 0.05)
    once = spec().replace(load=LoadPlan(warmup_s=0.1, round_s=4, rounds=1))
    metric = Metric.OUTPUT_TOKENS_PER_S
    for ordinal, bar in ((0, 1.0), (1, 1e9)):
        asked = once.replace(
            ordinal=ordinal, worth_checking=WorthChecking(metric=metric, at_least=bar)
        )
        measured = await run_trial(asked, world)
        assert measured.result.measurement
        ended_s = measured.result.measurement.ended_early_s
        assert (ended_s is not None) == bool(ordinal)
        assert measured.result.measurement.window_s <= (ended_s or 4.0)
        assert measured.result.measurement.metrics[metric].value > 0
        assert all(sample.ok for sample in measured.samples)


async def test_one_arm_of_a_pair_may_die_and_the_other_is_measured(
    spec: Spec, world: World
) -> None:
    dead, alive = await run_trials((spec(0, crash_after_s=0.2), spec(1)), world)
    assert dead.result.failure
    assert alive.result.measurement
    assert alive.result.pair == dead.result.trial_id


async def test_in_turns_it_ends_when_it_is_told_that_the_answer_is_clear(
    spec: Spec, world: World
) -> None:
    seen: list[int] = []

    def until(arms: Sequence[Sequence[dict[Metric, float]]]) -> str:
        seen.append(len(arms[0]))
        assert len(arms) == 2
        return "ясно" if len(arms[0]) == 2 else ""

    plan = LoadPlan(warmup_s=0, round_s=0.4, rounds=4)
    pair = (spec(0).replace(load=plan), spec(1).replace(load=plan))
    for measured in await run_trials(pair, world, until=until):
        assert measured.result.measurement
        assert len(measured.result.measurement.rounds) == 2
        assert len(measured.result.measurement.machine_speed) == 3
        assert {sample.round for sample in measured.samples} == {0, 1}
    assert seen == [1, 2]


async def test_skipped_work_fails_the_integrity_check(spec: Spec, world: World) -> None:
    result = (await run_trial(spec(ignore_max_tokens=True), world)).result
    assert result.integrity
    assert not result.integrity.passed


async def test_the_highest_load_is_searched_only_where_it_was_asked_for(
    spec: Spec, world: World
) -> None:
    slo = Slo(metric=Metric.E2E_P95_MS, limit=60_000)
    without = (await run_trial(spec(), world, (slo,))).result
    assert without.highest_load is None
    asked = spec(1).replace(load_search=LoadSearch(round_s=0.3, points=3))
    assert (await run_trial(asked, world)).result.highest_load is None
    found = (await run_trial(asked.replace(ordinal=2), world, (slo,))).result.highest_load
    assert found
    assert found["streams"] >= 4


async def test_a_round_is_longer_where_a_request_hardly_fits(spec: Spec, world: World) -> None:
    asked = spec(0).replace(load=LoadPlan(warmup_s=0.1, round_s=0.05, rounds=1))
    slow = (await run_trial(asked, world)).result.measurement
    assert slow
    assert 0.05 < slow.window_s <= 3 * 0.05


async def test_a_date_that_is_set_meanwhile_ends_no_trial(spec: Spec, world: World) -> None:
    arm = Arm(spec(), world, (), started_at=datetime.now(UTC) - timedelta(hours=1))
    await arm.attempt(asyncio.sleep(1.2))
    assert arm.failure is None
