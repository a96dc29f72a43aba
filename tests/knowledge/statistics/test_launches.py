"""Pairs of launches: one tells what it always told, more tell more, and chance is held in check."""

import math
import random

import pytest

from knowledge.statistics import Answer, Launches
from knowledge.statistics.launches import bounds
from knowledge.types import Estimate

CV = 0.04


def pair(log_gain: float, half: float = 0.0) -> Estimate:
    low, high = math.exp(log_gain - half), math.exp(log_gain + half)
    return Estimate(value=math.exp(log_gain), low=low, high=high, n=5)


def test_one_pair_is_the_usual_interval() -> None:
    judged = Launches(1, CV).judge([pair(0.2, half=0.05)])
    half = math.hypot(0.05, 1.96 * math.sqrt(2) * CV)
    assert math.log(judged.speedup.low) == pytest.approx(0.2 - half, abs=1e-5)
    assert math.log(judged.speedup.high) == pytest.approx(0.2 + half, abs=1e-5)
    assert judged.answer is Answer.GAIN


def test_what_one_launch_can_not_tell_three_can() -> None:
    plan = Launches(3, CV)
    answers = [plan.judge([pair(0.08)] * count).answer for count in (1, 2, 3)]
    assert answers == [Answer.GO_ON, Answer.GO_ON, Answer.GAIN]
    assert Launches(1, CV).judge([pair(0.08)]).answer is Answer.HOPELESS


def test_it_ends_with_the_plan_and_chases_nothing_small() -> None:
    plan = Launches(2, CV, least_gain=0.03)
    assert plan.judge([pair(0.05), pair(0.05)]).answer is Answer.HOPELESS
    assert plan.judge([pair(0.02)]).answer is Answer.NO_GAIN
    assert plan.judge([pair(-0.3)]).answer is Answer.NO_GAIN
    with pytest.raises(ValueError, match="no pair"):
        plan.judge([])


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_chance_makes_a_gain_as_rarely_as_it_says(looks: int) -> None:
    """Without a gain, stopping as soon as one is seen: 2.5 % one-sided."""
    rng, plan, runs = random.Random(looks), Launches(looks, CV), 4000
    wrong = 0
    for _ in range(runs):
        seen = [pair(rng.gauss(0, math.sqrt(2) * CV)) for _ in range(looks)]
        wrong += any(
            plan.judge(seen[:count]).answer is Answer.GAIN for count in range(1, looks + 1)
        )
    assert wrong / runs < 0.025 + 3 * math.sqrt(0.025 * 0.975 / runs)


def test_the_first_look_costs_more_where_others_may_follow() -> None:
    assert bounds(1)[1] == pytest.approx(1.96, abs=0.001)
    assert list(bounds(3).values()) == sorted(bounds(3).values(), reverse=True)
    assert 2.3 < bounds(3)[1] < 2.5
