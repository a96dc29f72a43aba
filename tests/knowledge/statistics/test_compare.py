import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.statistics import minimum_detectable_effect, ratio_of_estimates, speedup
from knowledge.types import Estimate

positive = st.lists(st.floats(0.1, 1e4), min_size=1, max_size=12)


@given(positive, positive, st.booleans())
def test_the_value_is_the_ratio_of_means_and_lies_in_its_interval(reference, candidate, higher):
    estimate = speedup(reference, candidate, higher_is_better=higher, seed=0)
    ratio = np.mean(candidate) / np.mean(reference)
    assert estimate.value == pytest.approx(ratio if higher else 1 / ratio)
    assert 0 < estimate.low <= estimate.value * (1 + 1e-9)
    assert estimate.high >= estimate.value * (1 - 1e-9)


@given(positive, st.floats(0.5, 3))
def test_times_and_rates_mirror_each_other(values, factor):
    scaled = [value * factor for value in values]
    rate = speedup(values, scaled, higher_is_better=True, seed=0, paired=True)
    time = speedup(scaled, values, higher_is_better=False, seed=0, paired=True)
    assert rate.value == pytest.approx(factor)
    assert time.value == pytest.approx(factor)


def covered(truth, draw, **options):
    rng = np.random.default_rng(11)
    seen = []
    for repeat in range(200):
        reference, candidate = draw(rng)
        estimate = speedup(reference, candidate, higher_is_better=True, seed=repeat, **options)
        seen.append((estimate.low <= truth <= estimate.high, estimate.low > 1))
    return np.mean(seen, axis=0)


def test_a_known_gain_is_covered_and_found():
    hit, found = covered(1.1, lambda rng: (rng.normal(200, 10, 30), rng.normal(220, 11, 30)))
    assert 0.91 <= hit <= 0.99
    assert found > 0.95


def test_noise_is_not_called_a_gain():
    hit, found = covered(1.0, lambda rng: (rng.normal(200, 20, 12), rng.normal(200, 20, 12)))
    assert hit >= 0.91
    assert found <= 0.05


def test_pairs_cancel_drift():
    def draw(rng):
        drift = np.linspace(1, 1.5, 8)
        return 200 * drift * rng.normal(1, 0.01, 8), 216 * drift * rng.normal(1, 0.01, 8)

    paired_hit, paired_found = covered(1.08, draw, paired=True)
    _, apart_found = covered(1.08, draw)
    assert 0.91 <= paired_hit <= 0.99
    assert paired_found > 0.95
    assert apart_found < 0.2


def test_launch_noise_that_rounds_do_not_show_is_added():
    def draw(rng):
        launches = rng.normal(1, 0.03, 2)
        return launches[0] * rng.normal(200, 2, 20), launches[1] * rng.normal(200, 2, 20)

    blind, _ = covered(1.0, draw)
    knowing, _ = covered(1.0, draw, launch_cv=0.03)
    assert blind < 0.5
    assert 0.9 <= knowing <= 0.995


def test_launch_noise_alone_by_hand():
    estimate = speedup([100.0] * 9, [110.0] * 9, higher_is_better=True, seed=0, launch_cv=0.02)
    half = 1.959964 * math.sqrt(2) * 0.02
    assert estimate.low == pytest.approx(1.1 * math.exp(-half))
    assert estimate.high == pytest.approx(1.1 * math.exp(half))


@pytest.mark.parametrize(
    ("reference", "candidate", "paired"),
    [([], [1.0], False), ([0.0], [1.0], False), ([1.0, 2.0], [1.0], True), ([0.0], [1.0], True)],
)
def test_what_has_no_ratio(reference, candidate, paired):
    with pytest.raises(ValueError, match=r"ratio|pairs"):
        speedup(reference, candidate, higher_is_better=True, seed=0, paired=paired)


def test_idle_windows_do_not_break_a_comparison():
    estimate = speedup([0.0, 0.0, 3.0], [2.0, 2.0, 2.0], higher_is_better=True, seed=0)
    assert estimate.value == pytest.approx(2)
    assert estimate.low < 1 < estimate.high < math.inf


def test_estimates_combine_on_the_log_scale():
    reference = Estimate(value=100, low=90, high=110, n=30)
    candidate = Estimate(value=50, low=45, high=55, n=20)
    gain = ratio_of_estimates(reference, candidate, higher_is_better=False)
    assert gain.value == pytest.approx(2)
    assert gain.low == pytest.approx(2 / math.exp(math.hypot(math.log(1.1), math.log(10 / 9))))
    assert gain.n == 20
    loss = ratio_of_estimates(reference, candidate, higher_is_better=True)
    assert loss.value == pytest.approx(0.5)
    assert loss.high == pytest.approx(1 / gain.low)
    wider = ratio_of_estimates(reference, candidate, higher_is_better=False, launch_cv=0.05)
    assert wider.low < gain.low < gain.high < wider.high
    with pytest.raises(ValueError, match="positive"):
        ratio_of_estimates(Estimate(value=0, low=0, high=0, n=1), candidate, higher_is_better=True)


def test_the_detectable_effect_is_found_as_often_as_asked():
    effect = minimum_detectable_effect(0.05, 20)
    _, found = covered(
        effect, lambda rng: (rng.normal(200, 10, 20), rng.normal(200 * effect, 10 * effect, 20))
    )
    assert 0.7 <= found <= 0.92
    assert minimum_detectable_effect(0.05, 40) < effect
    assert minimum_detectable_effect(0.05, 20, launch_cv=0.02) > effect
