"""Which of the tried configurations to hand in: shrunken estimates, and who is measured again.

The best of many noisy figures is too good (the winner's curse). Every candidate's estimate is drawn
towards the mean of all tried, by the share of its variance that is noise (empirical Bayes, Efron
and Morris 1975); then whoever could still be better than the best is measured again, until the
expected loss of choosing now is small.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pvariance

from knowledge.types import Candidate

LOSS_ENOUGH = 0.002
"""Expected log loss at which nobody is measured again."""
_DRAWS = 400
_LEAST_SPREAD = 1e-4


@dataclass(frozen=True)
class Measured:
    """One trial's log of the objective's figure, above is better, and its standard deviation."""

    candidate: Candidate
    value: float
    sd: float


@dataclass(frozen=True)
class Contender:
    """A candidate over all its trials: posterior mean and standard deviation."""

    candidate: Candidate
    mean: float
    sd: float
    trials: int


def contenders(measured: Sequence[Measured]) -> list[Contender]:
    """Best first."""
    grouped: dict[Candidate, list[Measured]] = {}
    for one in measured:
        grouped.setdefault(one.candidate, []).append(one)
    raw = {candidate: _pooled(trials) for candidate, trials in grouped.items()}
    centre, spread = _population(raw)
    found = []
    for candidate, (value, variance) in raw.items():
        keep = spread / (spread + variance)
        found.append(
            Contender(
                candidate,
                centre + keep * (value - centre),
                math.sqrt(keep * variance),
                len(grouped[candidate]),
            )
        )
    return sorted(found, key=lambda one: -one.mean)


def expected_loss(ranked: Sequence[Contender], seed: int) -> tuple[float, Contender | None]:
    """How much better the true best is than the first, on average; and who it most often is."""
    if len(ranked) < 2:
        return 0.0, None
    rng = random.Random(f"hand-in {seed} {sum(one.trials for one in ranked)}")
    rivals = [
        one for one in ranked[1:] if one.mean + 3 * one.sd > ranked[0].mean - 3 * ranked[0].sd
    ]
    loss, wins = 0.0, dict.fromkeys(range(len(rivals)), 0.0)
    for _ in range(_DRAWS):
        first = rng.gauss(ranked[0].mean, ranked[0].sd)
        drawn = [rng.gauss(one.mean, one.sd) for one in rivals]
        if drawn and (best := max(drawn)) > first:
            loss += best - first
            wins[drawn.index(best)] += best - first
    if not rivals:
        return 0.0, None
    return loss / _DRAWS, rivals[max(wins, key=lambda k: wins[k])]


def next_to_repeat(
    measured: Sequence[Measured], seed: int, enough: float = LOSS_ENOUGH
) -> Candidate | None:
    """Who is measured again: of the best and its nearest rival the one known less well."""
    ranked = contenders(measured)
    loss, rival = expected_loss(ranked, seed)
    if rival is None or loss <= enough:
        return None
    return min(ranked[0], rival, key=lambda one: (one.trials, -one.sd)).candidate


def choice(measured: Sequence[Measured]) -> Candidate:
    """The best by the shrunken estimates."""
    return contenders(measured)[0].candidate


def _pooled(trials: Sequence[Measured]) -> tuple[float, float]:
    """Mean weighted by precision, and its variance."""
    weights = [1 / one.sd**2 for one in trials]
    value = sum(w * one.value for w, one in zip(weights, trials, strict=True)) / sum(weights)
    return value, 1 / sum(weights)


def _population(raw: Mapping[Candidate, tuple[float, float]]) -> tuple[float, float]:
    """Mean and true variance of all tried: what is left of the variance without the noise."""
    values = [value for value, _ in raw.values()]
    noise = fmean(variance for _, variance in raw.values())
    spread = pvariance(values) if len(values) > 1 else _LEAST_SPREAD
    return fmean(values), max(spread - noise, _LEAST_SPREAD)
