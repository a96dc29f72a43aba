"""Did the machine itself change: by a fixed piece of work that is done on it while it is idle."""

from collections.abc import Sequence
from statistics import median

_SLOW = 0.8
"""Below this share of its best speed the machine is not the one that it was."""


def machine_changed(speeds: Sequence[float]) -> str:
    """A warning in Russian, or "". Speeds before every round and after the last."""
    if len(speeds) < 2 or max(speeds) <= 0:
        return ""
    best = max(speeds)
    slow = [index for index, speed in enumerate(speeds) if speed < _SLOW * best]
    if not slow:
        return ""
    worst = 1 - min(speeds) / best
    last = len(speeds) - 1
    before = ", ".join(str(index + 1) for index in slow if index < last)
    where = [f"перед раундами: {before}"] if before else []
    where += ["после последнего раунда"] if last in slow else []
    return (
        f"Машина во время замера менялась: контрольная работа процессора шла на {worst:.0%} "
        f"медленнее, чем в лучший момент ({'; '.join(where)})"
    )


def slower_than(speeds: Sequence[float], others: Sequence[float]) -> float | None:
    """How much slower the machine was in this trial than in the other: 0.25 is a quarter, below 0
    is faster. None where it was no other machine, as far as the work can tell."""
    if not speeds or not others or min(median(speeds), median(others)) <= 0:
        return None
    ratio = median(speeds) / median(others)
    return None if _SLOW <= ratio <= 1 / _SLOW else 1 - ratio
