"""The slow noise of a server: what all requests of some seconds share, so that no mean of them is
surer for their number.

A machine that is 5 % slower for two seconds is slower for every stream. Values drawn or counted one
by one, or by batches, do not show that; the spectrum near zero does (rate.py names the sources).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge.statistics.student import t_quantile
from knowledge.types import Estimate

_SHORTEST_PERIOD_S = 10.0
"""Noise slower than this is what a mean of some ten seconds strays by: an engine's noise remembers
a second or two."""
_SHORTEST_CYCLES = 8 / 3
"""Periods near the cycle of requests are those of their waves."""
_LEAST_FREEDOM, _MOST_FREEDOM = 3, 12


def freedom_of(total_s: float, cycle_s: float) -> int:
    """How many cosine transforms of so long a stretch are of slow noise: degrees of freedom."""
    shortest = max(_SHORTEST_PERIOD_S, _SHORTEST_CYCLES * cycle_s)
    return min(_MOST_FREEDOM, max(_LEAST_FREEDOM, int(2 * total_s / shortest)))


@dataclass(frozen=True)
class Course:
    """When each of some values was seen, in seconds of `total_s` that were watched."""

    moments: NDArray[np.float64]
    total_s: float
    cycle_s: float = 0.0

    @property
    def freedom(self) -> int:
        return freedom_of(self.total_s, self.cycle_s)

    def variance_of_mean(self, values: NDArray[np.float64]) -> float:
        """Of values seen at these moments, their slow noise taken for all of it."""
        residuals = values - values.mean()
        orders = np.arange(1, self.freedom + 1)
        transforms = [
            float((residuals * np.cos(math.pi * k * self.moments / self.total_s)).sum())
            for k in orders
        ]
        return 2 * float(np.mean(np.square(transforms))) / values.size**2


def mean_in_time(values: NDArray[np.float64], course: Course, *, level: float = 0.95) -> Estimate:
    """The mean of values that share the noise of their time, with Student's interval."""
    value = float(values.mean())
    half = t_quantile(level, course.freedom) * math.sqrt(course.variance_of_mean(values))
    low = value - half
    return Estimate(
        value=value,
        low=max(0.0, low) if float(values.min()) >= 0 else low,
        high=value + half,
        n=int(values.size),
    )
