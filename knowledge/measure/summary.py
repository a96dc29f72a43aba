"""From the requests a client saw to the figures of a server. Every reported number comes from here.

TTFT, TPOT, ITL and E2E as DESIGN and vLLM's benchmark define them. Times count from the moment a
request was due: in an open loop a late send is the server's delay as a user feels it (coordinated
omission otherwise). Request figures are of requests due within the round; rates are of the steady
window, which begins when every stream has had a token, at the latest after a quarter of the round,
and is faded in and out over one request, so that it does not matter where a wave is cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from knowledge.measure.rates import Rates, rates_of
from knowledge.measure.requests import (
    failed,
    kept_after_ramp,
    latencies,
    readings,
    token_gaps,
    unfinished,
    within_slos,
)
from knowledge.measure.warnings import warnings_of
from knowledge.statistics import (
    Course,
    Stretch,
    clustered_quantile,
    event_rate,
    mean_in_time,
    rate_of,
    wilson_interval,
)
from knowledge.types import Estimate, Measurement, Metric, RequestSample, Slo

_PERCENTILES = (50, 95, 99)


def summarize(
    samples: Sequence[RequestSample], *, round_s: float, slos: Sequence[Slo], seed: int
) -> Measurement:
    """All rounds of one server under one workload, each figure with its 95 % interval.

    No interval is drawn any more, so `seed` has no effect. A figure that nothing was seen for is
    missing, never zero: no answers, no latencies.
    """
    if round_s <= 0:
        raise ValueError(f"a round must last, not {round_s} s")
    ordered = sorted(samples, key=lambda s: (s.round, s.intended_s, s.index))
    due = [s for s in ordered if 0 <= s.intended_s < round_s]
    kept = kept_after_ramp(due)
    indices = sorted({s.round for s in ordered})
    rounds = [[s for s in ordered if s.round == index] for index in indices]
    rates = [rates_of(of_round, round_s, within_slos(slos)) for of_round in rounds]
    failures = [s for s in due if failed(s)]
    return Measurement(
        metrics=_metrics(due, kept, rates, _Clock.of(indices, round_s, rates)),
        rounds=tuple(
            _points([s for s in kept if s.round == of_round[0].round], rate)
            for of_round, rate in zip(rounds, rates, strict=True)
        ),
        window_s=sum(rate.seconds for rate in rates),
        requests=len(due),
        failed_requests=len(failures),
        warnings=warnings_of(due, kept, rates, round_s=round_s),
    )


def round_points(
    samples: Sequence[RequestSample], *, round_s: float, slos: Sequence[Slo]
) -> dict[Metric, float]:
    """Point values of one round, the same that `summarize` gives for it among others."""
    ordered = sorted(samples, key=lambda s: (s.intended_s, s.index))
    kept = kept_after_ramp([s for s in ordered if 0 <= s.intended_s < round_s])
    return _points(kept, rates_of(ordered, round_s, within_slos(slos)))


def _metrics(
    due: Sequence[RequestSample],
    kept: Sequence[RequestSample],
    rates: Sequence[Rates],
    clock: "_Clock",
) -> dict[Metric, Estimate]:
    metrics = _rate_estimates(rates, clock.cycle_s)
    # Requests in flight together share a batch, so neighbours are one cluster, not many witnesses.
    block = max(1, min(len({s.stream for s in kept}), len(kept) // 10))
    for stem, seen in readings(kept).items():
        if seen:
            values = np.array([value for _, value in seen])
            course = clock.course([sample for sample, _ in seen])
            clusters = np.arange(values.size) // block
            metrics[_metric(stem, "mean")] = mean_in_time(values, course)
            metrics |= _quantiles(stem, values, clusters, course)
    metrics |= _gap_estimates(kept, clock)
    if rate := metrics.get(Metric.OUTPUT_TOKENS_PER_S):
        metrics = {name: _no_finer(name, one, rate) for name, one in metrics.items()}
    answered = [s for s in due if not unfinished(s)]
    if answered:
        errors = sum(failed(s) for s in answered)
        metrics[Metric.ERROR_RATE] = wilson_interval(errors, len(answered))
    return metrics


@dataclass(frozen=True)
class _Clock:
    """Rounds laid end to end."""

    begins_s: dict[int, float]
    total_s: float
    cycle_s: float

    @classmethod
    def of(cls, indices: Sequence[int], round_s: float, rates: Sequence[Rates]) -> "_Clock":
        cycles = [rate.cycle_s for rate in rates if rate.cycle_s]
        return cls(
            begins_s={index: place * round_s for place, index in enumerate(indices)},
            total_s=len(indices) * round_s,
            cycle_s=sum(cycles) / len(cycles) if cycles else 0.0,
        )

    def course(self, samples: Sequence[RequestSample]) -> Course:
        moments = [self.begins_s[sample.round] + sample.intended_s for sample in samples]
        return Course(np.array(moments, dtype=np.float64), self.total_s, self.cycle_s)


def _rate_estimates(rates: Sequence[Rates], cycle_s: float) -> dict[Metric, Estimate]:
    if not any(rate.tokens.times.size for rate in rates):
        return {}
    return {
        metric: event_rate(stretches, cycle_s=cycle_s)
        for metric, stretches in _stretches(rates).items()
    }


def _stretches(rates: Sequence[Rates]) -> dict[Metric, list[Stretch]]:
    stretches = {
        Metric.OUTPUT_TOKENS_PER_S: [rate.tokens for rate in rates],
        Metric.REQUESTS_PER_S: [rate.requests for rate in rates],
    }
    if good := [rate.good for rate in rates if rate.good is not None]:
        stretches[Metric.GOODPUT_PER_S] = good
    return stretches


def _gap_estimates(kept: Sequence[RequestSample], clock: _Clock) -> dict[Metric, Estimate]:
    served = [s for s in kept if s.ok]
    gaps, owners = token_gaps(served)
    if not gaps.size:
        return {}
    of_requests = clock.course(served)
    course = replace(of_requests, moments=of_requests.moments[owners])
    mean = mean_in_time(gaps, course)
    return {Metric.ITL_MEAN_MS: mean} | _quantiles("itl", gaps, owners, course)


def _no_finer(metric: Metric, one: Estimate, rate: Estimate) -> Estimate:
    """A machine that runs a few per cent slower moves every tail by as much. Requests that come in
    waves hide it from ranks: in each wave the same share of them lies below the tail."""
    if not metric.value.endswith(("_p95_ms", "_p99_ms")) or rate.value <= 0:
        return one
    share = min(1.0, (rate.high - rate.low) / 2 / rate.value)
    return one.replace(
        low=min(one.low, one.value * (1 - share)), high=max(one.high, one.value * (1 + share))
    )


def _quantiles(
    stem: str, values: NDArray[np.float64], clusters: NDArray[np.int64], course: Course
) -> dict[Metric, Estimate]:
    return {
        _metric(stem, f"p{q}"): clustered_quantile(values, clusters, q / 100, course=course)
        for q in _PERCENTILES
    }


def _points(kept: Sequence[RequestSample], rate: Rates) -> dict[Metric, float]:
    """Point values of one round."""
    points: dict[Metric, float] = {}
    if rate.tokens.times.size:
        points |= {metric: rate_of(seen) for metric, seen in _stretches([rate]).items()}
    series = latencies(kept) | {"itl": token_gaps(kept)[0]}
    for stem, values in series.items():
        if values.size:
            points[_metric(stem, "mean")] = float(values.mean())
            for q, value in zip(_PERCENTILES, np.percentile(values, _PERCENTILES), strict=True):
                points[_metric(stem, f"p{q}")] = float(value)
    return points


def _metric(stem: str, statistic: str) -> Metric:
    return Metric(f"{stem}_{statistic}_ms")
