import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench._closed_loop import Machine, Server, round_of
from knowledge.measure.rates import rates_of
from knowledge.statistics import Stretch, bootstrap_ratio, event_rate, rate_of

ROUND_S = 16.0
SCENES = {
    "lengths of a chat": Server(),
    "all in step": Server(in_step=True, input_tokens=(128, 128), output_tokens=(64, 64)),
    "lengths from 10 to 150": Server(output_tokens=(10, 150)),
    "long prompts": Server(
        streams=4, input_tokens=(800, 1200), output_tokens=(8, 24), per_prompt_token_s=0.0003
    ),
}


def rates(server, seed, round_s=ROUND_S):
    return rates_of(round_of(server, Machine(), np.random.default_rng(seed), round_s=round_s),
                    round_s, None)  # fmt: skip


@pytest.mark.parametrize("name", SCENES)
def test_the_interval_covers_the_rate_of_a_long_run(name):
    server = SCENES[name]
    truth = rate_of([rates(server, seed=1, round_s=1500.0).tokens])
    hits, halves = [], []
    for seed in range(150):
        seen = rates(server, seed=1000 + seed)
        estimate = event_rate([seen.tokens], cycle_s=seen.cycle_s)
        hits.append(estimate.low <= truth <= estimate.high)
        halves.append((estimate.high - estimate.low) / 2 / truth)
    # 142 of 150 expected; below 135 once in a thousand at 95 %.
    assert sum(hits) >= 135
    assert np.median(halves) < (0.16 if name == "long prompts" else 0.1)


def test_waves_no_longer_make_it_wide():
    # What the first version did: windows of a second, drawn as if they were independent.
    ours, before = [], []
    for seed in range(20):
        seen = rates(SCENES["all in step"], seed)
        estimate = event_rate([seen.tokens], cycle_s=seen.cycle_s)
        windows = seen.tokens_per_window
        drawn = bootstrap_ratio(windows, np.ones(windows.size), seed=0)
        ours.append((estimate.high - estimate.low) / estimate.value)
        before.append((drawn.high - drawn.low) / drawn.value)
    assert np.mean(ours) < np.mean(before) / 3


@given(period=st.floats(0.2, 3.0), phase=st.floats(0, 1), size=st.integers(1, 30))
def test_a_periodic_burst_has_its_exact_rate_wherever_it_is_cut(period, phase, size):
    moments = np.repeat(np.arange(phase * period, 12.0, period), size)
    assert rate_of([Stretch(moments, 12.0, period)]) == pytest.approx(size / period)


@given(st.lists(st.floats(0, 10, exclude_max=True), min_size=1, max_size=40), st.floats(0, 5))
def test_the_rate_lies_in_its_interval_and_scales_with_time(times, fade):
    moments = np.array(times)
    estimate = event_rate([Stretch(moments, 10.0, fade)])
    assert 0 <= estimate.low <= estimate.value <= estimate.high
    assert estimate.n == len(times)
    slower = event_rate([Stretch(moments * 2, 20.0, fade * 2)])
    assert slower.value == pytest.approx(estimate.value / 2)


def test_two_stretches_are_one_watched_in_two_parts():
    rng = np.random.default_rng(3)
    whole = np.sort(rng.uniform(0, 40, 4000))
    halves = [whole[whole < 20], whole[whole >= 20] - 20]
    apart = event_rate([Stretch(half, 20.0) for half in halves])
    together = event_rate([Stretch(whole, 40.0)])
    assert apart.value == pytest.approx(together.value)
    assert apart.low == pytest.approx(together.low)


def test_independent_events_have_the_interval_of_poisson():
    rng = np.random.default_rng(5)
    hits, halves = 0, []
    for _ in range(400):
        times = rng.uniform(0, 100, rng.poisson(2000))
        estimate = event_rate([Stretch(times, 100.0)])
        hits += estimate.low <= 20 <= estimate.high
        halves.append((estimate.high - estimate.low) / 2)
    assert 0.92 <= hits / 400 <= 0.98
    assert np.median(halves) == pytest.approx(2.18 * np.sqrt(2000) / 100, rel=0.1)  # t of 12


def test_nothing_watched_has_no_rate():
    with pytest.raises(ValueError, match="time"):
        event_rate([])
    silent = event_rate([Stretch(np.zeros(0), 10.0)])
    assert (silent.value, silent.low, silent.high, silent.n) == (0, 0, 0, 0)
