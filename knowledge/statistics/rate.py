"""The rate of events that come in waves: tokens and requests of streams that may run in step.

A window of one second holds no token while prompts are read and many after that, so windows differ
by a third and the next makes up for the last (autocorrelation -0.5 to -0.75). Drawn as if they were
independent they give intervals four to six times too wide. What the mean of a long stretch strays
by is only the slow part of the noise, and that is what is looked at here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge.statistics.slow import freedom_of
from knowledge.statistics.student import t_quantile
from knowledge.types import Estimate


@dataclass(frozen=True)
class Stretch:
    """Moments of events, in seconds from the beginning of a stretch of time that was watched."""

    times: NDArray[np.float64]
    seconds: float
    fade_s: float = 0.0
    """Each end counts in rising or falling part over this long: one cycle of the requests, so that
    a wave that is cut off in its middle counts as its mean. At most half the stretch."""

    @property
    def weight_s(self) -> float:
        """The sum of the weights."""
        return self.seconds - self.fade_s


def event_rate(
    stretches: Sequence[Stretch], *, cycle_s: float = 0.0, level: float = 0.95
) -> Estimate:
    """Events per second of all stretches with Student's interval. `n` counts the events.

    Variance: the spectrum near zero, as the mean square of the first B cosine transforms of the
    stretches laid end to end, t with B degrees of freedom (equal-weighted cosines: Müller, Journal
    of Econometrics 141, 2007; Lazarus, Lewis, Stock, Watson, JBES 36(4), 2018). The fade is a
    moving average and is divided out of the transforms. `cycle_s`: how long a request takes.
    Raises ValueError when nothing was watched.
    """
    total = sum(stretch.weight_s for stretch in stretches)
    if total <= 0:
        raise ValueError("a rate needs time")
    freedom = freedom_of(total, cycle_s)
    orders = np.arange(1, freedom + 1)
    transforms, begin = np.zeros(freedom), 0.0
    for stretch in stretches:
        transforms += _transforms(stretch, orders, begin, total)
        begin += stretch.weight_s
    fade_s = sum(stretch.fade_s for stretch in stretches) / len(stretches)
    passed = np.sinc(orders / (2 * total) * fade_s) ** 2
    intensity = float(np.mean(2 / total * transforms**2 / passed))
    # The integral of the squared weights: 1 within, rising over the fade at both ends.
    squared = sum(s.weight_s - s.fade_s / 3 for s in stretches)
    half = t_quantile(level, freedom) * math.sqrt(intensity * squared) / total
    value = rate_of(stretches)
    n = sum(int(stretch.times.size) for stretch in stretches)
    return Estimate(value=value, low=max(0.0, value - half), high=value + half, n=n)


def rate_of(stretches: Sequence[Stretch]) -> float:
    """Events per second, without an interval."""
    total = sum(stretch.weight_s for stretch in stretches)
    return sum(float(_weights(stretch).sum()) for stretch in stretches) / total


def _weights(stretch: Stretch) -> NDArray[np.float64]:
    low, high = _smeared(stretch)
    if not stretch.fade_s:
        return ((stretch.times >= 0) & (stretch.times < stretch.seconds)).astype(np.float64)
    return (high - low) / stretch.fade_s


def _smeared(stretch: Stretch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the moving average spreads each event, within [0, weight_s]."""
    low = np.clip(stretch.times - stretch.fade_s, 0.0, stretch.weight_s)
    return low, np.clip(stretch.times, 0.0, stretch.weight_s)


def _transforms(
    stretch: Stretch, orders: NDArray[np.int64], begin_s: float, total_s: float
) -> NDArray[np.float64]:
    """Of the smeared events: the integral of cos(πk·t/total) over each, in closed form."""
    waves = math.pi * orders / total_s
    if not stretch.fade_s:
        inside = stretch.times[_weights(stretch) > 0] + begin_s
        return np.array([np.cos(wave * inside).sum() for wave in waves])
    low, high = (edge + begin_s for edge in _smeared(stretch))
    integrals = [(np.sin(wave * high) - np.sin(wave * low)).sum() / wave for wave in waves]
    return np.array(integrals) / stretch.fade_s
