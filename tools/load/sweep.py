"""Many loads on one server: a ladder, the highest load that holds the SLOs, and the knee.

Nothing here sends a request: `measure` does, so the same search serves the command line, the
production test and a simulated server in the tests.
"""

import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from knowledge.types import Measurement, Metric, Slo

Measure = Callable[[float], Awaitable[Measurement | None]]
"""Measure under one load (requests per second, or streams). None: nothing could be measured, or the
queue grew so fast that the measurement was broken off."""

_KEPT_UP = 0.95
"""A server that completes less than this share of what is offered does not keep up."""
_HIGHEST = 4096.0
_LOWEST_RATE = 0.01
_TOLERANCE = 0.05
_MOST_POINTS = 12
_FIRST_STRIDE = math.sqrt(2)


@dataclass(frozen=True)
class LoadPoint:
    """One load and what was seen under it. `broken` are the SLOs that did not hold."""

    load: float
    measurement: Measurement | None
    broken: tuple[Slo, ...]
    saturated: bool

    @property
    def holds(self) -> bool:
        """Every SLO held and the server kept up."""
        return not self.broken and not self.saturated

    def value(self, metric: Metric) -> float | None:
        """The point value of a metric, None where nothing was seen."""
        seen = self.measurement.metrics.get(metric) if self.measurement else None
        return seen.value if seen else None


@dataclass(frozen=True)
class HighestLoad:
    """Where the server's limit lies: between `load` (held) and `limit` (did not)."""

    load: float | None
    """The highest load that held; None when not even the lowest one did."""
    limit: float | None
    """The lowest load that did not hold; None when the search's ceiling was reached."""
    binding: tuple[Slo, ...]
    """The SLOs that broke first above `load`; none where the server just did not keep up."""
    points: tuple[LoadPoint, ...]
    """Every measurement, in the order in which it was made."""

    @property
    def at_load(self) -> LoadPoint | None:
        """The last measurement at the highest load."""
        held = [point for point in self.points if point.load == self.load and point.holds]
        return held[-1] if held else None

    def as_dict(self, load_name: str = "rate_per_s") -> dict[str, float]:
        """Figures at the highest load, by name: what ProductionTest.highest_load holds."""
        point = self.at_load
        if self.load is None or point is None or point.measurement is None:
            return {}
        figures = {metric.value: seen.value for metric, seen in point.measurement.metrics.items()}
        limit = {} if self.limit is None else {f"{load_name}_limit": self.limit}
        return {load_name: self.load} | limit | figures


async def highest_load(  # noqa: PLR0913 - all but the first two by name
    measure: Measure,
    slos: Sequence[Slo],
    *,
    start: float,
    lowest: float | None = None,
    highest: float = _HIGHEST,
    streams: bool = False,
    tolerance: float = _TOLERANCE,
    most_points: int = _MOST_POINTS,
    may_go_on: Callable[[], bool] = lambda: True,
    on_point: Callable[[LoadPoint], None] = lambda _: None,
) -> HighestLoad:
    """Double (or halve) from `start` until the limit is bracketed, bisect, measure the find again.

    `streams`: the load is a number of streams (whole, and cannot be more than is served), else a
    rate. Stops when the bracket is within `tolerance`, after `most_points` measurements, or when
    `may_go_on` says no. A find that does not hold a second time is not handed in.
    """
    floor = lowest if lowest is not None else (1.0 if streams else _LOWEST_RATE)
    search = _Search(measure, tuple(slos), streams, most_points, may_go_on, on_point)
    load: float | None = search.rounded(min(max(start, floor), highest))
    while load is not None and search.may_measure:
        await search.look(load)
        load = search.next(floor, highest, tolerance)
    await search.confirm()
    return search.found()


async def ladder(
    measure: Measure,
    loads: Iterable[float],
    slos: Sequence[Slo] = (),
    *,
    streams: bool = True,
    on_point: Callable[[LoadPoint], None] = lambda _: None,
) -> tuple[LoadPoint, ...]:
    """Every load in turn, lowest first; a rate that the server can't keep up with ends it."""
    points: list[LoadPoint] = []
    for load in sorted(set(loads)):
        points.append(judge(load, await measure(load), slos, streams=streams))
        on_point(points[-1])
        if points[-1].saturated:
            break
    return tuple(points)


