"""What was measured, ready to be written in any form."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from knowledge.types import ClosedLoop, Measurement, RequestSample, Workload
from tools.load.health import ClientHealth


@dataclass(frozen=True)
class Point:
    """One load on the server: what was asked, seen, and how well the client did."""

    workload: Workload
    duration_s: float
    measurement: Measurement
    samples: tuple[RequestSample, ...]
    client: ClientHealth

    @property
    def streams(self) -> int | None:
        arrival = self.workload.arrival
        return arrival.concurrency if isinstance(arrival, ClosedLoop) else None

    @property
    def rate_per_s(self) -> float | None:
        arrival = self.workload.arrival
        return None if isinstance(arrival, ClosedLoop) else arrival.rate_per_s

    @property
    def load(self) -> float:
        """Streams of a closed loop, requests per second of an open one."""
        return float(self.streams or self.rate_per_s or 0.0)


@dataclass(frozen=True)
class Run:
    """Everything one call of `advisor bench` measured on one server."""

    url: str
    model: str
    endpoint: str
    started_at: datetime
    seed: int
    points: tuple[Point, ...]


class Output(Protocol):
    """Stateless. The text of a whole file."""

    name: str
    title: str

    def render(self, run: Run) -> str: ...


def spread(values: Sequence[float], shares: Sequence[float]) -> list[float]:
    """Quantiles by linear interpolation, as numpy's default; zeros of nothing."""
    ordered = sorted(values)
    if not ordered:
        return [0.0] * len(shares)
    found = []
    for share in shares:
        at = share * (len(ordered) - 1)
        low = int(at)
        high = min(low + 1, len(ordered) - 1)
        found.append(ordered[low] + (at - low) * (ordered[high] - ordered[low]))
    return found


def deviation(values: Sequence[float]) -> float:
    """Of the population; 0 of nothing."""
    return statistics.pstdev(values) if values else 0.0
