"""A Gaussian process over settings: what the cards expect, what past sessions and this one saw.

The log of the speed-up over the default is a sum of effects of single settings, of pairs of them,
and of technique cards with the mean and spread of their intervals. Everything is an index into
small tables, since settings are few and discrete; the posterior is exact (Rasmussen & Williams,
"Gaussian Processes for Machine Learning", 2006, algorithm 2.1).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from advisor.policy.space import Settings
from knowledge.types import FlagValue

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Coded = tuple[Codes, Array]
"""Level of every key, and which cards are in force."""

_AMPLITUDES = (0.05, 0.15, 0.4)
_PAIR_SHARES = (0.05, 0.5)
_RELEVANCES = (0.1, 4.0)
_TRUSTS = (0.0, 0.5, 1.0)
"""Shares of the cards' mean effects: what was measured says how much to believe."""
_ENOUGH = 4
"""Points from which on hyperparameters are fitted."""
_LEVEL_SD = 0.1
"""How far the default itself may lie from what was measured of it."""
_RANK_LENGTH = 0.6


@dataclass(frozen=True)
class Prior:
    """What a card expects of the log speed-up where all its settings are in force."""

    settings: Settings
    mean: float
    sd: float

    def in_force(self, settings: Mapping[str, FlagValue | None]) -> bool:
        return all(settings.get(key) == value for key, value in self.settings.items())


@dataclass(frozen=True)
class Point:
    """One measured candidate: log speed-up over the default, and its standard deviation."""

    settings: Mapping[str, FlagValue | None]
    value: float
    sd: float


@dataclass(frozen=True)
class Coding:
    """Levels of every key as numbers, and how alike two levels are."""

    keys: tuple[str, ...]
    levels: tuple[tuple[FlagValue | None, ...], ...]
    priors: tuple[Prior, ...] = ()
    alike: tuple[Array, ...] = field(default=(), compare=False)

    def knows(self, row: Mapping[str, FlagValue | None]) -> bool:
        """Whether it can be encoded: every value is one of the levels."""
        return all(
            any(_exact(row.get(key)) == _exact(level) for level in levels)
            for key, levels in zip(self.keys, self.levels, strict=True)
        )

    def encode(self, rows: Sequence[Mapping[str, FlagValue | None]]) -> Coded:
        index = [{_exact(v): i for i, v in enumerate(levels)} for levels in self.levels]
        codes = [
            [book[_exact(row.get(key))] for key, book in zip(self.keys, index, strict=True)]
            for row in rows
        ]
        cards = [[prior.in_force(row) for prior in self.priors] for row in rows]
        shape = (len(rows), len(self.keys))
        return (
            np.array(codes, dtype=np.int64).reshape(shape),
            np.array(cards, dtype=np.float64).reshape(len(rows), len(self.priors)),
        )

    def correlations(self, left: Coded, right: Coded) -> Array:
        """(keys, left, right): how alike two candidates are in every key."""
        if not self.keys:
            return np.zeros((0, len(left[0]), len(right[0])))
        return np.stack([
            table[left[0][:, k][:, None], right[0][:, k][None, :]]
            for k, table in enumerate(self.alike)
        ])  # fmt: skip


def coding_of(
    rows: Sequence[Mapping[str, FlagValue | None]], priors: Sequence[Prior] = ()
) -> Coding:
    """All keys and values that occur, the default among them."""
    levels: dict[str, dict[tuple[type, object], FlagValue | None]] = {}
    for row in rows:
        for key, value in row.items():
            levels.setdefault(key, {_exact(None): None})[_exact(value)] = value
    keys = tuple(sorted(levels))
    ordered = tuple(tuple(levels[key].values()) for key in keys)
    return Coding(keys, ordered, tuple(priors), tuple(_alike(values) for values in ordered))


def _exact(value: FlagValue | None) -> tuple[type, object]:
    """True and 1 are different levels."""
    return type(value), value


def _alike(values: Sequence[FlagValue | None]) -> Array:
    """1 for the same level; numbers are alike by rank, everything else is not."""
    numbers = sorted({float(v) for v in values if _number(v)})  # type: ignore[arg-type]
    table = np.eye(len(values))
    for i, a in enumerate(values):
        for j, b in enumerate(values):
            if i != j and _number(a) and _number(b):
                apart = abs(numbers.index(float(a)) - numbers.index(float(b)))  # type: ignore[arg-type]
                table[i, j] = math.exp(-_RANK_LENGTH * apart)
    return table


