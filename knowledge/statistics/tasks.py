"""Accuracy on the user's own questions: the same ones answered by both, compared in pairs."""

import math
from collections.abc import Sequence

from knowledge.statistics.student import normal_quantile
from knowledge.types import Estimate, QualityResult, TaskAnswer, TaskComparison

_LEVEL = 0.95


def compare_tasks(
    reference: QualityResult, candidate: QualityResult, *, margin: float, seed: int
) -> tuple[TaskComparison, ...]:
    """One comparison per kind of question, built-in ones by themselves. Empty without tasks."""
    theirs = {answer.question_id: answer for answer in candidate.tasks}
    pairs = [(a, theirs[a.question_id]) for a in reference.tasks if a.question_id in theirs]
    kinds = dict.fromkeys(a.kind for a, _ in pairs)
    return tuple(_compare(kind, [p for p in pairs if p[0].kind == kind], margin) for kind in kinds)


def _compare(
    kind: str, pairs: Sequence[tuple[TaskAnswer, TaskAnswer]], margin: float
) -> TaskComparison:
    n = len(pairs)
    lost = sum(a.passed and not b.passed for a, b in pairs)
    won = sum(b.passed and not a.passed for a, b in pairs)
    difference = paired_difference(lost, won, n)
    # An exact test: with few discordant pairs the interval alone is too sure of itself.
    worse = difference.high < 0 and difference.value < -margin and mcnemar_p(lost, won) < 0.05
    return TaskComparison(
        kind=kind,
        questions=n,
        reference_accuracy=sum(a.passed for a, _ in pairs) / n,
        candidate_accuracy=sum(b.passed for _, b in pairs) / n,
        only_reference=lost,
        only_candidate=won,
        difference=difference,
        margin=margin,
        non_inferior=difference.low > -margin,
        worse=worse,
    )


def paired_difference(lost: int, won: int, n: int) -> Estimate:
    """Share won minus share lost with its 95 % interval.

    Agresti and Min, "Simple improved confidence intervals for comparing matched proportions",
    2005: half a pair added to each cell, so that no discordant pair is not no uncertainty.
    """
    lost_more, won_more, whole = lost + 0.5, won + 0.5, n + 2.0
    centre = (won_more - lost_more) / whole
    spread = math.sqrt((lost_more + won_more) - (won_more - lost_more) ** 2 / whole) / whole
    half = normal_quantile(_LEVEL) * spread
    value = (won - lost) / n
    return Estimate(
        value=value,
        low=max(-1.0, min(centre - half, value)),
        high=min(1.0, max(centre + half, value)),
        n=n,
    )


def mcnemar_p(lost: int, won: int) -> float:
    """Two-sided exact p-value that both are equally often the only one to be right."""
    discordant = lost + won
    if discordant == 0:
        return 1.0
    tail = sum(math.comb(discordant, k) for k in range(max(lost, won), discordant + 1))
    return float(min(1.0, 2 * tail / 2**discordant))
