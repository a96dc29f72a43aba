"""A dry run: what a session would try first, with its predictions and the seconds it would take."""

from dataclasses import dataclass

from advisor.calibration import calibrate
from advisor.context import Pace
from advisor.pace import pace_of
from advisor.policies.knowledge import KnowledgePolicy
from advisor.policy.base import View
from advisor.policy.facts import facts_of
from advisor.profiling import profile_of
from knowledge.types import Hypothesis, Profile, Task
from tools import engines
from tools.engines.base import FlagCatalog


@dataclass(frozen=True)
class Plan:
    """Nothing in it was measured."""

    profile: Profile
    hypotheses: tuple[Hypothesis, ...]
    """Best first, as the first round of a session would rank them."""
    trial_s: float
    fixed_s: float
    """Baseline and production test, whatever is tried between them."""

    def within(self, budget_s: float, trials: int | None) -> int:
        """How many of the hypotheses a budget holds."""
        left, count = budget_s - self.fixed_s, 0
        for hypothesis in self.hypotheses[:trials]:
            left -= hypothesis.cost_s
            if left < 0:
                break
            count += 1
        return count


def plan_of(task: Task, catalog: FlagCatalog, *, start_s: float, naive: bool) -> Plan:
    """`start_s`: seconds that the engine takes to start, as far as they are known."""
    simulated = engines.load(task.engine).capabilities(task.hardware).simulated
    pace, base = pace_of(task, simulated=simulated), task.default
    profile = profile_of(task)
    trial_s = start_s + _load_s(pace)
    view = View(
        task=task,
        base=base,
        metric=task.objective.metric,
        slos=task.slos,
        facts=facts_of(task, base, catalog, profile),
        regime=profile.regime,
        catalog=catalog,
        trials=(),
        tested=(),
        calibration=calibrate(()),
        trial_s=trial_s,
        seed=task.seed,
    )
    production = pace.production
    fixed_s = trial_s + 2 * (start_s + production.warmup_s + production.rounds * production.round_s)
    if naive:
        fixed_s += start_s + pace.naive.warmup_s + pace.naive.rounds * pace.naive.round_s
    return Plan(profile, tuple(KnowledgePolicy().ask(view)), trial_s, fixed_s)


def _load_s(pace: Pace) -> float:
    return pace.load.warmup_s + pace.load.rounds * pace.load.round_s
