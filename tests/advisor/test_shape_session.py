"""A model without weights: speed is judged, quality neither passes nor fails, and it is said."""

from datetime import UTC, datetime
from pathlib import Path

from advisor import runner
from advisor.context import Context
from advisor.nodes.decide import judge
from advisor.pace import pace_of, request_seconds
from knowledge.devices import find_device
from knowledge.types import (
    Candidate,
    Change,
    Decision,
    EngineConfig,
    Estimate,
    Hardware,
    Hypothesis,
    Interval,
    Lengths,
    LoadPlan,
    Measurement,
    Metric,
    ModelSpec,
    TrialResult,
    TrialSpec,
    Workload,
)
from tests.advisor.simulated import task
from tools.home import Home
from tools.store import Store


async def test_a_session_on_a_shape_says_that_quality_was_not_judged(
    tiny_model: Path, home: Home, tmp_path: Path
) -> None:
    job = task(tiny_model, trials=2)
    job = job.replace(model=job.model.replace(dummy_weights=True))
    with Store.open(home.store, "test") as store:
        options = runner.Options(naive=False, reports=tmp_path / "reports")
        record = await runner.start(job, options, store, home, lambda _: None)
    assert all(trial.quality is None for trial in record.trials)
    assert all("случайные" in (trial.quality_skipped or "") for trial in record.trials)
    assert all(h.candidate.artifact is None for _, h in record.hypotheses)
    assert all("speculat" not in h.technique for _, h in record.hypotheses)
    (report,) = (tmp_path / "reports").glob("*.md")
    text = report.read_text(encoding="utf-8")
    assert "Качество не проверено и не могло быть проверено" in text
    assert "--dummy-weights" in text


def test_a_risky_gain_is_kept_on_a_shape_and_dropped_on_a_model(tiny_model: Path) -> None:
    verdicts = {}
    for dummy in (False, True):
        job = task(tiny_model)
        job = job.replace(model=job.model.replace(dummy_weights=dummy))
        before, after = measured(job.model, 100, 0), measured(job.model, 150, 1)
        ctx = Context("s", job, None, None, pace_of(job, simulated=True), print)  # type: ignore[arg-type]
        verdicts[dummy] = judge(ctx, risky(after), after, before, None)
    assert verdicts[False].decision is Decision.DROPPED
    assert verdicts[True].decision is Decision.KEPT
    assert "только скорость" in verdicts[True].reason


def measured(model: ModelSpec, tokens_per_s: float, ordinal: int) -> TrialResult:
    rate = Estimate(value=tokens_per_s, low=tokens_per_s * 0.99, high=tokens_per_s * 1.01, n=50)
    return TrialResult(
        spec=TrialSpec(
            session="s",
            ordinal=ordinal,
            purpose="hypothesis",
            candidate=Candidate(config=EngineConfig(engine="sim")),
            model=model,
            workload=task_workload(model),
            load=LoadPlan(),
            deadline_s=60,
        ),
        started_at=datetime.now(UTC),
        finished_at=datetime.now(UTC),
        measurement=Measurement(
            metrics={Metric.OUTPUT_TOKENS_PER_S: rate},
            rounds=(),
            window_s=10,
            requests=50,
            failed_requests=0,
        ),
        quality_skipped="веса случайные",
    )


def task_workload(model: ModelSpec) -> Workload:
    return task(Path(model.path)).workload


def risky(result: TrialResult) -> Hypothesis:
    return Hypothesis(
        technique="fp8-weights",
        policy="knowledge",
        title="FP8",
        rationale="",
        change=Change(flags={"quantization": "fp8"}),
        candidate=result.spec.candidate,
        parent="p",
        metric=Metric.OUTPUT_TOKENS_PER_S,
        predicted_speedup=Interval(low=1.2, high=1.6),
        cost_s=100,
        quality_risk="low",
    )


def test_long_requests_get_fewer_and_longer_rounds(tiny_model: Path) -> None:
    job = task(tiny_model)
    h100 = Hardware(
        device=find_device("H100"), cpu_name="x", cores=16, host_memory_bytes=128 * 2**30
    )
    seven = job.model.facts.replace(
        parameters=7_248_000_000, active_parameters=7_248_000_000, layers=32, hidden_size=4096
    )
    job = job.replace(hardware=h100, model=job.model.replace(facts=seven))
    assert pace_of(job, simulated=False).production.rounds > 2
    lengths = Lengths(low=1600, high=2048)
    long = job.replace(workload=job.workload.replace(output_tokens=lengths))
    pace = pace_of(long, simulated=False)
    assert pace.production.rounds == 2, "two launches are compared by at least two rounds each"
    assert pace.production.round_s >= 1.9 * request_seconds(long)
    assert pace.drain_s == request_seconds(long)
