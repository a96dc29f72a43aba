"""Has a series changed? A sequential test by ranks with a stated false-alarm rate.

Each new value is ranked among all before it. While the values are exchangeable, the ranks make
p-values that are independent and uniform whatever the distribution (conformal p-values: Vovk,
Nouretdinov, Gammerman, "Testing exchangeability on-line", ICML 2003). Each p-value is bet on, and
the bets are multiplied and restarted at 1 (CUSUM of e-values: Shin, Ramdas, Rinaldo, "E-detectors",
2022): S_t = max(S_{t-1}, 1) · e(p_t). An alarm at S ≥ c comes, on average, not before c values have
been seen without a change. No variance is estimated and no threshold is set by hand.

Values that follow each other closely are alike, so the series is whitened first: what is ranked is
x_t − φ·x_{t−1}, φ from the warm-up.
"""

import math
import random
import statistics
from bisect import bisect_left, bisect_right, insort
from collections import deque
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Literal

from knowledge.types import Estimate

Direction = Literal["up", "down"]
HELD_BACK = 60
"""So many values pass before one joins what later ones are ranked on."""
WARM_UP = 100
"""Values before the first bet: the scale that later ones are ranked on."""
_KAPPAS = (0.1, 0.3, 0.5, 0.7)
_MOST_PHI = 0.8
_SLOPE_Z = 2.576  # 99 %


@dataclass(frozen=True)
class Change:
    """A change that was found, with what the series was before and after."""

    direction: Direction
    began: int
    """Index of the first value after the change, as the test sees it."""
    found: int
    """Index of the value that settled it."""
    before: float
    after: float
    evidence: float
    """The e-value: how many times more than without a change."""

    @property
    def ratio(self) -> float | None:
        """After over before; None where before is 0."""
        return self.after / self.before if self.before else None


def bet(p: float) -> float:
    """An e-value of a p-value: a mixture of κ·p^(κ−1), whose mean over a uniform p is 1."""
    return sum(kappa * math.pow(p, kappa - 1) for kappa in _KAPPAS) / len(_KAPPAS)


@dataclass
class ChangeDetector:
    """Feed it values one by one. After a change it learns the new state and goes on.

    `false_alarm_every`: so many values, on average at least, lie between two false alarms.
    """

    false_alarm_every: float
    directions: tuple[Direction, ...] = ("up", "down")
    warm_up: int = WARM_UP
    whiten: bool = True
    seed: int = 0
    _values: list[float] = field(default_factory=list)
    _sorted: list[float] = field(default_factory=list)
    _scores: dict[Direction, float] = field(default_factory=dict)
    _began: dict[Direction, int] = field(default_factory=dict)
    _phi: float = 0.0
    _offset: int = 0
    _held: deque[float] = field(default_factory=deque)
    """Not yet ranked against: the first values after a change must not make the rest look usual."""

    def __post_init__(self) -> None:
        self._ties = random.Random(self.seed)

    @property
    def ready(self) -> bool:
        """Whether it bets already, or still learns what is usual."""
        return len(self._values) > self.warm_up

    @property
    def reference(self) -> float | None:
        """The median of what it has learnt so far."""
        return statistics.median(self._values) if self._values else None

    def update(self, value: float) -> Change | None:
        """The change that this value settles, if it does."""
        self._values.append(value)
        count = len(self._values)
        if count < self.warm_up:
            return None
        if count == self.warm_up:
            self._learn()
            return None
        residual = self._residual(count - 1)
        p_up = self._p_up(residual)
        self._held.append(residual)
        if len(self._held) > HELD_BACK:
            insort(self._sorted, self._held.popleft())
        for direction in self.directions:
            e = bet(p_up if direction == "up" else 1 - p_up)
            if self._scores.get(direction, 1.0) <= 1.0:
                self._began[direction] = count - 1
            self._scores[direction] = max(self._scores.get(direction, 1.0), 1.0) * e
        threshold = self.false_alarm_every * len(self.directions)
        direction = max(self.directions, key=lambda one: self._scores[one])
        return self._changed(direction) if self._scores[direction] >= threshold else None

    def _learn(self) -> None:
        self._phi = _autocorrelation(self._values) if self.whiten else 0.0
        self._sorted = sorted(self._residual(i) for i in range(1, len(self._values)))
        self._scores = {}
        self._held = deque()

    def _residual(self, index: int) -> float:
        return self._values[index] - self._phi * self._values[index - 1]

    def _p_up(self, residual: float) -> float:
        """Share of values at least as large, ties broken at random: uniform, never 0 or 1."""
        above = len(self._sorted) - bisect_right(self._sorted, residual)
        equal = bisect_right(self._sorted, residual) - bisect_left(self._sorted, residual) + 1
        u = self._ties.random() or 0.5
        return (above + u * equal) / (len(self._sorted) + 1)

    def _changed(self, direction: Direction) -> Change:
        began, last = self._began[direction], len(self._values) - 1
        before, after = self._values[:began], self._values[began:]
        change = Change(
            direction=direction,
            began=self._offset + began,
            found=self._offset + last,
            before=statistics.median(before),
            after=statistics.median(after),
            evidence=self._scores[direction],
        )
        self._offset += began
        self._values = after
        self._sorted, self._scores, self._began = [], {}, {}
        self._held = deque()
        if len(after) >= self.warm_up:
            self._learn()
        return change


def slope(values: list[float]) -> Estimate | None:
    """Sen's slope per step with its 99 % interval (Kendall's variance); None below 8 values."""
    n = len(values)
    if n < 8:
        return None
    slopes = sorted((values[j] - values[i]) / (j - i) for i, j in combinations(range(n), 2))
    half = _SLOPE_Z * (n * (n - 1) * (2 * n + 5) / 18) ** 0.5 / 2
    middle = len(slopes) / 2
    low = slopes[max(0, int(middle - half))]
    high = slopes[min(len(slopes) - 1, int(middle + half))]
    return Estimate(value=statistics.median(slopes), low=low, high=high, n=n)


def _autocorrelation(values: list[float]) -> float:
    """Lag 1, kept between 0 and a limit: a trend must not be whitened away."""
    mean = statistics.fmean(values)
    spread = sum((x - mean) ** 2 for x in values)
    if spread == 0:
        return 0.0
    together = sum((a - mean) * (b - mean) for a, b in pairwise(values))
    return min(max(together / spread, 0.0), _MOST_PHI)
