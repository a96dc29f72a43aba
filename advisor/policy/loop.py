"""Ask and tell without a store: the policies of a session for benches and for other programs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from advisor.calibration import calibrate
from advisor.context import Pace
from advisor.nodes.decide import judge
from advisor.policy.base import Advice, Policy, Seen, View
from advisor.policy.facts import facts_of
from advisor.policy.space import Space
from knowledge.types import (
    Candidate,
    Decision,
    Hypothesis,
    Profile,
    QualityVerdict,
    Task,
    TrialResult,
    Verdict,
)
from tools.engines.base import FlagCatalog


@dataclass
class AskTell:
    """`ask` for a hypothesis, measure it, `tell` what came of it. The default is told first."""

    task: Task
    policy: Policy
    catalog: FlagCatalog
    profile: Profile | None = None
    pace: Pace = field(default_factory=Pace)
    space: Space | None = None
    past: Sequence[Seen] = ()
    advice: Sequence[Advice] = ()
    fits: Callable[[Candidate], bool] = field(default=lambda _: True)
    trials: list[TrialResult] = field(default_factory=list)
    tested: list[tuple[Hypothesis, Verdict]] = field(default_factory=list)
    reference: TrialResult | None = None

    def ask(self) -> Hypothesis | None:
        """The next hypothesis; None when nothing is left to try."""
        found = self.policy.ask(self.view())
        return found[0] if found else None

    def tell(
        self,
        hypothesis: Hypothesis | None,
        result: TrialResult,
        quality: QualityVerdict | None = None,
    ) -> Verdict | None:
        """What its trial showed; without a hypothesis it is the default's.

        Whoever measures no quality tells of none, and the speed alone decides.
        """
        self.trials.append(result)
        if hypothesis is None:
            self.reference = result
            return None
        assert self.reference
        judged = hypothesis if quality else hypothesis.replace(quality_risk="none")
        verdict = judge(self, judged, result, self.reference, quality)
        self.tested.append((hypothesis, verdict))
        if verdict.decision is Decision.KEPT:
            self.reference = result
        return verdict

    def view(self) -> View:
        """The session as its policy sees it now."""
        assert self.reference
        base = self.reference.spec.candidate
        recent = [trial.seconds for trial in self.trials if trial.measurement][-3:]
        return View(
            base=base,
            metric=self.task.objective.metric,
            slos=self.task.slos,
            facts=facts_of(self.task, base, self.catalog, self.profile),
            regime=self.profile.regime if self.profile else "decode",
            catalog=self.catalog,
            trials=self.trials,
            tested=self.tested,
            calibration=calibrate(self.tested),
            trial_s=median(recent) if recent else 60.0,
            seed=self.task.seed,
            task=self.task,
            launch_cv=self.pace.launch_cv,
            past=self.past,
            advice=self.advice,
            given_space=self.space,
            fits=self.fits,
        )
