"""How a session of the product ends, on a surface: the run-off, then default and winner from cold.

What a search found and what is handed in are two things: the second was measured again.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from advisor.context import slos_met
from advisor.launches import MOST_PAIRS
from advisor.policy.handin import Measured, choice, most_rounds, pair_to_repeat
from advisor.policy.loop import AskTell
from bench.search.surface import Surface
from knowledge.statistics import Answer, Launches, ratio_of_estimates
from knowledge.types import Candidate, Estimate, TrialResult


@dataclass(frozen=True)
class RunOff:
    """Whom it chose, and what it was told."""

    winner: Candidate
    first: Candidate
    """Of the best single figure: what the winner's curse picks."""
    repeats: int


def run_off(
    surface: Surface,
    sound: Sequence[TrialResult],
    hypotheses: int,
    rng: random.Random,
    launched: set[object],
) -> RunOff:
    """Who of the sound could still be better than the best is measured beside it."""
    sd = math.hypot(surface.launch_cv, surface.window_cv)
    measured = [
        Measured(trial.spec.candidate, log_of(surface, trial), sd, trial.spec.ordinal)
        for trial in sound
    ]
    first = max(measured, key=lambda one: one.value)
    moment, repeats = hypotheses + 1, 0
    for _ in range(most_rounds(hypotheses)):
        pair = pair_to_repeat(measured)
        if pair is None:
            break
        for candidate in pair:
            again = surface.measure(candidate, moment, rng, launched)
            measured.append(Measured(candidate, log_of(surface, again), sd, moment))
        moment, repeats = moment + 1, repeats + 2
    return RunOff(choice(measured), first.candidate, repeats)


def handed_in(
    surface: Surface, loop: AskTell, rng: random.Random, launched: set[object]
) -> Candidate:
    """The winner where it is proven from cold beside the default, with time for all pairs of
    launches; else the default."""
    task, hypotheses = surface.task, len(loop.trials) - 1
    assert loop.reference
    winner = loop.reference.spec.candidate
    if slos_met(task, loop.reference):
        sound = [t for t in loop.trials if t.measurement and slos_met(task, t)]
        winner = run_off(surface, sound, hypotheses, rng, launched).winner
    if winner == task.default:
        return winner
    plan = Launches(MOST_PAIRS, loop.pace.launch_cv, loop.pace.least_gain)
    gains: list[Estimate] = []
    for number in range(MOST_PAIRS):
        moment = hypotheses + most_rounds(hypotheses) + 1 + number
        theirs, ours = (
            surface.measure(one, moment, rng, launched, loop.pace.production.rounds)
            for one in (task.default, winner)
        )
        if not ours.measurement or not theirs.measurement:
            return task.default
        if slos_met(task, ours) != slos_met(task, theirs):
            return winner if slos_met(task, ours) else task.default
        metric = task.objective.metric
        pair = (one.measurement.metrics[metric] for one in (theirs, ours) if one.measurement)
        gains.append(ratio_of_estimates(*pair, higher_is_better=metric.higher_is_better))
        judged = plan.judge(gains)
        if judged.answer is not Answer.GO_ON:
            return winner if judged.answer is Answer.GAIN else task.default
    return task.default


def log_of(surface: Surface, trial: TrialResult) -> float:
    """Of the objective's figure, above is better."""
    assert trial.measurement
    seen = trial.measurement.metrics[surface.task.objective.metric]
    return surface.sign * math.log(seen.value)
