"""Which of two is preferred, how surely, and whether the raters agree with each other."""

from collections import Counter
from collections.abc import Mapping, Sequence

from knowledge.statistics.bootstrap import wilson_interval
from knowledge.types import Estimate


def win_rate(scores: Mapping[str, Sequence[float]]) -> Estimate | None:
    """Mean score (1 won, 0.5 tied, 0 lost) over items, with Wilson's interval; None without votes.

    The items are the independent units, not the votes: five raters of one prompt are no five
    prompts. Ties make the spread smaller than Wilson's binomial one, so the interval errs wide.
    """
    means = [sum(votes) / len(votes) for votes in scores.values() if votes]
    return wilson_interval(sum(means), len(means)) if means else None


def krippendorff_alpha(ratings: Sequence[Sequence[str]]) -> float | None:
    """Agreement beyond chance on nominal labels: 1 perfect, 0 as by chance, below 0 worse.

    One sequence per item, any number of raters each; items with one rating say nothing. None when
    nothing can be compared, or only one label was ever given.
    K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C.
    """
    items = [Counter(labels) for labels in ratings if len(labels) > 1]
    totals: Counter[str] = sum(items, Counter())
    n = totals.total()
    expected = n * n - sum(count * count for count in totals.values())
    if not expected:
        return None
    observed = 0.0
    for labels in items:
        m = labels.total()
        observed += (m * m - sum(count * count for count in labels.values())) / (m - 1)
    return 1 - (n - 1) * observed / expected


def raw_agreement(ratings: Sequence[Sequence[str]]) -> float | None:
    """Share of pairs of raters that said the same of the same item; None without such a pair."""
    same = pairs = 0
    for labels in ratings:
        m = len(labels)
        pairs += m * (m - 1)
        same += sum(count * (count - 1) for count in Counter(labels).values())
    return same / pairs if pairs else None
