"""When half of a round is enough: whether a figure could still get past a bar.

Only what has been answered is known, and short answers come first. Medians of latencies are then
too good, which errs on the safe side. A rate would be too bad, since tokens of requests under way
are missing: it is taken from the answered ones instead, as the streams of a closed loop times the
tokens that one of them gets per second (Little's law). Short answers pay their TTFT over fewer
tokens, so that this is still a little low: it is meant for answers of one kind, not for a trace.
"""

import math
from collections.abc import Sequence

import numpy as np

from knowledge.measure.requests import kept_after_ramp, latencies
from knowledge.types import Metric, RequestSample

_SIGMAS = 3.0
"""Looked at again and again, and a winner given up is worth more than some seconds."""
_MARGIN = 0.05
"""Beyond the noise of this launch: another one may be that much better."""
_PER_STREAM = 2
"""So many answers per stream at least: neighbours share a batch and are not many witnesses."""
_LEAST = 12


def out_of_reach(
    samples: Sequence[RequestSample],
    metric: Metric,
    *,
    streams: int,
    at_least: float | None = None,
    at_most: float | None = None,
) -> bool:
    """Whether the best that one round of a closed loop of `streams` can still show misses the bar.

    `samples`: of one round, in order of `intended_s`. False where this metric tells too little.
    """
    kept = [sample for sample in kept_after_ramp(samples) if sample.ok]
    if len(kept) < max(_LEAST, _PER_STREAM * streams):
        return False
    if metric is Metric.OUTPUT_TOKENS_PER_S and at_least is not None:
        return _highest_rate(kept, streams) * (1 + _MARGIN) < at_least
    stem, _, which = metric.value.partition("_")
    if which == "p50_ms" and at_most is not None:
        values = latencies(kept).get(stem)
        return (
            values is not None
            and values.size > 0
            and _lowest_median(values) > at_most * (1 + _MARGIN)
        )
    return False


def _highest_rate(kept: Sequence[RequestSample], streams: int) -> float:
    """Tokens per second; the ratio's standard error by linearization (Cochran, "Sampling
    Techniques", 1977, 6.4)."""
    tokens = np.array([float(sample.output_tokens or 0) for sample in kept])
    seconds = np.array([(sample.last_token_s or sample.end_s) - sample.sent_s for sample in kept])
    if seconds.sum() <= 0 or not tokens.any():
        return math.inf
    rate = tokens.sum() / seconds.sum()
    apart = tokens - rate * seconds
    error = math.sqrt(len(kept) / (len(kept) - 1) * float(apart @ apart)) / seconds.sum()
    return float(streams * (rate + _SIGMAS * error))


def _lowest_median(values: np.ndarray) -> float:
    """By order statistics; the ranks below the median are binomial."""
    rank = math.floor(values.size / 2 - _SIGMAS * math.sqrt(values.size) / 2)
    return float(np.sort(values)[rank]) if rank >= 0 else 0.0
