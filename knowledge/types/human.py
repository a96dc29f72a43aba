"""What people said of two configurations' answers, side by side and blind."""

from datetime import datetime
from typing import Literal

from knowledge.types.base import Frozen

Side = Literal["baseline", "candidate"]
Choice = Literal["baseline", "candidate", "tie"]


class AnswerPair(Frozen):
    """One prompt of the user's, answered by both configurations."""

    pair: str
    prompt: str
    baseline: str
    candidate: str

    @property
    def identical(self) -> bool:
        """Nobody has to be asked: it is a tie."""
        return self.baseline.strip() == self.candidate.strip()


class HumanVote(Frozen):
    """What one rater said of one pair; the last word is in force."""

    pair: str
    rater: str
    choice: Choice
    left: Side
    """Which answer stood on the left (or above)."""
    at: datetime


class HumanEvaluation(Frozen):
    """One blind comparison of what a session handed in against the default."""

    evaluation: str
    baseline_trial_id: str
    candidate_trial_id: str
    decoding: str
    """How the answers were made: temperature, most tokens, endpoint."""
    pairs: tuple[AnswerPair, ...]
    votes: tuple[HumanVote, ...] = ()
    """One per rater and pair."""
