"""Which measurements stand nearest to what is asked, and in what they differ."""

import math
from collections.abc import Sequence

from knowledge.prediction.features import model_key
from knowledge.prediction.types import Neighbour, Observation, Query

_MOST = 3
_FARTHEST = 12.0


def nearest(
    query: Query, concurrency: float, observations: Sequence[Observation], count: int = _MOST
) -> tuple[Neighbour, ...]:
    """The nearest few, of this model first; none where all of them are something else."""
    found = [_neighbour(query, concurrency, seen) for seen in observations]
    close = sorted((one for one in found if one.distance < _FARTHEST), key=lambda one: one.distance)
    kept: list[Neighbour] = []
    for one in close:
        if all(not _same(one.observation, other.observation) for other in kept):
            kept.append(one)
        if len(kept) == count:
            break
    return tuple(kept)


def _same(first: Observation, second: Observation) -> bool:
    """Copies of one measurement under two names."""
    return (first.ttft_ms, first.tpot_ms) == (second.ttft_ms, second.tpot_ms)


def _neighbour(query: Query, concurrency: float, seen: Observation) -> Neighbour:
    differs: list[str] = []
    distance = 0.0
    if seen.facts is None or model_key(seen.facts) != model_key(query.facts):
        differs.append(f"модель {seen.model}")
        distance += 4.0 + (_size_gap(query, seen) if seen.facts else 2.0)
    for different, name, weight in (
        (seen.device != query.device.name, seen.device, 1.5),
        (seen.engine != query.engine, f"движок {seen.engine}", 1.0),
        (seen.weight_dtype != query.weight_dtype, f"веса {seen.weight_dtype}", 1.0),
        (seen.layout != query.layout, _layout(seen), 0.5 + _gap(seen.layout.devices,
                                                               query.layout.devices)),
    ):  # fmt: skip
        if different:
            differs.append(name)
            distance += weight
    for mine, theirs, name in (
        (query.load.input_tokens, seen.input_tokens, "вход"),
        (query.load.output_tokens, seen.output_tokens, "выход"),
        (concurrency, seen.concurrency, "потоков"),
    ):
        gap = _gap(mine, theirs)
        if gap > 0.1:
            differs.append(f"{name} {theirs:.0f}")
            distance += 0.5 * gap
    return Neighbour(observation=seen, differs_in=tuple(differs), distance=distance)


def _gap(first: float, second: float) -> float:
    """Doublings between two counts."""
    return abs(math.log2(first / second))


def _size_gap(query: Query, seen: Observation) -> float:
    assert seen.facts is not None
    return _gap(query.facts.active_parameters, seen.facts.active_parameters)


def _layout(seen: Observation) -> str:
    layout = seen.layout
    parts = [("TP", layout.tp), ("PP", layout.pp), ("DP", layout.dp), ("EP", layout.ep)]
    return " ".join(f"{name}={degree}" for name, degree in parts if degree > 1) or "один GPU"