def judge(
    load: float, measurement: Measurement | None, slos: Sequence[Slo], *, streams: bool
) -> LoadPoint:
    """Which SLOs broke, and whether the server kept up. An SLO without a figure is broken."""
    if measurement is None:
        return LoadPoint(load, None, tuple(slos), saturated=True)
    seen = measurement.metrics
    broken = tuple(s for s in slos if s.metric not in seen or not s.met_by(seen[s.metric].value))
    served = seen.get(Metric.REQUESTS_PER_S)
    if served is None:
        return LoadPoint(load, measurement, broken, saturated=True)
    # With n arrivals the offered rate itself varies by 1/sqrt(n): a short round is no overload.
    chance = 2 / math.sqrt(max(measurement.requests, 1))
    behind = served.high < _KEPT_UP * load and served.value < (_KEPT_UP - chance) * load
    return LoadPoint(load, measurement, broken, saturated=not streams and behind)


def knee(points: Sequence[LoadPoint], latency: Metric = Metric.E2E_P50_MS) -> LoadPoint | None:
    """The load with the most throughput per latency (Kleinrock's power, 1979): beyond it latency
    grows faster than throughput. None where no point has both figures."""
    best: tuple[float, LoadPoint] | None = None
    for point in points:
        rate, delay = point.value(Metric.REQUESTS_PER_S), point.value(latency)
        if rate and delay and (best is None or rate / delay > best[0]):
            best = (rate / delay, point)
    return best[1] if best else None


class _Search:
    """The bracket and what was measured so far."""

    def __init__(
        self,
        measure: Measure,
        slos: tuple[Slo, ...],
        streams: bool,
        most_points: int,
        may_go_on: Callable[[], bool],
        on_point: Callable[[LoadPoint], None],
    ) -> None:
        self._measure, self._slos, self._streams = measure, slos, streams
        self._most, self._may_go_on, self._on_point = most_points, may_go_on, on_point
        self._points: list[LoadPoint] = []
        self._held: list[float] = []
        self._broke: float | None = None
        self._confirmed: set[float] = set()
        self._stride = _FIRST_STRIDE

    @property
    def may_measure(self) -> bool:
        return len(self._points) < self._most and self._may_go_on()

    def rounded(self, load: float) -> float:
        return max(1.0, float(round(load))) if self._streams else load

    async def look(self, load: float) -> LoadPoint:
        point = judge(load, await self._measure(load), self._slos, streams=self._streams)
        self._points.append(point)
        self._on_point(point)
        if point.holds:
            self._held = sorted({*self._held, load})
        else:
            self._broke = load if self._broke is None else min(self._broke, load)
            self._held = [held for held in self._held if held < self._broke]
        return point

    def next(self, floor: float, highest: float, tolerance: float) -> float | None:
        """The load to try next; None when the bracket is narrow enough or the range is used up."""
        held = self._held[-1] if self._held else None
        if held is None:
            assert self._broke is not None
            self._stride *= self._stride  # 2, 4, 16 …: where nothing holds, that is soon known
            step = self._broke / self._stride
            return None if self._broke <= floor else self.rounded(max(step, floor))
        if self._broke is None:
            return None if held >= highest else self.rounded(min(held * 2, highest))
        middle = self.rounded(math.sqrt(held * self._broke))
        if self._broke / held <= 1 + tolerance or middle in (held, self._broke):
            return None
        return middle

    async def confirm(self) -> None:
        """The find is the best of several noisy looks, so it has to hold once more."""
        while self._held and self._may_go_on():
            load = self._held[-1]
            if load in self._confirmed:
                return
            self._confirmed.add(load)
            await self.look(load)

    def found(self) -> HighestLoad:
        at_limit = [p for p in self._points if p.load == self._broke and not p.holds]
        return HighestLoad(
            load=self._held[-1] if self._held else None,
            limit=self._broke,
            binding=at_limit[-1].broken if at_limit else (),
            points=tuple(self._points),
        )
