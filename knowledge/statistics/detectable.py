"""The least speed-up that a comparison would find: said before it, and again with its noise."""

import math
from statistics import NormalDist

from knowledge.statistics.student import normal_quantile
from knowledge.types import Estimate

_LEVEL, _POWER = 0.95, 0.8


def detectable_speedup(
    comparison: Estimate, *, least_gain: float = 0.0, power: float = _POWER
) -> float:
    """A ratio above 1 whose lower bound clears 1 + least_gain in `power` of all such comparisons.

    `comparison` is a speed-up with its interval; only how wide it is matters. Before anything was
    measured of the candidate it is that of the reference with itself: as noisy again. The lower
    half is taken as 1.96 standard deviations on the log scale, as ratio_of_estimates does.
    """
    if comparison.low <= 0:
        raise ValueError("a ratio needs positive values")
    half = math.log(comparison.value / comparison.low)
    share = NormalDist().inv_cdf(power) / normal_quantile(_LEVEL)
    return (1 + least_gain) * math.exp(half * (1 + share))
