"""The report's main figures as one object, for the command line and --json."""

from pathlib import Path
from typing import Literal

from advisor.outcome import describe
from advisor.report.context import ReportContext, figure
from knowledge.types import (
    Artifact,
    Decision,
    Estimate,
    Frozen,
    Interval,
    Metric,
    QualityVerdict,
    Slo,
    TrialResult,
)
from tools.store import SessionRecord, Status


class Configuration(Frozen):
    """One of the configurations that are compared, and what it measured."""

    role: Literal["naive", "default", "winner"]
    trial_id: str
    engine: str
    flags: dict[str, str | int | float | bool]
    env: dict[str, str]
    artifact: Artifact | None
    metrics: dict[Metric, Estimate]
    perplexity: float | None


class HypothesisSummary(Frozen):
    """One hypothesis: what was expected and what came of it."""

    ordinal: int
    trial_id: str
    technique: str
    title: str
    predicted_speedup: Interval
    measured_speedup: Estimate | None
    prediction_hit: bool | None
    decision: Decision | None
    reason: str
    quality: QualityVerdict | None


class SloSummary(Frozen):
    """One promise and how the handed-in configuration keeps it."""

    slo: Slo
    measured: Estimate | None
    met: bool | None


class Nearest(Frozen):
    """The measured configuration that comes nearest to all SLOs, and which one it breaks most."""

    trial_id: str
    setting: str
    binding: Slo
    measured: Estimate | None
    violation: float
    """Relative distance to the binding SLO's limit; 0 or below: it is met."""


class Summary(Frozen):
    """What a session found, without the samples."""

    session: str
    status: Status
    simulated: bool
    model: str
    engine: str
    workload: str
    objective: Metric
    handed_in: Literal["winner", "default"] | None
    reason: str
    speedup_over_default: Estimate | None
    speedup_over_naive: Estimate | None
    agrees_with_screening: bool | None
    configurations: tuple[Configuration, ...]
    slos: tuple[SloSummary, ...]
    nearest: Nearest | None
    """Where SLOs were asked for and what is handed in breaks one."""
    highest_load: dict[str, float] | None
    hypotheses: tuple[HypothesisSummary, ...]
    decisions: dict[Decision, int]
    predictions_hit: int
    predictions_judged: int


def summary(record: SessionRecord) -> Summary:
    """The figures that the report prints, from the same rows."""
    ctx = ReportContext(record=record, samples=lambda _trial: (), pictures=Path())
    hypotheses = _hypotheses(ctx)
    judged = [h.prediction_hit for h in hypotheses if h.prediction_hit is not None]
    test = record.production
    return Summary(
        session=record.row.session,
        status=record.row.status,
        simulated=ctx.simulated,
        model=record.task.model.name,
        engine=record.task.engine,
        workload=record.task.workload.name,
        objective=ctx.objective,
        handed_in=test.handed_in if test else None,
        reason=test.reason if test else "",
        speedup_over_default=_gain(ctx, ctx.default),
        speedup_over_naive=_gain(ctx, ctx.naive),
        agrees_with_screening=test.agrees_with_screening if test else None,
        configurations=_configurations(ctx),
        slos=_slos(ctx),
        nearest=_nearest(record),
        highest_load=test.highest_load if test else None,
        hypotheses=hypotheses,
        decisions={d: sum(h.decision == d for h in hypotheses) for d in Decision},
        predictions_hit=sum(judged),
        predictions_judged=len(judged),
    )


def _gain(ctx: ReportContext, reference: TrialResult | None) -> Estimate | None:
    """Gain of the configuration of the result over a reference; None when it is that one."""
    best = ctx.best
    if best is None or reference is None or best.trial_id == reference.trial_id:
        return None
    return ctx.improvement(reference, best, ctx.objective)


def _configurations(ctx: ReportContext) -> tuple[Configuration, ...]:
    roles: tuple[tuple[Literal["naive", "default", "winner"], TrialResult | None], ...] = (
        ("naive", ctx.naive),
        ("default", ctx.default),
        ("winner", ctx.winner),
    )
    return tuple(
        Configuration(
            role=role,
            trial_id=trial.trial_id,
            engine=trial.spec.candidate.config.engine,
            flags=trial.spec.candidate.config.flags,
            env=trial.spec.candidate.config.env,
            artifact=trial.spec.candidate.artifact,
            metrics=trial.measurement.metrics if trial.measurement else {},
            perplexity=trial.quality.perplexity if trial.quality else None,
        )
        for role, trial in roles
        if trial is not None
    )


def _slos(ctx: ReportContext) -> tuple[SloSummary, ...]:
    best = ctx.best
    found = []
    for slo in ctx.record.task.slos:
        measured = figure(best, slo.metric)
        found.append(
            SloSummary(
                slo=slo, measured=measured, met=slo.met_by(measured.value) if measured else None
            )
        )
    return tuple(found)


def _nearest(record: SessionRecord) -> Nearest | None:
    """Over all engines compared; of a configuration measured twice the later, cold one counts."""
    if record.row.status is not Status.INFEASIBLE:
        return None
    slos, compared = record.task.slos, (record.task.engine, *record.task.engines)
    points = []
    latest = {t.spec.candidate.content_id(): t for t in record.trials if t.measurement}
    for trial in latest.values():
        if trial.measurement is None or trial.spec.candidate.config.engine not in compared:
            continue
        for_slo = [(violation_of(slo, trial), slo) for slo in slos]
        worst, binding = max(for_slo, key=lambda pair: pair[0])
        points.append((worst, trial, binding))
    if not points:
        return None
    worst, trial, binding = min(points, key=lambda point: point[0])
    return Nearest(
        trial_id=trial.trial_id,
        setting=describe(trial.spec.candidate, record.task.engine),
        binding=binding,
        measured=figure(trial, binding.metric),
        violation=worst,
    )


def violation_of(slo: Slo, trial: TrialResult) -> float:
    """Relative distance to the limit; a figure that is missing breaks its SLO."""
    seen = figure(trial, slo.metric)
    return slo.violation(seen.value) if seen else float("inf")


def _hypotheses(ctx: ReportContext) -> tuple[HypothesisSummary, ...]:
    return tuple(
        HypothesisSummary(
            ordinal=trial.spec.ordinal,
            trial_id=trial.trial_id,
            technique=hypothesis.technique,
            title=hypothesis.title,
            predicted_speedup=hypothesis.predicted_speedup,
            measured_speedup=verdict.speedup if verdict else None,
            prediction_hit=verdict.prediction_hit if verdict else None,
            decision=verdict.decision if verdict else None,
            reason=verdict.reason if verdict else "",
            quality=verdict.quality if verdict else None,
        )
        for trial, hypothesis, verdict in ctx.tested
    )
