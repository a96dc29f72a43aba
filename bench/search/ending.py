"""How a session of the product ends, on a surface: the run-off, then default and winner from cold.

What a search found and what is handed in are two things: the second was measured again.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from advisor.context import slos_met
from advisor.policy.handin import Measured, choice, most_rounds, pair_to_repeat
from advisor.policy.loop import AskTell
from bench.search.surface import Surface
from knowledge.statistics import ratio_of_estimates
from knowledge.types import Candidate, TrialResult


@dataclass(frozen=True)
class RunOff:
    """Whom it chose, and what it was told."""

    winner: Candidate
    first: Candidate
    """Of the best single figure: what the winner's curse picks."""
    claimed: float
    """Log gain over the default that this figure promised."""
    repeats: int


def run_off(
    surface: Surface, trials: Sequence[TrialResult], rng: random.Random, launched: set[object]
) -> RunOff:
    """Who could still be better than the best is measured beside it. The default comes first."""
    hypotheses = len({trial.spec.candidate for trial in trials}) - 1
    sd = math.hypot(surface.launch_cv, surface.window_cv)
    measured = [
        Measured(trial.spec.candidate, log_of(surface, trial), sd, trial.spec.ordinal)
        for trial in trials
    ]
    default, first = measured[0], max(measured, key=lambda one: one.value)
    moment, repeats = max(one.moment for one in measured) + 1, 0
    for _ in range(most_rounds(hypotheses)):
        pair = pair_to_repeat(measured)
        if pair is None:
            break
        for candidate in pair:
            again = surface.measure(candidate, moment, rng, launched)
            measured.append(Measured(candidate, log_of(surface, again), sd, moment))
        moment, repeats = moment + 1, repeats + 2
    return RunOff(choice(measured), first.candidate, first.value - default.value, repeats)


def handed_in(
    surface: Surface, loop: AskTell, rng: random.Random, launched: set[object]
) -> Candidate:
    """The winner where it is proven from cold beside the default; else the default."""
    task = surface.task
    assert loop.reference
    winner = loop.reference.spec.candidate
    if slos_met(task, loop.reference):
        sound = [t for t in loop.trials if t.measurement and slos_met(task, t)]
        winner = run_off(surface, sound, rng, launched).winner
    if winner == task.default:
        return winner
    moment = len(loop.trials)
    theirs, ours = (surface.measure(c, moment, rng, launched) for c in (task.default, winner))
    if not ours.measurement or not theirs.measurement:
        return winner if ours.measurement else task.default
    if slos_met(task, ours) != slos_met(task, theirs):
        return winner if slos_met(task, ours) else task.default
    metric = task.objective.metric
    gain = ratio_of_estimates(
        theirs.measurement.metrics[metric], ours.measurement.metrics[metric],
        higher_is_better=metric.higher_is_better, launch_cv=surface.launch_cv,
    )  # fmt: skip
    return winner if gain.low > 1 else task.default


def log_of(surface: Surface, trial: TrialResult) -> float:
    """Of the objective's figure, above is better."""
    assert trial.measurement
    seen = trial.measurement.metrics[surface.task.objective.metric]
    return surface.sign * math.log(seen.value)
