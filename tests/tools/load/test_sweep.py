"""The search against servers whose limit is known."""

import math
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.types import Estimate, Measurement, Metric, Slo
from tools.load.sweep import LoadPoint, highest_load, judge, knee, ladder

TTFT = Slo(metric=Metric.TTFT_P95_MS, limit=200)


def seen(rate: float, ttft_ms: float, requests: int = 10_000) -> Measurement:
    def exact(value: float) -> Estimate:
        return Estimate(value=value, low=value, high=value, n=requests)

    metrics = {
        Metric.REQUESTS_PER_S: exact(rate),
        Metric.TTFT_P95_MS: exact(ttft_ms),
        Metric.E2E_P50_MS: exact(ttft_ms),
    }
    return Measurement(
        metrics=metrics, rounds=(), window_s=10, requests=requests, failed_requests=0
    )


def server(capacity: float) -> Callable[[float], Awaitable[Measurement | None]]:
    """A single queue: 100 ms idle, 200 ms at half its capacity, no more than its capacity."""

    async def measure(load: float) -> Measurement | None:
        if load > 2 * capacity:
            return None
        if load >= capacity:
            return seen(capacity, 60_000)
        return seen(load, 100 / (1 - load / capacity))

    return measure


@settings(max_examples=60)
@given(st.floats(0.5, 900), st.floats(0.05, 900))
async def test_the_limit_is_bracketed_from_any_start(capacity: float, start: float) -> None:
    found = await highest_load(server(capacity), [TTFT], start=start, most_points=30)
    truth = capacity / 2
    assert found.load is not None
    assert found.limit is not None
    assert found.load <= truth < found.limit <= 1.05 * found.load + 1e-9
    assert found.at_load is not None
    assert found.at_load.holds
    assert found.as_dict()["rate_per_s"] == found.load
    assert found.as_dict()["ttft_p95_ms"] <= 200


@settings(max_examples=40)
@given(st.integers(2, 500))
async def test_streams_are_whole_and_the_bracket_is_neighbours(capacity: int) -> None:
    found = await highest_load(
        server(2 * capacity), [TTFT], start=8, streams=True, tolerance=0, most_points=40
    )
    assert found.load == capacity
    assert found.limit == capacity + 1
    assert found.binding == (TTFT,)


async def test_without_slos_the_limit_is_what_the_server_keeps_up_with() -> None:
    found = await highest_load(server(40), [], start=5, most_points=30)
    assert found.load is not None
    assert 38 < found.load <= 43
    assert found.binding == ()


async def test_a_server_that_never_holds_gives_no_load_and_names_the_slo() -> None:
    async def slow(load: float) -> Measurement:
        return seen(load, 500)

    found = await highest_load(slow, [TTFT], start=4, lowest=1)
    assert found.load is None
    assert found.limit == 1
    assert found.binding == (TTFT,)
    assert found.as_dict() == {}


async def test_the_ceiling_and_the_number_of_measurements_are_kept() -> None:
    found = await highest_load(server(1e9), [TTFT], start=1, highest=10)
    assert (found.load, found.limit) == (10, None)
    short = await highest_load(server(1000), [TTFT], start=1, most_points=3)
    assert len(short.points) <= 4  # the find is measured once more


async def test_the_budget_ends_the_search() -> None:
    looks = 0

    def may_go_on() -> bool:
        nonlocal looks
        looks += 1
        return looks <= 2

    found = await highest_load(server(1000), [TTFT], start=1, may_go_on=may_go_on)
    assert len(found.points) == 2
    assert found.load == 2


async def test_a_lucky_look_does_not_count() -> None:
    """Load 8 held by luck once; measured again it does not, so 4 is handed in."""
    tried: list[float] = []

    async def lucky(load: float) -> Measurement:
        tried.append(load)
        good = load <= 4 or (load == 8 and tried.count(8) == 1)
        return seen(load, 100 if good else 300)

    found = await highest_load(lucky, [TTFT], start=1, highest=8)
    assert found.load == 4
    assert found.limit == 8


def test_a_figure_that_is_missing_breaks_its_slo() -> None:
    itl = Slo(metric=Metric.ITL_P99_MS, limit=10)
    assert judge(1, seen(1, 1), [itl], streams=False).broken == (itl,)
    assert not judge(1, seen(1, 1), [TTFT], streams=False).broken


@pytest.mark.parametrize(("requests", "saturated"), [(10, False), (10_000, True)])
def test_a_few_arrivals_too_few_are_chance(requests: int, saturated: bool) -> None:
    point = judge(10, seen(8, 1, requests), [], streams=False)
    assert point.saturated is saturated


def test_streams_can_not_be_behind() -> None:
    assert not judge(64, seen(8, 1), [], streams=True).saturated


async def test_a_ladder_stops_at_overload_and_its_knee_is_the_best_trade() -> None:
    shown: list[LoadPoint] = []
    points = await ladder(
        server(100), [90, 10, 50, 99, 120, 150], [TTFT], streams=False, on_point=shown.append
    )
    assert [p.load for p in points] == [10, 50, 90, 99, 120]
    assert tuple(shown) == points
    found = knee(points)
    assert found is not None
    assert found.load == 50  # x (1 - x) is largest at half of the capacity
    assert knee([judge(1, None, [], streams=True)]) is None
    assert not math.isnan(found.load)
