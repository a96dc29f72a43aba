"""Quantiles of values that come in clusters, such as the token gaps of each request."""

import math

import numpy as np
from numpy.typing import NDArray

from knowledge.statistics.student import normal_quantile, t_quantile
from knowledge.types import Estimate


def clustered_quantile(
    values: NDArray[np.float64], clusters: NDArray[np.int64], q: float, *, level: float = 0.95
) -> Estimate:
    """The quantile q in (0, 1) of all values, with R. S. Woodruff's interval (JASA, 1952).

    The spread of the share below the quantile is taken between clusters, since the gaps of one
    request resemble one another, and carried back through the empirical distribution. Resampling
    would sort every gap a thousand times over. `n` counts the values.
    """
    if values.size == 0:
        raise ValueError("no values to take a quantile of")
    value = float(np.quantile(values, q))
    _, member = np.unique(clusters, return_inverse=True)
    sizes = np.bincount(member).astype(np.float64)
    if sizes.size < 2:
        return Estimate(value=value, low=value, high=value, n=int(values.size))
    below = np.bincount(member, weights=(values <= value).astype(np.float64))
    residual = below - sizes * (below.sum() / sizes.sum())
    count = sizes.size
    between = math.sqrt(float((residual**2).sum()) * count / (count - 1)) / float(sizes.sum())
    # Never surer than independent clusters would be: with ties the residuals can vanish.
    floor = math.sqrt(q * (1 - q) / float(sizes.sum()))
    wide = t_quantile(level, count - 1) if count < 200 else normal_quantile(level)
    half = wide * max(between, floor)
    low, high = np.quantile(values, [max(0.0, q - half), min(1.0, q + half)])
    return Estimate(
        value=value, low=min(float(low), value), high=max(float(high), value), n=int(values.size)
    )
