"""How far launches of one configuration lie apart on this machine.

Every session launches its default and its winner twice. Where their figures differ by more than
the windows' own intervals say, the launches do; past sessions on the same machine with the same
engine tell by how much. A prior of some launches at the usual spread stands for what is not known
yet, and gives way to what was seen (the mean of a scaled inverse chi-square's parameters: Gelman et
al., "Bayesian Data Analysis", 2013, 2.6).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from advisor.context import figure
from knowledge.types import Metric, Task, TrialResult
from tools.store import Store

_PRIOR_LAUNCHES = 6.0
_LOOKED_AT, _SESSIONS = 100, 20
_LEAST_CV, _MOST_CV = 0.005, 0.1


@dataclass(frozen=True)
class LaunchNoise:
    """Relative spread, and how many repeated launches tell of it; 0: it is assumed."""

    cv: float
    repeats: int = 0


def of_machine(store: Store, task: Task, usual_cv: float, *, but: str = "") -> LaunchNoise:
    """By past sessions, the newest first; `but` is the session that asks."""
    trials: list[tuple[Metric, Sequence[TrialResult]]] = []
    rows = [row for row in store.sessions() if row.engine == task.engine and row.session != but]
    for row in rows[:_LOOKED_AT]:
        other = store.task(row.session)
        if other.hardware.machine == task.hardware.machine:
            trials.append((other.objective.metric, store.trials(row.session)))
        if len(trials) == _SESSIONS:
            break
    return of_launches(trials, usual_cv)


def of_launches(
    sessions: Iterable[tuple[Metric, Sequence[TrialResult]]], usual_cv: float
) -> LaunchNoise:
    """`sessions`: what decided in each, and its trials."""
    beyond, repeats = 0.0, 0
    for metric, trials in sessions:
        for again in _repeated(metric, trials):
            logs = [math.log(value) for value, _ in again]
            mean = math.fsum(logs) / len(logs)
            within = math.fsum(error**2 for _, error in again) / len(again)
            beyond += math.fsum((one - mean) ** 2 for one in logs) - (len(logs) - 1) * within
            repeats += len(logs) - 1
    variance = _PRIOR_LAUNCHES * usual_cv**2 + max(0.0, beyond)
    cv = math.sqrt(variance / (_PRIOR_LAUNCHES + repeats))
    return LaunchNoise(believable(cv), repeats)


def believable(cv: float) -> float:
    """Few launches may agree by chance, and one that went astray is no noise."""
    return min(max(cv, _LEAST_CV), _MOST_CV)


def _repeated(metric: Metric, trials: Sequence[TrialResult]) -> Iterable[list[tuple[float, float]]]:
    """(figure, its relative standard error) of whatever was launched more than once."""
    groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for trial in trials:
        seen = figure(trial, metric)
        if trial.spec.purpose == "naive" or seen is None or min(seen.value, seen.low) <= 0:
            continue
        key = trial.spec.candidate.content_id(), trial.spec.workload.content_id()
        error = math.log(seen.high / seen.low) / 2 / 1.96
        groups.setdefault(key, []).append((seen.value, error))
    return [group for group in groups.values() if len(group) > 1]
