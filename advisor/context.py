"""What the nodes need of the outside world, handed in by the runner; nothing is global."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from knowledge.types import (
    Candidate,
    Estimate,
    Event,
    LoadPlan,
    LoadSearch,
    Metric,
    QualityPlan,
    QualityResult,
    Task,
    TrialResult,
    TrialSpec,
    WorthChecking,
)
from knowledge.types.trial import Purpose
from tools.engines.base import FlagCatalog
from tools.executors.base import Executor, Job
from tools.executors.local import Local
from tools.preparing import World
from tools.store import Store
from tools.trial import Until

_LONG_PROMPT_TOKENS = 1024

if TYPE_CHECKING:
    from advisor.policy.advice import Adviser
    from advisor.policy.base import Seen

OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class Pace:
    """How long a trial's parts last; shorter on a simulated engine."""

    load: LoadPlan = field(default_factory=lambda: LoadPlan(warmup_s=3, round_s=20, rounds=1))
    naive: LoadPlan = field(default_factory=lambda: LoadPlan(warmup_s=0.5, round_s=16, rounds=1))
    production: LoadPlan = field(default_factory=lambda: LoadPlan(warmup_s=4, round_s=8, rounds=6))
    """In turns its rounds are a limit: it ends once the answer is clear."""
    most_rounds: int = 10
    """As many rounds in turns where the budget that is left has room for them."""
    load_search: LoadSearch = field(default_factory=LoadSearch)
    quality: QualityPlan = field(default_factory=lambda: QualityPlan(chunks=12, grow_to=48))
    drain_s: float = 3.0
    """How long a round's last requests take, for the reckoning of the budget."""
    deadline_s: float = 420.0
    launch_cv: float = 0.015
    """Relative spread of the same configuration from launch to launch."""
    launch_repeats: int = 0
    """Launches on this machine that tell of it; 0: it is assumed."""
    least_gain: float = 0.01
    """A gain whose lower bound lies below this is not worth a change."""


