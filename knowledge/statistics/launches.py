"""Pairs of launches, judged together: what one launch can't tell from chance, several can.

Within a launch any number of rounds leaves what this launch has by chance. So both sides are
launched again, as long as the answer is not clear and no more often than planned. The log-ratios of
the pairs are averaged; each carries its own interval and twice the known spread of launches. As in
`sequential`, the bounds cover the truth whenever one stops: the error is spent evenly on the looks
(Lan, DeMets, Biometrika 70, 1983). The spread is known, so they are of the normal distribution.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from knowledge.statistics.sequential import LEVEL, PATHS, SEED, Answer, Judgement, spent_evenly
from knowledge.statistics.student import normal_quantile
from knowledge.types import Estimate


@dataclass(frozen=True)
class Launches:
    """The plan, fixed before the first pair: at most `looks` pairs of launches."""

    looks: int
    launch_cv: float
    """Relative spread of one configuration from launch to launch; both sides carry it."""
    least_gain: float = 0.0

    def judge(self, speedups: Sequence[Estimate]) -> Judgement:
        """`speedups`: of each pair, its 95 % interval without the spread between launches. With one
        look planned this is the usual 95 % interval. Raises ValueError without a pair."""
        if not speedups:
            raise ValueError("no pair of launches")
        count = len(speedups)
        mean = math.fsum(math.log(one.value) for one in speedups) / count
        below = _pooled([math.log(one.value / one.low) for one in speedups], self.launch_cv)
        above = _pooled([math.log(one.high / one.value) for one in speedups], self.launch_cv)
        bound = bounds(self.looks)[min(count, self.looks)]
        low, high = mean - bound * below, mean + bound * above
        speedup = Estimate(
            value=math.exp(mean),
            low=math.exp(low),
            high=math.exp(high),
            n=sum(one.n for one in speedups),
        )
        least = math.log1p(self.least_gain)
        if low > 0:
            return Judgement(Answer.GAIN, speedup)
        # Launches are dear: what is likely to be less than anyone wants is not chased.
        if mean < least or high < least:
            return Judgement(Answer.NO_GAIN, speedup)
        return Judgement(Answer.GO_ON if count < self.looks else Answer.HOPELESS, speedup)


def _pooled(halves: Sequence[float], launch_cv: float) -> float:
    """Standard error of the mean log-ratio, by half-widths of 95 %."""
    z = normal_quantile(LEVEL)
    variance = math.fsum((half / z) ** 2 + 2 * launch_cv**2 for half in halves)
    return math.sqrt(variance) / len(halves)


@lru_cache(maxsize=8)
def bounds(looks: int) -> dict[int, float]:
    """By the number of pairs: what |z| exceeds, now or earlier, by its share of the error."""
    if looks == 1:
        return {1: normal_quantile(LEVEL)}
    draws = np.random.default_rng(SEED).standard_normal((PATHS, looks))
    return spent_evenly(np.abs(draws.cumsum(axis=1)) / np.sqrt(np.arange(1, looks + 1)), 1)
