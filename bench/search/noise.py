"""Recorded figures are noisy, and the best of many is the luckiest: what a grid's truth is.

Configurations that were measured again tell how noisy one figure is. Every figure is then drawn
towards what its settings do on average, by the share of the residuals that this noise explains
(Efron & Morris, "Data analysis using Stein's estimator and its generalizations", 1975): settings
that do more together than apart keep what is more than noise. A grid in which nothing was measured
again is taken as it is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_LEAST_REPEATS = 3
"""Degrees of freedom from which on a spread is believed."""


@dataclass(frozen=True)
class Figures:
    """One metric over the configurations of a grid, in logarithms."""

    truth: Array
    sd: float | None
    """Of one measurement; None where nothing was measured again."""


def settle(measured: Sequence[Sequence[float]], design: Array) -> Figures:
    """`measured`: logarithms, per configuration as often as it was measured. `design`: what is set
    in each, (configurations, columns), the constant included."""
    means = np.array([float(np.mean(one)) for one in measured])
    sd = spread(measured)
    free = len(design) - int(np.linalg.matrix_rank(design))
    if sd is None or free < 2:
        return Figures(means, sd)
    counts = np.array([len(one) for one in measured])
    fitted, *_ = np.linalg.lstsq(design, means, rcond=None)
    average = design @ fitted
    apart = means - average
    residual = float(apart @ apart) / free
    if residual <= 0:
        return Figures(means, sd)
    drawn = np.minimum(1.0, sd**2 / counts / residual)
    return Figures(average + (1 - drawn) * apart, sd)


def spread(measured: Sequence[Sequence[float]]) -> float | None:
    """Standard deviation of one measurement, pooled over what was measured more than once."""
    again = [np.array(one) for one in measured if len(one) > 1]
    free = sum(len(one) - 1 for one in again)
    if free < _LEAST_REPEATS:
        return None
    return math.sqrt(sum(float(((one - one.mean()) ** 2).sum()) for one in again) / free)
