"""The least speed-up that a comparison would find: said before it, and again with its noise."""

import math
from statistics import NormalDist

from knowledge.statistics.student import normal_quantile
from knowledge.types import Estimate

_LEVEL, _POWER = 0.95, 0.8


def detectable_speedup(
    reference: Estimate,
    candidate: Estimate | None = None,
    *,
    launch_cv: float = 0.0,
    least_gain: float = 0.0,
    power: float = _POWER,
) -> float:
    """A ratio above 1 that would be told from 1 + least_gain in `power` of all comparisons.

    Before the candidate was measured (None) it is expected to be as noisy as the reference.
    Half-widths of the intervals are taken as 1.96 standard deviations, as ratio_of_estimates does.
    """
    z = normal_quantile(_LEVEL)
    spread = math.sqrt(
        _half(reference) ** 2 + _half(candidate or reference) ** 2 + 2 * (z * launch_cv) ** 2
    )
    return (1 + least_gain) * math.exp(spread * (1 + NormalDist().inv_cdf(power) / z))


def _half(estimate: Estimate) -> float:
    """Of the interval on the log scale, from its upper side: a lower bound may be zero."""
    if estimate.value <= 0:
        raise ValueError("a ratio needs positive values")
    return math.log(estimate.high / estimate.value)
