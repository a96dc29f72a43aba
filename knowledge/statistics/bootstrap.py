"""Confidence intervals by resampling, vectorised."""

import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from knowledge.statistics.student import normal_quantile, small_sample_factor
from knowledge.types import Estimate

Values = Sequence[float] | NDArray[np.float64]
_CHUNK_ELEMENTS = 2_000_000


class Statistic(Protocol):
    """A statistic over the last axis: np.mean, np.median."""

    def __call__(self, values: NDArray[np.float64], /, *, axis: int) -> NDArray[np.float64]: ...


def resample_indices(
    n: int, *, seed: int, resamples: int, block: int = 1
) -> Iterator[NDArray[np.int64]]:
    """Indices of shape (rows, n), in pieces that stay small; blocks wrap around the end.

    Circular block bootstrap: Politis and Romano, 1992.
    """
    rng = np.random.default_rng(seed)
    rows = max(1, _CHUNK_ELEMENTS // n)
    blocks = math.ceil(n / block)
    offsets = np.arange(block)
    for first in range(0, resamples, rows):
        count = min(rows, resamples - first)
        starts = rng.integers(0, n, size=(count, blocks, 1))
        yield ((starts + offsets) % n).reshape(count, -1)[:, :n]


def bootstrap_interval(
    values: Values,
    statistic: Statistic,
    *,
    seed: int,
    level: float = 0.95,
    resamples: int = 1000,
    block: int = 1,
) -> Estimate:
    """Percentile bootstrap of a statistic, widened for few values.

    `block` values in a row are drawn together, for series that remember. One value alone has
    no spread: its interval is the value itself, and n = 1 says so.
    """
    data = np.asarray(values, dtype=np.float64)
    if data.size == 0:
        raise ValueError("no values to bootstrap")
    value = float(statistic(data, axis=-1))
    block = max(1, min(block, data.size // 2))
    draws = np.concatenate(
        [
            statistic(data[rows], axis=-1)
            for rows in resample_indices(data.size, seed=seed, resamples=resamples, block=block)
        ]
    )
    factor = small_sample_factor(level, data.size / block)
    return _estimate(value, draws, n=int(data.size), level=level, factor=factor)


def bootstrap_ratio(
    numerators: Values,
    denominators: Values,
    *,
    seed: int,
    level: float = 0.95,
    resamples: int = 1000,
    block: int = 1,
) -> Estimate:
    """Interval of sum(numerators) / sum(denominators), pairs drawn together.

    A rate over windows of unequal length, or a mean per token over chunks of tokens.
    """
    over = np.asarray(numerators, dtype=np.float64)
    under = np.asarray(denominators, dtype=np.float64)
    if over.size == 0 or over.shape != under.shape:
        raise ValueError(f"need as many numerators as denominators: {over.shape}, {under.shape}")
    block = max(1, min(block, over.size // 2))
    draws = np.concatenate(
        [
            over[rows].sum(axis=-1) / under[rows].sum(axis=-1)
            for rows in resample_indices(over.size, seed=seed, resamples=resamples, block=block)
        ]
    )
    value = float(over.sum() / under.sum())
    factor = small_sample_factor(level, over.size / block)
    return _estimate(value, draws, n=int(over.size), level=level, factor=factor)


def wilson_interval(successes: float, n: int, *, level: float = 0.95) -> Estimate:
    """A proportion with E. B. Wilson's interval (1927): honest even at 0 of n."""
    if n <= 0:
        raise ValueError("a proportion needs at least one trial")
    z = normal_quantile(level)
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Estimate(value=share, low=min(low, share), high=max(high, share), n=n)


def _estimate(
    value: float, draws: NDArray[np.float64], *, n: int, level: float, factor: float
) -> Estimate:
    low, high = np.percentile(draws, [50 * (1 - level), 50 * (1 + level)])
    widened_low = value + factor * (min(float(low), value) - value)
    widened_high = value + factor * (max(float(high), value) - value)
    if float(draws.min()) >= 0:
        widened_low = max(0.0, widened_low)  # times and rates stay on their side of zero
    return Estimate(value=value, low=widened_low, high=widened_high, n=n)
