"""The Pareto front of a session over throughput, latency, cost, quality and energy."""

from collections.abc import Sequence
from dataclasses import dataclass

from knowledge.types import Metric, Slo, Task, TrialResult, Verdict
from tools import engines
from tools.store import SessionRecord

THROUGHPUT, LATENCY, COST = "throughput", "latency", "cost"
QUALITY, ENERGY = "quality", "energy"
AXES = (THROUGHPUT, LATENCY, COST, QUALITY, ENERGY)
_HIGHER = (THROUGHPUT,)


@dataclass(frozen=True)
class Point:
    """One measured configuration; an axis that was not measured is left out."""

    trial: TrialResult
    values: dict[str, float]


@dataclass(frozen=True)
class SloPrice:
    """What one promise costs: the best of the objective without it, and with it."""

    slo: Slo
    without: TrialResult
    with_it: TrialResult | None
    """None when nothing that was measured holds all of them."""
    ratio: float | None
    """How many times better the objective would be without it."""


def points(record: SessionRecord) -> list[Point]:
    """What may be handed in: the default and sound hypotheses, each candidate once."""
    verdicts = {verdict.trial_id: verdict for verdict in record.verdicts}
    found: dict[object, Point] = {}
    for trial in record.trials:
        if trial.measurement and _sound(trial, verdicts.get(trial.trial_id)):
            values = _values(record.task, trial, verdicts.get(trial.trial_id))
            found[trial.spec.candidate] = Point(trial, values)
    return list(found.values())


def front(found: Sequence[Point]) -> list[Point]:
    """Points that no other is at least as good as in everything, and better in something.

    What was not measured of a point speaks for nothing: it beats none that has a figure there. By
    rising throughput.
    """
    best = [one for one in found if not any(_beats(other, one) for other in found)]
    return sorted(best, key=lambda one: one.values.get(THROUGHPUT, 0.0))


def pick(found: Sequence[Point], task: Task) -> Point | None:
    """What the user's objective takes from the front: the best that holds every SLO."""
    metric = task.objective.metric
    fine = [one for one in found if _holds(one.trial, task.slos) and _figure(one.trial, metric)]
    choose = max if metric.higher_is_better else min
    return choose(fine, key=lambda one: _figure(one.trial, metric) or 0.0, default=None)


def slo_prices(found: Sequence[Point], task: Task) -> list[SloPrice]:
    """For each promise, what the objective would gain if only this one were given up."""
    chosen = pick(found, task)
    prices = []
    for slo in task.slos:
        rest = tuple(one for one in task.slos if one != slo)
        free = pick(found, task.replace(slos=rest))
        if free is None:
            continue
        ratio = None
        if chosen:
            metric = task.objective.metric
            without, with_it = _figure(free.trial, metric), _figure(chosen.trial, metric)
            assert without
            assert with_it
            ratio = without / with_it if metric.higher_is_better else with_it / without
        prices.append(SloPrice(slo, free.trial, chosen.trial if chosen else None, ratio))
    return prices


def _sound(trial: TrialResult, verdict: Verdict | None) -> bool:
    if trial.spec.purpose not in ("baseline", "hypothesis"):
        return False
    spoiled = verdict is not None and verdict.quality and not verdict.quality.non_inferior
    return not spoiled and (trial.integrity is None or trial.integrity.passed)


def _values(task: Task, trial: TrialResult, verdict: Verdict | None) -> dict[str, float]:
    values: dict[str, float] = {}
    rate, latency = _figure(trial, Metric.OUTPUT_TOKENS_PER_S), _figure(trial, Metric.E2E_P50_MS)
    price = task.hardware.device.price_per_hour_usd
    if rate:
        values[THROUGHPUT] = rate
        if price:
            config, whole = trial.spec.candidate.config, task.hardware.device_count
            used = engines.devices_of(config, otherwise=whole)
            values[COST] = price * used / (rate * 3600 / 1e6)
    if latency:
        values[LATENCY] = latency
    if trial.spec.purpose == "baseline":
        values[QUALITY] = 0.0
    elif verdict and verdict.quality:
        values[QUALITY] = verdict.quality.loss_nats_per_token.value
    if trial.telemetry and trial.telemetry.energy_mj_per_token:
        values[ENERGY] = trial.telemetry.energy_mj_per_token
    return values


def _beats(one: Point, other: Point) -> bool:
    if not other.values or not other.values.keys() <= one.values.keys():
        return False
    better = [_signed(axis, one) - _signed(axis, other) for axis in other.values]
    return min(better) >= 0 and max(better) > 0


def _signed(axis: str, point: Point) -> float:
    return point.values[axis] if axis in _HIGHER else -point.values[axis]


def _figure(trial: TrialResult, metric: Metric) -> float | None:
    assert trial.measurement
    seen = trial.measurement.metrics.get(metric)
    return seen.value if seen else None


def _holds(trial: TrialResult, slos: Sequence[Slo]) -> bool:
    seen = [(slo, _figure(trial, slo.metric)) for slo in slos]
    return all(value is not None and slo.met_by(value) for slo, value in seen)
