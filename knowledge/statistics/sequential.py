"""A paired comparison that is looked at after every round and ends as soon as it is clear.

Two servers are measured in turns; the log-ratios of the pairs are what is judged. Looking again and
again at a fixed-sample interval would find something in noise sooner or later, so the intervals are
repeated confidence intervals (Jennison, Turnbull, Controlled Clinical Trials 5, 1984): all of them
together cover the truth in 95 of 100 comparisons, whenever one stops. The error is spent evenly on
the looks (alpha spending: Lan, DeMets, Biometrika 70, 1983; Kim, DeMets, Biometrika 74, 1987). The
bounds are of Student's t, since the noise has to be estimated from the very pairs. Its joint
distribution over the looks has no handy form and depends on nothing, so it is drawn, with a seed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from knowledge.statistics.student import normal_quantile
from knowledge.types import Estimate

FIRST_LOOK = 3
"""Two pairs have a spread that may be anything."""
LEVEL = 0.95
PATHS = 200_000
SEED = 20261125


class Answer(StrEnum):
    """What the pairs seen so far say."""

    GAIN = "gain"
    NO_GAIN = "no-gain"
    """The upper bound lies below the least gain worth having."""
    HOPELESS = "hopeless"
    """However many rounds follow, the spread between launches alone is wider than the gain."""
    GO_ON = "go-on"


@dataclass(frozen=True)
class Judgement:
    """The answer, and the speed-up with an interval that holds whenever one stops."""

    answer: Answer
    speedup: Estimate
    """Above 1 is better. A comparison that stopped early leans a little towards its answer."""


@dataclass(frozen=True)
class Sequential:
    """The plan, fixed before the first pair: at most `looks` pairs, looked at from `first` on."""

    looks: int
    higher_is_better: bool
    launch_cv: float = 0.0
    """Relative spread of one configuration from launch to launch; both sides carry it."""
    least_gain: float = 0.0
    first: int = FIRST_LOOK

    def judge(self, reference: Sequence[float], candidate: Sequence[float]) -> Judgement | None:
        """After as many pairs as given; None before the first look.

        Raises ValueError when the counts differ or a figure is not positive.
        """
        logs = _log_ratios(reference, candidate, self.higher_is_better)
        if logs.size < self.first_look:
            return None
        mean = float(logs.mean())
        half = self._half(logs)
        launch = normal_quantile(LEVEL) * math.sqrt(2) * self.launch_cv
        low, high = mean - math.hypot(half, launch), mean + math.hypot(half, launch)
        speedup = Estimate(
            value=math.exp(mean), low=math.exp(low), high=math.exp(high), n=int(logs.size)
        )
        if low > 0:
            return Judgement(Answer.GAIN, speedup)
        if high < math.log1p(self.least_gain):
            return Judgement(Answer.NO_GAIN, speedup)
        if mean + half < launch:
            return Judgement(Answer.HOPELESS, speedup)
        return Judgement(Answer.GO_ON, speedup)

    @property
    def first_look(self) -> int:
        return min(self.first, self.looks)

    def _half(self, logs: NDArray[np.float64]) -> float:
        bound = bounds(self.first_look, self.looks)[min(logs.size, self.looks)]
        return bound * float(logs.std(ddof=1)) / math.sqrt(logs.size)


@lru_cache(maxsize=32)
def bounds(first: int, looks: int, level: float = LEVEL) -> dict[int, float]:
    """By the number of pairs: what |t| exceeds, at this look or an earlier one, by its share of the
    error. Without a difference, 1 - level of all comparisons ever cross one of them."""
    if not 2 <= first <= looks:
        raise ValueError(f"looks from {first} to {looks}: a spread needs two pairs")
    return spent_evenly(_t_paths(looks), first, level)


def spent_evenly(paths: NDArray[np.float64], first: int, level: float = LEVEL) -> dict[int, float]:
    """By the number of looks: the bound that as many `paths` (draws, looks) exceed for the first
    time as the error allows up to then, the same share of it for each look."""
    draws, looks = paths.shape
    inside = np.ones(draws, dtype=bool)
    found: dict[int, float] = {}
    crossed = 0
    for count in range(first, looks + 1):
        allowed = round((1 - level) * count / looks * draws) - crossed
        seen = paths[inside, count - 1]
        found[count] = float(np.partition(seen, seen.size - allowed - 1)[seen.size - allowed - 1])
        over = inside & (paths[:, count - 1] > found[count])
        crossed += int(over.sum())
        inside &= ~over
    return found


def _t_paths(looks: int) -> NDArray[np.float64]:
    """|t| after every pair, of pairs without a difference."""
    draws = np.random.default_rng(SEED).standard_normal((PATHS, looks))
    counts = np.arange(1, looks + 1)
    means = draws.cumsum(axis=1) / counts
    squares = np.maximum((draws**2).cumsum(axis=1) - counts * means**2, 1e-12)
    return np.asarray(np.abs(means) * np.sqrt(counts * np.maximum(counts - 1, 1) / squares))


def _log_ratios(
    reference: Sequence[float], candidate: Sequence[float], higher_is_better: bool
) -> NDArray[np.float64]:
    ours, theirs = np.asarray(candidate, np.float64), np.asarray(reference, np.float64)
    if ours.shape != theirs.shape:
        raise ValueError(f"pairs need equal counts, not {theirs.size} and {ours.size}")
    if ours.size and min(ours.min(), theirs.min()) <= 0:
        raise ValueError("a ratio needs positive values")
    logs = np.log(ours / theirs)
    return np.asarray(logs if higher_is_better else -logs)
