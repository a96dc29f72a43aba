"""Is the candidate faster than the reference, by how much, and how sure is that."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from knowledge.statistics.bootstrap import resample_indices
from knowledge.statistics.student import normal_quantile, small_sample_factor
from knowledge.types import Estimate

_RESAMPLES = 2000
_LEVEL = 0.95


def speedup(
    reference: Sequence[float],
    candidate: Sequence[float],
    *,
    higher_is_better: bool,
    seed: int,
    launch_cv: float = 0.0,
    paired: bool = False,
) -> Estimate:
    """How many times better the candidate is: a ratio above 1 is a gain, for times and rates.

    Values are figures per round or per window. `paired`: the i-th of both were measured in turns,
    so drift cancels and the mean log-ratio of the pairs is taken. `launch_cv` is the relative
    spread from one launch to the next of the same configuration, which no number of rounds
    within a launch shows; both launches carry it. Raises ValueError when a mean is not positive.
    """
    ref = np.asarray(reference, dtype=np.float64)
    cand = np.asarray(candidate, dtype=np.float64)
    if paired:
        log_ratio, draws = _paired(ref, cand, seed)
        factor = small_sample_factor(_LEVEL, ref.size)
    else:
        log_ratio = math.log(_positive_mean(cand)) - math.log(_positive_mean(ref))
        draws = _log_means(cand, seed + 1) - _log_means(ref, seed)
        factor = small_sample_factor(_LEVEL, min(ref.size, cand.size))
    low, high = np.percentile(draws, [50 * (1 - _LEVEL), 50 * (1 + _LEVEL)])
    below = factor * max(0.0, log_ratio - float(low))
    above = factor * max(0.0, float(high) - log_ratio)
    if not higher_is_better:
        log_ratio, below, above = -log_ratio, above, below
    n = min(ref.size, cand.size)
    return _from_logs(log_ratio, below, above, launch_cv=launch_cv, n=int(n))


def ratio_of_estimates(
    reference: Estimate,
    candidate: Estimate,
    *,
    higher_is_better: bool,
    launch_cv: float = 0.0,
) -> Estimate:
    """Speed-up from two estimates: half-widths taken as 1.96 sd and added on the log scale."""
    if reference.value <= 0 or candidate.value <= 0:
        raise ValueError("a ratio needs positive values")
    ref_below, ref_above = _log_halves(reference)
    cand_below, cand_above = _log_halves(candidate)
    log_ratio = math.log(candidate.value / reference.value)
    below, above = math.hypot(cand_below, ref_above), math.hypot(cand_above, ref_below)
    if not higher_is_better:
        log_ratio, below, above = -log_ratio, above, below
    n = min(reference.n, candidate.n)
    return _from_logs(log_ratio, below, above, launch_cv=launch_cv, n=n)


def minimum_detectable_effect(
    within_cv: float, n: int, *, launch_cv: float = 0.0, power: float = 0.8
) -> float:
    """The least speed-up (a ratio above 1) that a comparison like this would find.

    `within_cv` is the relative spread of one of the n figures on each side. Two-sided 5 % test.
    """
    spread = math.sqrt(2 * within_cv**2 / max(1, n) + 2 * launch_cv**2)
    factor = small_sample_factor(_LEVEL, n) * normal_quantile(_LEVEL)
    return math.exp((factor + NormalDist().inv_cdf(power)) * spread)


def _paired(
    ref: NDArray[np.float64], cand: NDArray[np.float64], seed: int
) -> tuple[float, NDArray[np.float64]]:
    if ref.shape != cand.shape or ref.size == 0:
        raise ValueError(f"pairs need equal counts, not {ref.size} and {cand.size}")
    if min(ref.min(), cand.min()) <= 0:
        raise ValueError("a ratio needs positive values")
    logs = np.log(cand / ref)
    rows = resample_indices(ref.size, seed=seed, resamples=_RESAMPLES)
    return float(logs.mean()), np.concatenate([logs[r].mean(axis=-1) for r in rows])


def _positive_mean(values: NDArray[np.float64]) -> float:
    mean = float(values.mean()) if values.size else 0.0
    if mean <= 0:
        raise ValueError("a ratio needs positive values")
    return mean


def _log_means(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    rows = resample_indices(values.size, seed=seed, resamples=_RESAMPLES)
    means = np.concatenate([values[r].mean(axis=-1) for r in rows])
    # A resample of nothing but idle windows has no logarithm.
    return np.asarray(np.log(np.maximum(means, values.mean() / values.size)))


def _log_halves(estimate: Estimate) -> tuple[float, float]:
    low = max(estimate.low, estimate.value / 1000)
    return math.log(estimate.value / low), math.log(estimate.high / estimate.value)


def _from_logs(
    log_ratio: float, below: float, above: float, *, launch_cv: float, n: int
) -> Estimate:
    launch = normal_quantile(_LEVEL) * math.sqrt(2) * launch_cv
    return Estimate(
        value=math.exp(log_ratio),
        low=math.exp(log_ratio - math.hypot(below, launch)),
        high=math.exp(log_ratio + math.hypot(above, launch)),
        n=n,
    )
