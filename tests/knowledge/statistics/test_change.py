"""The change-point test keeps its false-alarm rate whatever the distribution, and finds changes."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.statistics.change import WARM_UP, Change, ChangeDetector, bet, slope

Draw = Callable[[random.Random], float]
DISTRIBUTIONS: dict[str, Draw] = {
    "normal": lambda r: r.gauss(100, 10),
    "heavy": lambda r: r.lognormvariate(3, 1.5),
    "cauchy": lambda r: math.tan(math.pi * (r.random() - 0.5)),
    "counts": lambda r: float(r.random() < 0.02),
    "constant": lambda _: 7.0,
}


def first_alarm(draw: Draw, every: float, length: int, seed: int) -> Change | None:
    detector, source = ChangeDetector(every, seed=seed), random.Random(seed + 10_000)
    for _ in range(length):
        if change := detector.update(draw(source)):
            return change
    return None


def test_a_bet_is_fair() -> None:
    """Its mean over uniform p-values is 1: ∫ κ p^(κ−1) dp = 1, by substituting p = u^10."""
    n = 200_000
    us = ((i + 0.5) / n for i in range(n))
    assert sum(bet(u**10) * 10 * u**9 for u in us) / n == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_false_alarms_are_no_more_than_stated(name: str) -> None:
    """At one per 500 values at most, 500 values in 60 series may hold at most some 60 alarms; an
    exponential wait of mean 500 would give 38 series with one. Ten standard errors below that."""
    every, series = 500, 60
    alarms = sum(
        first_alarm(DISTRIBUTIONS[name], every, every, seed) is not None for seed in range(series)
    )
    assert alarms <= series * (1 - math.exp(-1)) * 0.6


@pytest.mark.parametrize(("shift", "within"), [(3.0, 25), (-3.0, 25), (6.0, 15)])
def test_a_shift_is_found_and_dated(shift: float, within: int) -> None:
    found = 0
    for seed in range(20):
        detector, source = ChangeDetector(100_000, seed=seed), random.Random(seed)
        for index in range(300 + within):
            value = source.gauss(0, 1) + (shift if index >= 300 else 0)
            change = detector.update(value)
            if change:
                assert change.direction == ("up" if shift > 0 else "down")
                assert abs(change.began - 300) <= 10
                assert change.after - change.before == pytest.approx(shift, abs=1.5)
                found += 1
                break
    assert found >= 19


def test_after_a_change_the_new_state_is_usual() -> None:
    detector, source = ChangeDetector(10_000), random.Random(1)
    found = [
        change
        for index in range(900)
        if (change := detector.update(source.gauss(0 if index < 300 else 8, 1)))
    ]
    assert len(found) == 1


def test_only_the_directions_asked_for() -> None:
    detector, source = ChangeDetector(10_000, ("up",)), random.Random(1)
    assert not any(
        detector.update(source.gauss(0 if index < 300 else -8, 1)) for index in range(500)
    )


def test_nothing_is_said_while_it_learns() -> None:
    detector = ChangeDetector(1.0)
    assert not any(detector.update(float(x)) for x in range(WARM_UP))
    assert not detector.ready


@given(st.lists(st.floats(-1e6, 1e6), max_size=250))
def test_any_series_is_survived(values: list[float]) -> None:
    detector = ChangeDetector(100)
    for value in values:
        detector.update(value)


def test_slope_covers_the_truth_and_tells_noise_from_growth() -> None:
    source = random.Random(3)
    growing = [0.5 * i + source.gauss(0, 3) for i in range(60)]
    seen = slope(growing)
    assert seen
    assert seen.low < 0.5 < seen.high
    assert seen.low > 0
    flat = slope([source.gauss(0, 3) for _ in range(60)])
    assert flat
    assert flat.low < 0 < flat.high
    assert slope([1.0] * 7) is None