@dataclass
class Context:
    """One per run of a session."""

    session: str
    task: Task
    store: Store
    world: World
    pace: Pace
    on_event: OnEvent
    catalog: FlagCatalog | None = None
    """Of the task's engine."""
    catalogs: dict[str, FlagCatalog] = field(default_factory=dict)
    """Of the engines that the session may move to, as far as they are installed."""
    naive: bool = True
    reports: Path = Path("reports")
    executor: Executor = field(default_factory=Local)
    """Where trials run. Only this process writes the store."""
    parallel: int | None = None
    """How many hypotheses are measured at the same time; None: as many as there is room for."""
    approval_wait_s: float | None = None
    """How long a risky step waits for a person's word; None: nobody is asked."""
    adviser: "Adviser | None" = None
    """An LLM that proposes, where one is configured."""
    past: "tuple[Seen, ...] | None" = None
    """What past sessions on similar tasks measured; looked up once."""

    def emit(self, kind: str, /, **payload: object) -> None:
        """Append to the session's one log and tell whoever watches."""
        self.on_event(self.store.append(self.session, kind, dict(payload)))

    @property
    def metric(self) -> Metric:
        return self.task.objective.metric

    def spec(
        self,
        ordinal: int,
        purpose: Purpose,
        candidate: Candidate,
        *,
        load: LoadPlan | None = None,
        quality: bool = True,
        worth_checking: WorthChecking | None = None,
        load_search: LoadSearch | None = None,
    ) -> TrialSpec:
        plan = self.pace.quality.replace(
            floor=self.task.quality_floor,
            same_weights=self.leaves_the_model_alone(candidate),
            tasks_path=self.task.tasks.path if self.task.tasks else None,
            tasks_sha256=self.task.tasks.sha256 if self.task.tasks else None,
            retrieval_tokens=self._retrieval_tokens(),
        )
        return TrialSpec(
            session=self.session,
            ordinal=ordinal,
            purpose=purpose,
            candidate=candidate,
            model=self.task.model,
            workload=self.task.workload,
            load=(load or self.pace.load).replace(seed=self.task.seed + ordinal),
            quality=plan if quality else None,
            worth_checking=worth_checking,
            load_search=load_search,
            deadline_s=self.pace.deadline_s * (2 if load_search else 1),
        )

    def leaves_the_model_alone(self, candidate: Candidate) -> bool:
        """None of the hypotheses that led to it risks quality: predictions must be the same."""
        known = {h.candidate.content_id(): h for _, h in self.store.hypotheses(self.session)}
        at, start = candidate.content_id(), self.task.default.content_id()
        for _ in range(len(known) + 1):
            if at == start:
                return True
            hypothesis = known.get(at)
            if hypothesis is None or hypothesis.quality_risk != "none":
                return False
            at = hypothesis.parent
        return False

    def _retrieval_tokens(self) -> tuple[int, ...]:
        """Where the prompts are long, facts far back must still be found."""
        longest = self.task.workload.input_tokens.high
        return (longest,) if longest >= _LONG_PROMPT_TOKENS else ()

    @property
    def reference_quality(self) -> QualityResult | None:
        """Of the engine's default: what every other trial's answers are compared with."""
        trials = self.store.trials(self.session)
        return next((t.quality for t in trials if t.spec.purpose == "baseline"), None)

    async def measure(
        self, *specs: TrialSpec, until: Until | None = None
    ) -> tuple[TrialResult, ...]:
        """Run trials (several: in turns, and no longer than `until` it is clear), or take from the
        store those that already finished."""
        known = [self.store.trial(spec.trial_id) for spec in specs]
        if all(known):
            return tuple(result for result in known if result)
        for spec in specs:
            self.emit("trial_started", trial=spec.trial_id, purpose=spec.purpose)
        job = Job(specs, self.task.slos, self.reference_quality, until)
        measured = await self.executor.measure(job, self.world)
        for one in measured:
            if self.store.put_trial(self.session, one.result, one.samples):
                self.emit("trial_finished", **describe(one.result))
        return tuple(one.result for one in measured)

    async def measure_many(self, specs: Sequence[TrialSpec]) -> tuple[TrialResult, ...]:
        """Each for itself, all at the same time; its row is written as soon as a trial ends."""
        running = [asyncio.create_task(self.measure(spec)) for spec in specs]
        try:
            return tuple(result for (result,) in await asyncio.gather(*running))
        finally:
            for one in running:
                one.cancel()
            await asyncio.gather(*running, return_exceptions=True)


def describe(result: TrialResult) -> dict[str, object]:
    """What a watcher sees of a trial: plain JSON."""
    shown: dict[str, object] = {
        "trial": result.trial_id,
        "purpose": result.spec.purpose,
        "seconds": round(result.seconds, 1),
    }
    if result.failure:
        shown |= {"failure": result.failure.cause.value, "message": result.failure.message}
    if result.measurement:
        shown["metrics"] = {
            metric.value: [round(e.value, 2), round(e.low, 2), round(e.high, 2)]
            for metric, e in result.measurement.metrics.items()
        }
    return shown


def wall_s(results: Sequence[TrialResult]) -> float:
    """Seconds from the first start to the last end."""
    begun, ended = min(r.started_at for r in results), max(r.finished_at for r in results)
    return (ended - begun).total_seconds()


def figure(result: TrialResult | None, metric: Metric) -> Estimate | None:
    """One metric of a trial, None when it was not measured."""
    if result is None or result.measurement is None:
        return None
    return result.measurement.metrics.get(metric)


def slos_met(task: Task, result: TrialResult) -> bool:
    """Every SLO holds at its measured value. A figure that is missing breaks its SLO."""
    return worst_violation(task, result) <= 0


def worst_violation(task: Task, result: TrialResult) -> float:
    """The largest relative distance to an SLO's limit; 0 or below when all hold."""
    violations = [
        slo.violation(seen.value) if (seen := figure(result, slo.metric)) else float("inf")
        for slo in task.slos
    ]
    return max(violations, default=0.0)


def failed_checks(results: Sequence[TrialResult]) -> tuple[str, ...]:
    """Names of the integrity checks that failed in any of the trials."""
    return tuple(
        check.name
        for result in results
        if result.integrity
        for check in result.integrity.checks
        if not check.passed
    )
