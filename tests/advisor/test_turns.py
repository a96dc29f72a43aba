"""The cold test in turns: it ends when the answer is clear, and says what it was."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from advisor import turns
from advisor.context import Context
from advisor.nodes.decide import judge
from advisor.pace import pace_of
from knowledge.types import (
    Candidate,
    Decision,
    EngineConfig,
    Estimate,
    Hypothesis,
    Interval,
    LoadPlan,
    Measurement,
    Metric,
    Slo,
    TrialResult,
    TrialSpec,
)
from tests.advisor.simulated import task

RATE = Metric.OUTPUT_TOKENS_PER_S


@pytest.fixture
def ctx(tiny_model: Path) -> Context:
    job = task(tiny_model)
    pace = replace(pace_of(job, simulated=True), launch_cv=0.015)
    return Context("s", job, None, None, pace, print)  # type: ignore[arg-type]


def figures(*values: float) -> list[dict[Metric, float]]:
    return [{RATE: value} for value in values]


def result(ctx: Context, ordinal: int, *values: float, pair: str | None = None,
           speeds: tuple[float, ...] = ()) -> TrialResult:  # fmt: skip
    mean = sum(values) / len(values)
    now = datetime.now(UTC)
    return TrialResult(
        spec=TrialSpec(
            session="s", ordinal=ordinal, purpose="production",
            candidate=Candidate(config=EngineConfig(engine="sim", flags={"n": ordinal})),
            model=ctx.task.model, workload=ctx.task.workload, load=LoadPlan(rounds=8),
            deadline_s=60,
        ),
        started_at=now,
        finished_at=now,
        measurement=Measurement(
            metrics={RATE: Estimate(value=mean, low=mean * 0.96, high=mean * 1.04, n=99)},
            rounds=tuple(figures(*values)), window_s=60, requests=99, failed_requests=0,
            machine_speed=speeds,
        ),
        pair=pair,
    )  # fmt: skip


def test_it_goes_on_until_the_answer_is_clear(ctx: Context) -> None:
    look = turns.until_clear(ctx, 8)
    assert look([figures(100, 101), figures(150, 152)]) == ""
    assert "выигрыш ясен" in look([figures(100, 101, 99), figures(150, 152, 149)])
    assert look([figures(100, 110, 95), figures(120, 100, 118)]) == ""
    said = look([figures(100, 101, 99, 100), figures(80, 81, 80, 79)])
    assert "раундов 4 из 8" in said
    assert "выигрыша нет" in said


def test_with_slos_half_of_the_rounds_are_measured_at_least(ctx: Context) -> None:
    ctx.task = ctx.task.replace(slos=(Slo(metric=Metric.TPOT_P95_MS, limit=60),))
    look = turns.until_clear(ctx, 8)
    assert look([figures(*[100, 101] * 2), figures(*[150, 152] * 2)]) == ""
    assert look([figures(100, 101, 99, 100, 101), figures(150, 152, 149, 150, 151)])


def test_a_round_without_a_figure_is_no_pair(ctx: Context) -> None:
    look = turns.until_clear(ctx, 8)
    assert look([[*figures(100, 101), {}], figures(150, 152, 149)]) == ""


def test_the_finished_trials_say_the_same_as_the_last_look(ctx: Context) -> None:
    default = result(ctx, 1, 100, 101, 99)
    winner = result(ctx, 2, 150, 152, 149, pair=default.trial_id)
    judged = turns.conclusion(ctx, default, winner)
    assert judged
    assert judged.speedup.low > 1
    assert turns.stopping(ctx, default, winner).startswith("раундов 3 из 8, выигрыш ясен")
    assert turns.stopping(ctx, default, winner.replace(pair=None)) == ""


def test_a_verdict_says_what_it_could_have_told_and_that_the_machine_changed(
    ctx: Context,
) -> None:
    before, after = result(ctx, 1, 100, 100), result(ctx, 2, 104, 104)
    hypothesis = Hypothesis(
        technique="t", policy="knowledge", title="t", rationale="", change={},
        candidate=after.spec.candidate, parent="p", metric=RATE,
        predicted_speedup=Interval(low=1, high=1.2), cost_s=1,
    )  # fmt: skip
    verdict = judge(ctx, hypothesis, after, before, None)
    assert verdict.decision is Decision.INCONCLUSIVE
    assert verdict.detectable_speedup
    assert 1.08 < verdict.detectable_speedup < 1.15
    assert "различает выигрыш от" in verdict.reason
    assert "машина" not in verdict.reason
    slow = result(ctx, 2, 104, 104, speeds=(70, 71, 69))
    fast = result(ctx, 1, 100, 100, speeds=(100, 101, 99))
    assert "на 30% медленнее" in judge(ctx, hypothesis, slow, fast, None).reason
