"""Conditioning a Gaussian process on the measurements nearest to what is asked."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge.prediction.kernel import Array, Inputs, Kernel

NEIGHBOURS = 256
_SCALES = (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class Posterior:
    """Mean and covariance of the latent log residuals of some points."""

    mean: Array
    covariance: Array
    noise: Array
    """Variance of a measurement at each point around its latent value."""

    @property
    def deviation(self) -> Array:
        """Standard deviation of a new measurement at each point."""
        return np.asarray(np.sqrt(np.maximum(np.diag(self.covariance), 0) + self.noise))

    def given(self, index: NDArray[np.intp], measured: Array) -> "Posterior":
        """After measuring the points of `index`.

        A deployment may be stranger than the usual one: its covariance is averaged over a few
        scales, each weighted by how well it explains what was measured.
        """
        conditioned = [self._scaled(scale)._given(index, measured) for scale in _SCALES]
        evidence = np.array([found[1] for found in conditioned])
        weights = np.exp(evidence - evidence.max())
        weights /= weights.sum()
        mean = sum(w * found.mean for w, (found, _) in zip(weights, conditioned, strict=True))
        spread = np.zeros_like(self.covariance)
        for weight, (found, _) in zip(weights, conditioned, strict=True):
            away = found.mean - mean
            spread += weight * (found.covariance + np.outer(away, away))
        return Posterior(np.asarray(mean), spread, self.noise)

    def _scaled(self, scale: float) -> "Posterior":
        return Posterior(self.mean, self.covariance * scale, self.noise)

    def _given(self, index: NDArray[np.intp], measured: Array) -> tuple["Posterior", float]:
        """Plain conditioning, and the log evidence of what was measured."""
        inner = self.covariance[np.ix_(index, index)] + np.diag(self.noise[index])
        miss = measured - self.mean[index]
        gain = np.linalg.solve(inner, self.covariance[index]).T
        after = Posterior(
            mean=self.mean + gain @ miss,
            covariance=self.covariance - gain @ self.covariance[index],
            noise=self.noise,
        )
        evidence = -0.5 * (miss @ np.linalg.solve(inner, miss) + np.linalg.slogdet(inner)[1])
        return after, float(evidence)


def posterior(
    kernel: Kernel,
    known: Inputs,
    residuals: Array,
    asked: Inputs,
    *,
    extra: int = 0,
    among_known: NDArray[np.float32] | None = None,
) -> Posterior:
    """Residuals of `asked` given the nearest of `known`; the last `extra` of it always count.

    `among_known`: kernel.covariance(known, known), where many questions are worth its memory.
    """
    across = kernel.covariance(known, asked)
    chosen = np.arange(len(known))
    if len(known) > NEIGHBOURS + extra:
        nearness = across.max(axis=1)
        nearness[len(known) - extra :] = np.inf
        chosen = np.argpartition(-nearness, NEIGHBOURS + extra)[: NEIGHBOURS + extra]
        known, residuals, across = known.take(chosen), residuals[chosen], across[chosen]
    alike = (
        kernel.covariance(known, known)
        if among_known is None
        else among_known[np.ix_(chosen, chosen)]
    )
    within = alike + np.diag(kernel.noise_variance(known))
    solved = np.linalg.solve(within, np.column_stack([residuals, across]))
    return Posterior(
        mean=across.T @ solved[:, 0],
        covariance=kernel.covariance(asked, asked) - across.T @ solved[:, 1:],
        noise=kernel.noise_variance(asked),
    )
