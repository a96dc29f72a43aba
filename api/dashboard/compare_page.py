"""Two sessions side by side: what differs in the question, and in the answer."""

from dataclasses import dataclass

from advisor.outcome import default, describe, handed_in, winner
from advisor.report import labels
from api.dashboard.language import Language
from knowledge.statistics import ratio_of_estimates
from knowledge.types import ClosedLoop, Estimate, Metric, TrialResult
from tools.store import SessionRecord

_LAUNCH_CV = 0.015
"""Spread between launches where the sessions did not note their own."""


@dataclass(frozen=True)
class Difference:
    """One property of both tasks."""

    name: str
    left: str
    right: str
    matters: bool

    @property
    def differs(self) -> bool:
        return self.left != self.right


@dataclass(frozen=True)
class MetricRow:
    """One figure of both results; the ratio is above 1 where the right one is better."""

    metric: Metric
    left: Estimate | None
    right: Estimate | None
    gain: Estimate | None

    @property
    def verdict(self) -> str:
        if self.gain is None:
            return ""
        if self.gain.low > 1:
            return "better"
        return "worse" if self.gain.high < 1 else "same"


def result(record: SessionRecord) -> TrialResult | None:
    """What a session stands for: what it handed in, else the best that it knows."""
    return handed_in(record) or winner(record) or default(record)


def differences(left: SessionRecord, right: SessionRecord, language: Language) -> list[Difference]:
    """Properties of the tasks; those that matter make the figures incomparable when they differ."""
    t = language.t
    rows = [
        (t("Модель"), _model, True), (t("Движок"), lambda r: labels.engine(r.task.engine), False),
        (t("Устройство"), lambda r: f"{r.task.hardware.device_count} × "
                                    f"{r.task.hardware.device.name}", True),
        (t("Нагрузка"), lambda r: _workload(r, language), True),
        (t("Цель"), lambda r: language.objective(r.task.objective.value), False),
        ("SLO", lambda r: "; ".join(map(language.slo, r.task.slos)) or "—", False),
        (t("Бюджет"), lambda r: language.duration(r.task.budget.seconds), False),
        (t("Сдано"), _configuration, False),
    ]  # fmt: skip
    return [Difference(name, of(left), of(right), matters) for name, of, matters in rows]


def metrics(left: SessionRecord, right: SessionRecord) -> list[MetricRow]:
    """Every figure that either has."""
    one, two = _figures(result(left)), _figures(result(right))
    cv = max(_launch_cv(left), _launch_cv(right))
    return [
        MetricRow(metric, one.get(metric), two.get(metric),
                  _gain(one.get(metric), two.get(metric), metric, cv))
        for metric in labels.TABLE_METRICS
        if metric in one or metric in two
    ]  # fmt: skip


def _figures(trial: TrialResult | None) -> dict[Metric, Estimate]:
    return dict(trial.measurement.metrics) if trial and trial.measurement else {}


def _gain(
    left: Estimate | None, right: Estimate | None, metric: Metric, launch_cv: float
) -> Estimate | None:
    if left is None or right is None or min(left.low, right.low) <= 0:
        return None
    better = metric.higher_is_better
    return ratio_of_estimates(left, right, higher_is_better=better, launch_cv=launch_cv)


def _launch_cv(record: SessionRecord) -> float:
    for event in reversed(record.events):
        value = event.payload.get("launch_cv")
        if isinstance(value, int | float):
            return float(value)
    return _LAUNCH_CV


def _model(record: SessionRecord) -> str:
    return f"{record.task.model.name} ({record.task.model.fingerprint[:8]})"


def _workload(record: SessionRecord, language: Language) -> str:
    load = record.task.workload
    arrival = load.arrival
    if isinstance(arrival, ClosedLoop):
        pace = f"{arrival.concurrency} {language.t('потоков')}"
    else:
        pace = f"Poisson {language.amount(arrival.rate_per_s, 'запр./с')}"
    return (
        f"{load.name}: {pace}, {load.input_tokens.low}–{load.input_tokens.high} → "
        f"{load.output_tokens.low}–{load.output_tokens.high} {language.t('токенов')}"
    )


def _configuration(record: SessionRecord) -> str:
    trial = result(record)
    return describe(trial.spec.candidate, record.task.engine) if trial else "—"