def _number(value: FlagValue | None) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class Shape:
    """Hyperparameters: size of the effects, share of the pairs, relevance of every key, and how far
    the cards are believed."""

    amplitude: float
    pairs: float
    relevance: Array
    trust: float = 1.0

    def kernel(self, alike: Array) -> Array:
        """From the correlations of every key; single settings and pairs of them."""
        weighted = self.relevance[:, None, None] * alike
        single = weighted.sum(axis=0)
        both = (single**2 - (weighted**2).sum(axis=0)) / 2
        result: Array = self.amplitude**2 * (single + self.pairs * both)
        return result


class Surrogate:
    """Conditioned on the points; hyperparameters by marginal likelihood."""

    def __init__(self, coding: Coding, points: Sequence[Point]) -> None:
        self._coding = coding
        self._known = coding.encode([point.settings for point in points])
        self._cards = np.array([prior.sd for prior in coding.priors]) ** 2
        self._means = np.array([prior.mean for prior in coding.priors])
        self._noise = np.array([point.sd for point in points]) ** 2
        self._values = np.array([point.value for point in points])
        self._expected = self._known[1] @ self._means
        self._alike = coding.correlations(self._known, self._known)
        self._from_cards = self._card_kernel(self._known, self._known) + _LEVEL_SD**2
        self.shape = self._fit()
        self._root: Array = np.linalg.cholesky(self._covariance(self.shape)).astype(np.float64)
        self._weights = self._solve(self._root, self._values - self.shape.trust * self._expected)

    def predict(self, rows: Sequence[Mapping[str, FlagValue | None]]) -> tuple[Array, Array]:
        """Mean and standard deviation of the log speed-up."""
        return self.predict_coded(self._coding.encode(rows))

    def predict_coded(self, asked: Coded) -> tuple[Array, Array]:
        cross = self._cross(asked)
        mean = self.shape.trust * (asked[1] @ self._means) + cross @ self._weights
        half = np.linalg.solve(self._root, cross.T)
        spread = np.maximum(self._own(asked) - (half**2).sum(axis=0), 1e-10)
        return mean, np.sqrt(spread)

    def _cross(self, asked: Coded) -> Array:
        alike = self._coding.correlations(asked, self._known)
        found: Array = (
            self.shape.kernel(alike) + self._card_kernel(asked, self._known) + _LEVEL_SD**2
        )
        return found

    def _own(self, asked: Coded) -> Array:
        keys = len(self._coding.keys)
        one = self.shape.kernel(np.ones((keys, 1, 1)))[0, 0] if keys else 0.0
        found: Array = one + _LEVEL_SD**2 + (asked[1] ** 2) @ self._cards
        return found

    def _card_kernel(self, left: Coded, right: Coded) -> Array:
        found: Array = (left[1] * self._cards) @ right[1].T
        return found

    def _covariance(self, shape: Shape) -> Array:
        whole: Array = shape.kernel(self._alike) + self._from_cards + np.diag(self._noise + 1e-8)
        return whole

    @staticmethod
    def _solve(root: Array, values: Array) -> Array:
        solved: Array = np.linalg.solve(root.T, np.linalg.solve(root, values))
        return solved

    def _fit(self) -> Shape:
        """A coarse grid, then the relevance of one key after another."""
        keys = len(self._coding.keys)
        even = np.full(keys, 1 / math.sqrt(max(keys, 1)))
        trusts = _TRUSTS if self._coding.priors else (1.0,)
        if len(self._values) < _ENOUGH:
            return Shape(_AMPLITUDES[1], _PAIR_SHARES[0], even)
        grid = [Shape(a, p, even, t) for a, p, t in product(_AMPLITUDES, _PAIR_SHARES, trusts)]
        best = max(grid, key=self._likelihood)
        score = self._likelihood(best)
        for key in range(keys):
            for factor in _RELEVANCES:
                relevance = best.relevance.copy()
                relevance[key] = even[key] * factor
                shape = Shape(best.amplitude, best.pairs, relevance, best.trust)
                if (found := self._likelihood(shape)) > score:
                    best, score = shape, found
        return best

    def _likelihood(self, shape: Shape) -> float:
        """Log marginal likelihood, and a mild prior against far-fetched relevances."""
        root = np.linalg.cholesky(self._covariance(shape))
        half = np.linalg.solve(root, self._values - shape.trust * self._expected)
        even = 1 / math.sqrt(max(len(shape.relevance), 1))
        far = float((np.log(shape.relevance / even) ** 2).sum()) if len(shape.relevance) else 0.0
        return float(-0.5 * half @ half - np.log(np.diag(root)).sum() - 0.08 * far)
