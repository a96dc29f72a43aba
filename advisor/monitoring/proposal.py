"""The session that would tune for the traffic that comes now."""

import statistics
from collections.abc import Callable, Mapping, Sequence

from knowledge.quantities import format_number
from knowledge.types import ClosedLoop, Frozen, Task

_SHORTEST_OF_LONGEST = 0.8
"""A session draws lengths from [0.8 L, L]: their mean is 0.9 L."""
_FACTOR = 1.5
_Z = 2.576  # 99 %
_TITLES = {
    "input_tokens_mean": "длина prompt",
    "output_tokens_mean": "длина ответа",
    "requests_running": "одновременных запросов",
}


class Tuned(Frozen):
    """What a session had tuned for, as a monitor sees traffic."""

    session: str
    input_tokens_mean: float
    output_tokens_mean: float
    requests_running: float | None = None


def tuned_for(session: str, task: Task) -> Tuned:
    """Means of the workload's lengths; streams where it has a fixed number."""
    load = task.workload
    arrival = load.arrival
    return Tuned(
        session=session,
        input_tokens_mean=(load.input_tokens.low + load.input_tokens.high) / 2,
        output_tokens_mean=(load.output_tokens.low + load.output_tokens.high) / 2,
        requests_running=arrival.concurrency if isinstance(arrival, ClosedLoop) else None,
    )


def outside(tuned: Tuned, seen: Mapping[str, Sequence[float]]) -> list[str]:
    """Russian phrases for what is surely more than 1.5 times off.

    Surely: the 99 % interval of the median (by order statistics) lies beyond.
    """
    found = []
    for name, values in seen.items():
        wanted = getattr(tuned, name)
        if not wanted or len(values) < 20:
            continue
        low, high = _median_interval(values)
        if low > wanted * _FACTOR or high < wanted / _FACTOR:
            typical = statistics.median(values)
            found.append(
                f"{_TITLES[name]} {format_number(typical, 0)} вместо {format_number(wanted, 0)}"
            )
    return found


def proposal(model: str, typical: Callable[[str], float | None]) -> str:
    """`advisor optimize …` for the lengths and the concurrency that are seen."""
    words = ["advisor optimize", model]
    middle = (1 + _SHORTEST_OF_LONGEST) / 2
    for option, metric in (("--input-tokens", "input_tokens_mean"),
                           ("--output-tokens", "output_tokens_mean")):  # fmt: skip
        if value := typical(metric):
            words.append(f"{option} {max(1, round(value / middle))}")
    if running := typical("requests_running"):
        words.append(f"--concurrency {max(1, round(running))}")
    return " ".join(words)


def _median_interval(values: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(values)
    half = _Z * len(ordered) ** 0.5 / 2
    low = max(0, int(len(ordered) / 2 - half))
    high = min(len(ordered) - 1, int(len(ordered) / 2 + half))
    return ordered[low], ordered[high]
