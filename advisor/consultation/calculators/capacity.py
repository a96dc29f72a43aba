"""How much load a replica carries within its goals, and how many replicas carry what is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from advisor.consultation.calculators.memory import fewest, room
from advisor.consultation.setting import Setting
from knowledge.prediction import Prediction
from knowledge.prediction.model import predict_many

USUAL_CARDS = ("l4", "l40s", "a100-sxm-80gb", "h100-sxm", "h200")
"""Cards that are compared where none was named."""
HEADROOM = 0.8
"""Of what a replica can do, what is planned for: beyond it the queue grows without bound."""
_SIZES = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256)


@dataclass(frozen=True)
class Goals:
    """What must hold at the median; None: nobody cares."""

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    e2e_ms: float | None = None

    def hold(self, seen: Prediction, output_tokens: int) -> bool:
        """Whether the middle of a prediction meets them."""
        pairs = (
            (self.ttft_ms, seen.ttft_ms.value),
            (self.tpot_ms, seen.tpot_ms.value),
            (self.e2e_ms, whole_ms(seen, output_tokens)),
        )
        return all(goal is None or value <= goal for goal, value in pairs)


@dataclass(frozen=True)
class Point:
    """One replica under a load that it carries within the goals."""

    setting: Setting
    seen: Prediction

    @property
    def streams(self) -> int:
        return self.setting.concurrency

    @property
    def requests_per_s(self) -> float:
        return self.seen.output_tokens_per_s.value / self.setting.output_tokens

    @property
    def seconds(self) -> float:
        """Of one whole answer."""
        return whole_ms(self.seen, self.setting.output_tokens) / 1000


@dataclass(frozen=True)
class Fleet:
    """So many replicas at one point each."""

    point: Point
    replicas: int
    fewest: int
    most: int
    """Replicas by the ends of the speed's 90 % interval."""

    @property
    def devices(self) -> int:
        return self.replicas * self.point.setting.count


def whole_ms(seen: Prediction, output_tokens: int) -> float:
    """E2E = TTFT + TPOT · (output tokens − 1)."""
    return seen.ttft_ms.value + seen.tpot_ms.value * (output_tokens - 1)


def sweep(setting: Setting, sizes: Sequence[int] = _SIZES) -> list[Point]:
    """A replica at growing concurrency, as far as memory holds."""
    most = room(setting).most
    tried = [setting.change(concurrency=size) for size in sizes if size <= most]
    if not tried and most >= 1:
        tried = [setting.change(concurrency=most)]
    seen = predict_many([one.query for one in tried])
    return [Point(one, speed) for one, speed in zip(tried, seen, strict=True)]


def best_point(setting: Setting, goals: Goals) -> Point | None:
    """The highest throughput of a replica within the goals; None where not even one request is."""
    holding = [p for p in sweep(setting) if goals.hold(p.seen, setting.output_tokens)]
    return max(holding, key=lambda p: p.requests_per_s, default=None)


def fleet_for_rate(setting: Setting, rate: float, goals: Goals) -> Fleet | None:
    """The fewest devices that serve so many requests per second."""
    fleets = []
    for one in _replicas_of(setting):
        point = best_point(one, goals)
        if point is None:
            continue
        speed = point.seen.output_tokens_per_s
        needed = rate * setting.output_tokens / HEADROOM
        count, low, high = (
            max(1, ceil(needed / max(s, 1e-9))) for s in (speed.value, speed.high, speed.low)
        )
        fleets.append(Fleet(point, count, low, high))
    return min(fleets, key=lambda fleet: (fleet.devices, fleet.point.setting.count), default=None)


def fleet_for_streams(setting: Setting, streams: int, goals: Goals) -> Fleet | None:
    """The fewest devices that run so many requests at once within the goals."""
    fleets = []
    for one in _replicas_of(setting):
        points = [p for p in sweep(one) if goals.hold(p.seen, setting.output_tokens)]
        if not points:
            continue
        point = max(points, key=lambda p: p.streams)
        sure = [p.streams for p in points if _surely(p, goals)]
        count = ceil(streams / point.streams)
        fleets.append(Fleet(point, count, count, ceil(streams / max(sure)) if sure else count))
    return min(fleets, key=lambda fleet: (fleet.devices, fleet.point.setting.count), default=None)


def _surely(point: Point, goals: Goals) -> bool:
    seen = point.seen
    return (goals.tpot_ms is None or seen.tpot_ms.high <= goals.tpot_ms) and (
        goals.ttft_ms is None or seen.ttft_ms.high <= goals.ttft_ms
    )


def _replicas_of(setting: Setting) -> list[Setting]:
    """Replicas of the fewest devices that hold the model, of twice and of four times as many."""
    least = fewest(setting.change(concurrency=1))
    if least is None:
        return []
    counts = [least[0] * more for more in (1, 2, 4) if least[0] * more <= 8] or [least[0]]
    return [setting.change(count=count, tp=None, pp=None, concurrency=1) for count in counts]
