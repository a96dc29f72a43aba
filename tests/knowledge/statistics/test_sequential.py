import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.statistics import Answer, Sequential, detectable_speedup, ratio_of_estimates
from knowledge.statistics.sequential import bounds
from knowledge.types import Estimate

PLAN = Sequential(looks=10, higher_is_better=True, launch_cv=0.015, least_gain=0.01)


def compared(plan, gain, seed, *, noise=0.03, launch_cv=None):
    """A whole comparison: what was answered last, and how many pairs it took."""
    rng = np.random.default_rng(seed)
    cv = plan.launch_cv if launch_cv is None else launch_cv
    ours = gain * math.exp(rng.normal(0, cv * math.sqrt(2)))
    drift = np.cumsum(rng.normal(0, 0.05, plan.looks))
    reference, candidate = [], []
    for pair in range(plan.looks):
        both = 100 * math.exp(drift[pair])
        reference.append(both * math.exp(rng.normal(0, noise / math.sqrt(2))))
        candidate.append(both * ours * math.exp(rng.normal(0, noise / math.sqrt(2))))
        judged = plan.judge(reference, candidate)
        if judged and judged.answer is not Answer.GO_ON:
            break
    assert judged
    return judged, len(reference)


def test_all_looks_together_keep_the_error_rate():
    rng = np.random.default_rng(1)
    plan = Sequential(looks=8, higher_is_better=True)
    crossed = 0
    for _ in range(2000):
        figures = np.exp(rng.normal(0, 0.1, (2, 8)))
        looks = [plan.judge(figures[0, :k], figures[1, :k]) for k in range(3, 9)]
        crossed += any(not look.speedup.low <= 1 <= look.speedup.high for look in looks)
    assert 0.035 <= crossed / 2000 <= 0.065  # 5 % over all six looks


def test_one_look_is_students_t():
    assert bounds(10, 10)[10] == pytest.approx(2.262, rel=0.02)
    assert bounds(2, 2)[2] == pytest.approx(12.71, rel=0.05)
    assert bounds(5, 5, 0.9)[5] == pytest.approx(2.132, rel=0.02)


def test_no_gain_is_seldom_called_one_whatever_drifts():
    kept = [compared(PLAN, 1.0, seed)[0].answer is Answer.GAIN for seed in range(400)]
    assert np.mean(kept) <= 0.05


def test_a_clear_gain_ends_early_and_is_covered():
    runs = [compared(PLAN, 1.1, seed) for seed in range(400)]
    assert np.mean([judged.answer is Answer.GAIN for judged, _ in runs]) >= 0.9
    assert np.mean([pairs for _, pairs in runs]) <= 0.6 * PLAN.looks
    assert np.mean([j.speedup.low <= 1.1 <= j.speedup.high for j, _ in runs]) >= 0.94


def test_a_loss_ends_early_without_a_gain():
    runs = [compared(PLAN, 0.9, seed) for seed in range(200)]
    assert all(judged.answer in (Answer.NO_GAIN, Answer.HOPELESS) for judged, _ in runs)
    assert np.mean([pairs for _, pairs in runs]) <= 5


def test_what_the_launches_hide_is_given_up():
    # 1 % between launches that differ by 1.5 %: no number of rounds tells.
    quiet = Sequential(looks=10, higher_is_better=True, launch_cv=0.015)
    judged, pairs = compared(quiet, 1.01, 5, noise=0.002, launch_cv=0.0)
    assert judged.answer is Answer.HOPELESS
    assert pairs == quiet.first


def test_before_the_first_look_nothing_is_said():
    assert PLAN.judge([1, 1], [2, 2]) is None
    assert Sequential(looks=2, higher_is_better=True).judge([1, 1.1], [2, 2.1])
    with pytest.raises(ValueError, match="pairs"):
        PLAN.judge([1, 1, 1], [1, 1])
    with pytest.raises(ValueError, match="positive"):
        PLAN.judge([1, 1, 0], [1, 1, 1])
    with pytest.raises(ValueError, match="two pairs"):
        bounds(1, 3)


figures = st.lists(st.floats(0.5, 2), min_size=3, max_size=10)


@given(figures, st.randoms())
def test_times_and_rates_mirror_each_other(reference, random):
    candidate = [value * random.uniform(0.8, 1.3) for value in reference]
    rate = PLAN.judge(reference, candidate)
    time = Sequential(looks=10, higher_is_better=False, launch_cv=0.015, least_gain=0.01).judge(
        [1 / value for value in reference], [1 / value for value in candidate]
    )
    assert rate.answer is time.answer
    assert rate.speedup.value == pytest.approx(time.speedup.value)
    assert rate.speedup.low <= rate.speedup.value <= rate.speedup.high
    if rate.answer is Answer.GAIN:
        assert rate.speedup.low > 1


@given(st.floats(0.01, 0.4), st.floats(0, 0.02))
def test_the_detectable_speedup_grows_with_the_interval(half, least):
    seen = Estimate(value=1.1, low=1.1 * math.exp(-half), high=1.1 * math.exp(half), n=9)
    found = detectable_speedup(seen, least_gain=least)
    assert found == pytest.approx((1 + least) * math.exp(half * 2.8016 / 1.95996), rel=1e-4)
    assert detectable_speedup(seen.replace(low=seen.low * 0.99), least_gain=least) > found
    assert detectable_speedup(seen, least_gain=least, power=0.9) > found


def test_the_detectable_speedup_is_found_in_four_of_five():
    rng = np.random.default_rng(2)
    half, found = 0.04, 0
    typical = Estimate(value=100, low=100 / math.exp(half), high=100 * math.exp(half), n=9)
    again = ratio_of_estimates(typical, typical, higher_is_better=True, launch_cv=0.015)
    gain = detectable_speedup(again, least_gain=0.01)
    for _ in range(1000):
        noise = rng.normal(0, math.hypot(half / 1.96, 0.015), 2)
        reference, candidate = (
            Estimate(value=v, low=v / math.exp(half), high=v * math.exp(half), n=9)
            for v in (100 * math.exp(noise[0]), 100 * gain * math.exp(noise[1]))
        )
        seen = ratio_of_estimates(reference, candidate, higher_is_better=True, launch_cv=0.015)
        found += seen.low > 1.01
    assert 0.76 <= found / 1000 <= 0.84
