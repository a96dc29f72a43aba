"""One policy on one surface, through the product's own ask and tell."""

import random
from dataclasses import dataclass

from advisor.calibration import calibrate
from advisor.context import Pace
from advisor.launch_noise import believable
from advisor.policy.base import Policy, View
from advisor.policy.facts import facts_of
from advisor.policy.loop import AskTell
from advisor.policy.space import Space
from bench.search.ending import handed_in
from bench.search.surface import Surface
from knowledge.types import Profile, Task
from tools.engines.base import FlagCatalog


@dataclass(frozen=True)
class Run:
    """What a policy found, trial by trial; the default is no trial of its own."""

    policy: str
    best: tuple[float, ...]
    """Highest true log gain among the feasible tried, after each trial."""
    seconds: tuple[float, ...]
    """Since the default was measured."""
    failures: int
    handed_in: float
    """True log gain of what a session with time left hands in: after the run-off and up to three
    pairs of launches from cold."""
    think_s: float = 0.0


def replay(surface: Surface, name: str, policy: Policy, seed: int, trials: int) -> Run:
    """`trials` of them after the default, or fewer where the policy has nothing left to say.

    How far launches lie apart is known, as on a machine with sessions behind it.
    """
    pace = Pace(launch_cv=believable(surface.launch_cv))
    loop = AskTell(
        surface.task, policy, surface.catalog, surface.profile, pace=pace, space=surface.space
    )
    rng, launched = random.Random(f"noise {surface.name} {seed}"), set[object]()
    loop.tell(None, surface.measure(surface.task.default, 0, rng, launched))
    best = surface.gain(surface.task.default)
    course: list[float] = []
    seconds: list[float] = []
    spent, failures = 0.0, 0
    for ordinal in range(1, trials + 1):
        hypothesis = loop.ask()
        if hypothesis is None:
            break
        result = surface.measure(hypothesis.candidate, ordinal, rng, launched)
        loop.tell(hypothesis, result)
        spent += result.seconds
        failures += result.failure is not None
        best = max(best, surface.gain(hypothesis.candidate))
        course.append(best)
        seconds.append(spent)
    final = handed_in(surface, loop, rng, launched)
    return Run(name, tuple(course), tuple(seconds), failures, surface.gain(final))


def session(task: Task, catalog: FlagCatalog, space: Space, profile: Profile) -> View:
    """A session before its first trial."""
    return View(
        task=task, base=task.default, metric=task.objective.metric, slos=task.slos,
        facts=facts_of(task, task.default, catalog, profile), regime=profile.regime,
        catalog=catalog, trials=(), tested=(), calibration=calibrate(()), trial_s=60.0,
        seed=task.seed, given_space=space,
    )  # fmt: skip
