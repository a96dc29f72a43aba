"""The default: every policy behind one budget, shared by what each has earned per second.

All proposals are ranked with one model; whose turn it is, the credit says.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from advisor.policies import grid, knowledge, llm, random, search
from advisor.policies.gp import GpPolicy, Ranker
from advisor.policy.base import Policy, View
from advisor.policy.space import settings_of
from knowledge.types import Decision, Hypothesis

_DOUBT_TRIALS, _DOUBT_GAIN = 3.0, 0.05
"""Everybody is taken to have earned at the common rate for so many trials before the first."""
_LEAST_CREDIT, _MOST_CREDIT = 0.5, 1.5
_STUCK = 3
"""After so many trials without a gain, optimizers of another kind are heard too."""
_HEARD = 8
"""Proposals of one policy that are rated."""


class KnowledgeTogether:
    """Knowledge in the portfolio: first everything safe at once, then the cards one by one."""

    name = "knowledge"

    def ask(self, view: View) -> Sequence[Hypothesis]:
        together = knowledge.combination(view)
        return [*([together] if together else []), *knowledge.POLICY.ask(view)]


@dataclass(frozen=True)
class Portfolio:
    """All proposals are rated by one model: expected improvement per second, times the credit of
    whoever proposed. Credit is what a policy has earned per second against what all have.
    """

    name: str
    model: GpPolicy
    members: tuple[Policy, ...]
    others: tuple[Policy, ...]
    """Heard when the search is stuck, or the members have nothing to say."""

    def ask(self, view: View) -> Sequence[Hypothesis]:
        if view.task.engines:  # the model and the combination know the settings of one engine
            return knowledge.POLICY.ask(view) or search.POLICY.ask(view)
        ranker = self.model.ranker(view)
        if ranker is None or not view.tested:  # knowledge comes first, in its own order
            return self._in_order(view)
        heard = [self.model.ask_with(ranker), *(one.ask(view) for one in self.members)]
        if _stuck(view) or not any(heard):
            heard += [one.ask(view) for one in self.others]
        found = [one for proposals in heard for one in proposals[:_HEARD]]
        return _ranked(view, ranker, found) or self._in_order(view)

    def _in_order(self, view: View) -> Sequence[Hypothesis]:
        for member in (*self.members, self.model, *self.others):
            if found := member.ask(view):
                return found
        return []


def _ranked(view: View, ranker: Ranker, found: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Best first; the first to propose a candidate keeps it."""
    first = {one.candidate: one for one in reversed(found)}
    rated = ranker.rate([settings_of(candidate) for candidate in first])
    worth = {one.candidate: one.worth for one in rated}
    credits = {name: credit(view, name) for name in {one.policy for one in found}}
    return sorted(
        (one for one in first.values() if one.candidate in worth),
        key=lambda one: -worth[one.candidate] * credits[one.policy],
    )


def credit(view: View, name: str) -> float:
    """What a policy has earned per second over what all have: log gains that were kept."""
    seconds = {trial.trial_id: trial.seconds for trial in view.trials}
    doubt_s = _DOUBT_TRIALS * view.trial_s
    gained, spent_s, own_gained, own_s = 0.0, 0.0, 0.0, 0.0
    for hypothesis, verdict in view.tested:
        kept = verdict.speedup if verdict.decision is Decision.KEPT else None
        gain = max(0.0, math.log(kept.value)) if kept else 0.0
        cost_s = seconds.get(verdict.trial_id, view.trial_s)
        gained, spent_s = gained + gain, spent_s + cost_s
        if hypothesis.policy == name:
            own_gained, own_s = own_gained + gain, own_s + cost_s
    rate = (gained + _DOUBT_GAIN) / (spent_s + doubt_s)
    own = (own_gained + rate * doubt_s) / (own_s + doubt_s)
    return min(_MOST_CREDIT, max(_LEAST_CREDIT, own / rate))


def _stuck(view: View) -> bool:
    last = [verdict.decision for _, verdict in view.tested[-_STUCK:]]
    return len(last) == _STUCK and Decision.KEPT not in last


POLICY = Portfolio(
    "portfolio",
    GpPolicy("gp", cards=True),
    (KnowledgeTogether(), llm.POLICY),
    (search.POLICY,),
)
BLIND = Portfolio(
    "portfolio-blind", GpPolicy("gp", cards=False), (), (search.POLICY, random.POLICY, grid.POLICY)
)
"""Without the cards: what the optimizers do on their own."""
