"""What a policy is: it is asked with all trials so far in view, and proposes.

Telling is looking: what a trial showed stands in the next view. So a policy has no memory of its
own, a killed session resumes with the same proposals, and `advisor.policy.loop.AskTell` gives the
same policies to whoever has no store.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable

from advisor.calibration import Calibration
from advisor.policy.costs import Costs, costs_of
from advisor.policy.pruning import Failures, failures_of
from advisor.policy.space import Settings, Space, settings_of, space_of
from knowledge.types import (
    Candidate,
    Change,
    Frozen,
    Hypothesis,
    Metric,
    Slo,
    Task,
    TrialResult,
    Verdict,
)
from tools.engines.base import FlagCatalog


class Advice(Frozen):
    """One proposal of an LLM, checked: only what exists."""

    technique: str
    title: str
    change: Change
    reason: str
    quality_risk: Literal["none", "low", "medium", "high"] = "none"


@dataclass(frozen=True)
class Seen:
    """What a past session measured: a candidate against the default of its own session."""

    settings: Settings
    log_gain: float
    sd: float
    session: str


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
    launch_cv: float = 0.015
    fixed: Change = field(default_factory=Change)
    """What every candidate has to have, e.g. the quick start while screening."""
    pending: Sequence[Candidate] = ()
    """Asked for and not measured yet."""
    past: Sequence[Seen] = ()
    """From sessions on similar tasks."""
    advice: Sequence[Advice] = ()
    """What an LLM proposed."""
    given_space: Space | None = None
    """What may be tried, where it is not all that the engine has."""
    fits: Callable[[Candidate], bool] = field(default=lambda _: True)
    """Whether it can fit into memory."""

    @cached_property
    def space(self) -> Space:
        if self.given_space:
            return self.given_space
        return space_of(self.base.config.engine, tuple(self.catalog.flags), self.facts)

    @cached_property
    def costs(self) -> Costs:
        return costs_of(self.trials, self.space.knobs, self.trial_s)

    @cached_property
    def failures(self) -> Failures:
        return failures_of(self.trials, [verdict for _, verdict in self.tested])

    @cached_property
    def tried(self) -> frozenset[Candidate]:
        """Measured, crashed, or about to be."""
        return frozenset((*self.pending, *(trial.spec.candidate for trial in self.trials)))

    def is_new(self, candidate: Candidate) -> bool:
        """Never tried, not ruled out, and the user's own flags as given."""
        return (
            candidate != self.base
            and candidate not in self.tried
            and self.task.allows(candidate)
            and self.space.has(candidate)
            and not self.failures.rule_out(settings_of(candidate))
            and self.fits(candidate)
        )

    def cost_s(self, candidate: Candidate) -> float:
        """Seconds that a trial of it will take."""
        return self.costs.of(candidate)


class Policy(Protocol):
    """One file per policy in advisor/policies/; POLICY is found by the file's name."""

    name: str

    def ask(self, view: View) -> Sequence[Hypothesis]:
        """Hypotheses, best first; none when it has nothing to say."""


@runtime_checkable
class Demanding(Policy, Protocol):
    """A policy that needs something that may not be there."""

    def require(self) -> None:
        """Raises BadInput saying what to install. Called before anything is measured."""
