"""Which of the tried configurations to hand in: shrunken estimates, and who is measured again.

The best of many noisy figures is too good (the winner's curse). Every candidate is drawn towards
the mean of all tried by the share of its variance that is noise (empirical Bayes, Efron and Morris
1975). Two trials of one moment share what the machine did then, so their difference is free of
drift. Who could still be better than the best is measured again beside it, until the expected loss
of choosing now is small.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from knowledge.types import Candidate

Array = NDArray[np.float64]
LOSS_ENOUGH = 0.001
"""Expected log loss at which nobody is measured again."""
DRIFT_SD = 0.02
"""How much a machine's speed wanders from one trial to a later one (log)."""
_LEAST_SPREAD = 0.01
_MOST_ROUNDS = 6
_PART = 4
"""One round for so many hypotheses at most: a short search is not drawn out."""


@dataclass(frozen=True)
class Measured:
    """One trial's log of the objective's figure, above is better, and its standard deviation."""

    candidate: Candidate
    value: float
    sd: float
    moment: int
    """Trials measured side by side or one right after the other have the same."""


@dataclass(frozen=True)
class Standing:
    """Joint posterior of all candidates."""

    candidates: tuple[Candidate, ...]
    mean: Array
    covariance: Array

    @property
    def leader(self) -> int:
        return int(np.argmax(self.mean))

    def loss(self, rival: int) -> float:
        """How much better the rival is than the leader, where it is better: its expectation."""
        best, cov = self.leader, self.covariance
        spread = math.sqrt(max(cov[best, best] + cov[rival, rival] - 2 * cov[best, rival], 1e-12))
        z = float(self.mean[rival] - self.mean[best]) / spread
        normal = NormalDist()
        return spread * (normal.pdf(z) + z * normal.cdf(z))


def standing(measured: Sequence[Measured]) -> Standing:
    """Candidates as normal effects about a common mean, moments as normal disturbances."""
    candidates = tuple(dict.fromkeys(one.candidate for one in measured))
    values = np.array([one.value for one in measured])
    owns = np.array([[one.candidate == c for c in candidates] for one in measured], dtype=float)
    moments = np.array([one.moment for one in measured])
    noise = np.diag([one.sd**2 for one in measured])
    noise += DRIFT_SD**2 * (moments[:, None] == moments[None, :])
    precision = np.linalg.inv(noise)
    plain = owns.T @ precision @ owns
    means = (owns.T @ values) / owns.sum(axis=0)
    centre = float(means.mean())
    spread = max(float(means.var()) - float(np.diag(noise).mean()), _LEAST_SPREAD**2)
    covariance = np.linalg.inv(plain + np.eye(len(candidates)) / spread)
    mean = centre + covariance @ (owns.T @ precision @ (values - centre))
    return Standing(candidates, mean, covariance)


def most_rounds(hypotheses: int) -> int:
    """How often a pair may be measured again: the leader and its nearest rival, once more each."""
    return min(_MOST_ROUNDS, hypotheses // _PART)


def pair_to_repeat(
    measured: Sequence[Measured], enough: float = LOSS_ENOUGH
) -> tuple[Candidate, Candidate] | None:
    """The leader and whoever most endangers it; None when the choice is clear."""
    if not measured:
        return None
    now = standing(measured)
    rivals = [k for k in range(len(now.candidates)) if k != now.leader]
    rival = max(rivals, key=now.loss, default=None)
    if rival is None or now.loss(rival) <= enough:
        return None
    return now.candidates[now.leader], now.candidates[rival]


def choice(measured: Sequence[Measured]) -> Candidate:
    """The best by the shrunken estimates."""
    now = standing(measured)
    return now.candidates[now.leader]
