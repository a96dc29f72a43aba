"""Votes to figures: how often the candidate is preferred, and how far the raters agree."""

from collections import defaultdict

from knowledge.statistics import (
    krippendorff_alpha,
    raw_agreement,
    wilson_interval,
    win_rate,
)
from knowledge.types import Choice, Estimate, Frozen, HumanEvaluation

_SCORES: dict[Choice, float] = {"candidate": 1.0, "tie": 0.5, "baseline": 0.0}


class HumanSummary(Frozen):
    """What the people said."""

    pairs: int
    rated: int
    """Pairs with a verdict: rated by somebody, or identical."""
    identical: int
    raters: int
    votes: int
    wins: int
    ties: int
    losses: int
    win_rate: Estimate | None
    """Of the candidate; a tie is half a win, identical answers are ties. Pairs are the units."""
    alpha: float | None
    """Krippendorff's, over the pairs that two or more rated."""
    agreement: float | None
    left_share: Estimate | None
    """Of the votes that were no ties, those for the left answer: 0.5 unless place mattered."""


def summarize(made: HumanEvaluation) -> HumanSummary:
    """Figures of an evaluation, complete or not."""
    votes = made.votes
    by_pair: defaultdict[str, list[Choice]] = defaultdict(list)
    for vote in votes:
        by_pair[vote.pair].append(vote.choice)
    scores = {pair: [_SCORES[choice] for choice in said] for pair, said in by_pair.items()}
    identical = [pair.pair for pair in made.pairs if pair.identical]
    scores |= {pair: [0.5] for pair in identical if pair not in scores}
    decided = [vote for vote in votes if vote.choice != "tie"]
    left = sum(vote.choice == vote.left for vote in decided)
    choices = [vote.choice for vote in votes]
    return HumanSummary(
        pairs=len(made.pairs),
        rated=len(scores),
        identical=len(identical),
        raters=len({vote.rater for vote in votes}),
        votes=len(votes),
        wins=choices.count("candidate"),
        ties=choices.count("tie"),
        losses=choices.count("baseline"),
        win_rate=win_rate(scores) if votes else None,
        alpha=krippendorff_alpha(list(by_pair.values())),
        agreement=raw_agreement(list(by_pair.values())),
        left_share=wilson_interval(left, len(decided)) if decided else None,
    )
