"""When requests are due: the whole schedule of a round, drawn before the clock starts."""

import math
import random
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

from knowledge.types import Constant, Diurnal, Gamma, OpenLoop, Phased, Poisson, Steps

_DAY_STEPS = 1440


@dataclass(frozen=True)
class Due:
    """One arrival: seconds from the round's start, and how many requests may be open then."""

    at_s: float
    max_in_flight: int | None = None


def schedule(arrival: OpenLoop, duration_s: float, rng: random.Random) -> list[Due]:
    """All arrivals of a round, in order.

    A round has as many arrivals as its rate says (rounded by chance), placed as the process places
    that many: for Poisson arrivals these are independent uniform moments. So two servers and two
    rounds are offered the same load, and the gaps are still exponential.
    """
    if isinstance(arrival, Phased):
        return _phased(arrival, duration_s, rng)
    if isinstance(arrival, Steps):
        width = duration_s / len(arrival.rates_per_s)
        warp = _Warp(arrival.rates_per_s, width)
        moments = [warp.moment(share) for share in _poisson(warp.total, rng)]
    elif isinstance(arrival, Diurnal):
        warp = _Warp(_day(arrival, duration_s), duration_s / _DAY_STEPS)
        moments = [warp.moment(share) for share in _poisson(warp.total, rng)]
    else:
        moments = [duration_s * share for share in _shares(arrival, duration_s, rng)]
    return [Due(moment, arrival.max_in_flight) for moment in moments]


def _shares(
    arrival: Poisson | Constant | Gamma, duration_s: float, rng: random.Random
) -> list[float]:
    """Moments as shares of the duration, for a rate that stays."""
    expected = arrival.rate_per_s * duration_s
    if isinstance(arrival, Poisson):
        return _poisson(expected, rng)
    count = _whole(expected, rng)
    if isinstance(arrival, Constant):
        return [i / expected for i in range(count) if i < expected]
    gaps = [rng.gammavariate(arrival.burstiness, 1.0) for _ in range(count + 1)]
    ends = list(accumulate(gaps))
    return [end / ends[-1] for end in ends[:-1]] if ends[-1] else []


def _poisson(expected: float, rng: random.Random) -> list[float]:
    return sorted(rng.random() for _ in range(_whole(expected, rng)))


def _whole(expected: float, rng: random.Random) -> int:
    return math.floor(expected + rng.random())


def _day(arrival: Diurnal, duration_s: float) -> list[float]:
    """The rate in every small step of the round."""
    turns = duration_s / (arrival.period_s or duration_s)
    angles = (2 * math.pi * turns * (i + 0.5) / _DAY_STEPS for i in range(_DAY_STEPS))
    return [arrival.rate_per_s * (1 - arrival.swing * math.cos(angle)) for angle in angles]


class _Warp:
    """From the share of all arrivals to the moment, for rates that change in steps."""

    def __init__(self, rates: list[float] | tuple[float, ...], width_s: float) -> None:
        self._width_s = width_s
        self._edges = [0.0, *accumulate(rate * width_s for rate in rates)]
        self.total = self._edges[-1]

    def moment(self, share: float) -> float:
        wanted = share * self.total
        step = min(bisect_right(self._edges, wanted), len(self._edges) - 1) - 1
        inside = self._edges[step + 1] - self._edges[step]
        return self._width_s * (step + (wanted - self._edges[step]) / inside if inside else step)


def _phased(arrival: Phased, duration_s: float, rng: random.Random) -> list[Due]:
    found: list[Due] = []
    begin = 0.0
    for phase in arrival.phases:
        length = phase.share * duration_s
        moments = [0.0] * phase.burst
        if phase.arrival is not None:
            moments += [length * share for share in _shares(phase.arrival, length, rng)]
        cap = phase.max_in_flight
        if cap is None and phase.arrival is not None:
            cap = phase.arrival.max_in_flight
        found += [Due(begin + moment, cap) for moment in moments]
        begin += length
    return found
