"""Figures of production practice, derived from what was measured."""

import math

from knowledge.types import ClosedLoop, Frozen, Metric, TrialResult
from tools.store import SessionRecord

_MARGIN = 2.0
_LEAST_TIMEOUT_S = 10.0
_UNMEASURED_TIMEOUT_S = 300.0
_LEAST_DRAIN_S = 30.0


class Practice(Frozen):
    """Limits of one replica. What was not measured is None, and the files say so."""

    concurrency: int | None
    """In-flight requests at which the figures of the report were taken."""
    timeout_s: int
    """A whole request: twice the measured p99."""
    first_token_timeout_s: int
    """Silence after which a stream is given up: twice the p99 of TTFT, and the queue."""
    measured_timeouts: bool
    drain_s: int
    """A request that was just taken may still need as long."""
    requests_per_s: float | None
    """Lower bound of the measured rate of one replica."""


def practice(record: SessionRecord, trial: TrialResult) -> Practice:
    """From the trial that is handed in."""
    metrics = trial.measurement.metrics if trial.measurement else {}
    e2e, ttft = metrics.get(Metric.E2E_P99_MS), metrics.get(Metric.TTFT_P99_MS)
    rate = metrics.get(Metric.REQUESTS_PER_S)
    arrival = record.task.workload.arrival
    timeout_s = _timeout(e2e.high / 1000) if e2e else _UNMEASURED_TIMEOUT_S
    return Practice(
        concurrency=arrival.concurrency if isinstance(arrival, ClosedLoop) else None,
        timeout_s=math.ceil(timeout_s),
        first_token_timeout_s=math.ceil(min(timeout_s, _timeout(ttft.high / 1000)))
        if ttft
        else math.ceil(timeout_s),
        measured_timeouts=e2e is not None,
        drain_s=math.ceil(max(_LEAST_DRAIN_S, timeout_s)),
        requests_per_s=rate.low if rate else None,
    )


def _timeout(p99_s: float) -> float:
    return max(_LEAST_TIMEOUT_S, _MARGIN * p99_s)
