"""What a policy is: it sees all trials so far and proposes; the verdicts come back in the view."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from advisor.calibration import Calibration
from knowledge.types import Candidate, Hypothesis, Metric, Slo, Task, TrialResult, Verdict
from tools.engines.base import FlagCatalog


@dataclass(frozen=True)
class View:
    """The session as a policy sees it."""

    base: Candidate
    """What the next change is applied to."""
    metric: Metric
    slos: tuple[Slo, ...]
    facts: Mapping[str, object]
    """For the conditions of technique cards."""
    regime: str
    catalog: FlagCatalog
    trials: Sequence[TrialResult]
    tested: Sequence[tuple[Hypothesis, Verdict]]
    calibration: Calibration
    trial_s: float
    """What a trial costs at present."""
    seed: int
    task: Task

    def is_new(self, candidate: Candidate) -> bool:
        """Never tried, whether it was measured or crashed, and the user's own flags as given."""
        return (
            candidate != self.base
            and self.task.allows(candidate)
            and all(candidate != trial.spec.candidate for trial in self.trials)
        )


class Policy(Protocol):
    """One file per policy; POLICY is found by the file's name."""

    name: str

    def propose(self, view: View) -> Sequence[Hypothesis]:
        """Hypotheses, best first; none when it has nothing to say."""
