import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.statistics import (
    bootstrap_interval,
    bootstrap_ratio,
    clustered_quantile,
    wilson_interval,
)
from knowledge.statistics.student import small_sample_factor, t_quantile

finite = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [
        (1, 12.7062),
        (2, 4.3027),
        (3, 3.1824),
        (4, 2.7764),
        (9, 2.2622),
        (29, 2.0452),
        (1000, 1.9623),
    ],
)
def test_t_quantiles_of_the_tables(freedom, quantile):
    assert t_quantile(0.95, freedom) == pytest.approx(quantile, abs=2e-4)


def test_few_values_widen_and_many_do_not():
    factors = [small_sample_factor(0.95, n) for n in (2, 3, 5, 10, 30, 1000)]
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] == pytest.approx(1, abs=0.005)


@given(st.lists(finite, min_size=1, max_size=40), st.integers(0, 5))
def test_an_interval_holds_its_value_and_repeats_with_its_seed(values, seed):
    first = bootstrap_interval(values, np.mean, seed=seed, resamples=100)
    assert first.low <= first.value <= first.high
    assert first.value == pytest.approx(np.mean(values), abs=1e-6)
    assert first.n == len(values)
    assert first == bootstrap_interval(values, np.mean, seed=seed, resamples=100)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=30))
def test_what_cannot_be_negative_has_no_negative_bound(values):
    assert bootstrap_interval(values, np.mean, seed=1, resamples=100).low >= 0


def test_one_value_has_no_spread_and_says_n_1():
    estimate = bootstrap_interval([5.0], np.median, seed=0)
    assert (estimate.low, estimate.value, estimate.high, estimate.n) == (5, 5, 5, 1)


def test_nothing_to_bootstrap():
    with pytest.raises(ValueError, match="no values"):
        bootstrap_interval([], np.mean, seed=0)
    with pytest.raises(ValueError, match="as many"):
        bootstrap_ratio([1.0], [1.0, 2.0], seed=0)


def coverage(draw, interval, truth, repeats=300):
    rng = np.random.default_rng(7)
    hits = 0
    for repeat in range(repeats):
        estimate = interval(draw(rng), repeat)
        hits += estimate.low <= truth <= estimate.high
    return hits / repeats


@pytest.mark.parametrize("n", [5, 12, 40])
def test_the_mean_is_covered_95_times_of_100(n):
    seen = coverage(
        lambda rng: rng.normal(100, 10, n),
        lambda values, seed: bootstrap_interval(values, np.mean, seed=seed, resamples=400),
        100,
    )
    assert 0.92 <= seen <= 0.985


def test_the_median_of_skewed_latencies_is_covered():
    seen = coverage(
        lambda rng: rng.lognormal(3, 0.4, 120),
        lambda values, seed: bootstrap_interval(values, np.median, seed=seed, resamples=300),
        np.exp(3),
    )
    assert 0.91 <= seen <= 0.985


@pytest.mark.parametrize(
    ("n", "q", "z", "least"),
    [
        (120, 0.5, 0.0, 0.92),
        (120, 0.95, 1.6449, 0.9),
        (120, 0.99, 2.3263, 0.88),
        (400, 0.99, 2.3263, 0.92),
        (30, 0.99, 2.3263, 0.83),
    ],
)
def test_tails_beyond_the_largest_value_are_covered(n, q, z, least):
    """A percentile bootstrap covers p99 of 30 values 26 times in 100, and of 120 values 72."""
    clusters = np.arange(n)
    seen = coverage(
        lambda rng: rng.lognormal(3, 0.4, n),
        lambda values, _: clustered_quantile(values, clusters, q),
        np.exp(3 + 0.4 * z),
        repeats=600,
    )
    assert least <= seen <= 0.985


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_lies_in_its_interval(values, q):
    data = np.array(values)
    estimate = clustered_quantile(data, np.arange(data.size), q)
    assert estimate.value == pytest.approx(np.quantile(data, q))
    assert data.min() <= estimate.low <= estimate.value <= estimate.high


def test_blocks_cover_a_series_that_remembers_better_than_single_values():
    def draw(rng):
        noise = rng.normal(0, 1, 140)
        series = np.empty(140)
        level = 0.0
        for i, step in enumerate(noise):
            level = 0.7 * level + step
            series[i] = level
        return series[20:]

    def seen(block):
        return coverage(
            draw,
            lambda values, seed: bootstrap_interval(
                values, np.mean, seed=seed, resamples=300, block=block
            ),
            0.0,
            repeats=200,
        )

    single, blocked = seen(1), seen(12)
    assert single < 0.75
    assert blocked > 0.87


def test_a_ratio_of_sums_weighs_windows_by_their_length():
    estimate = bootstrap_ratio([10, 40], [1.0, 2.0], seed=0)
    assert estimate.value == pytest.approx(50 / 3)
    even = bootstrap_ratio([10, 20, 30], [1, 2, 3], seed=0)
    assert (even.low, even.high) == (pytest.approx(10), pytest.approx(10))


@pytest.mark.parametrize(
    ("k", "n", "low", "high"), [(0, 20, 0.0, 0.1611), (10, 20, 0.2993, 0.7007), (20, 20, 0.8389, 1)]
)
def test_wilson_by_the_book(k, n, low, high):
    estimate = wilson_interval(k, n)
    assert estimate.low == pytest.approx(low, abs=1e-4)
    assert estimate.high == pytest.approx(high, abs=1e-4)


def test_gaps_of_slow_requests_widen_the_quantile_as_independent_gaps_would_not():
    rng = np.random.default_rng(3)
    # 30 requests of 64 gaps; requests differ among themselves far more than within.
    levels = rng.normal(40, 8, 30)
    gaps = (levels[:, None] + rng.normal(0, 1, (30, 64))).ravel()
    owners = np.repeat(np.arange(30), 64)
    clustered = clustered_quantile(gaps, owners, 0.5)
    alone = clustered_quantile(gaps, np.arange(gaps.size), 0.5)
    assert clustered.high - clustered.low > 3 * (alone.high - alone.low)
    assert clustered.n == gaps.size


@pytest.mark.parametrize(("q", "z", "least"), [(0.5, 0.0, 0.91), (0.95, 1.6449, 0.83)])
def test_the_clustered_quantile_is_covered(q, z, least):
    spread = np.hypot(8, 4)

    def draw(rng):
        return (rng.normal(40, 8, 40)[:, None] + rng.normal(0, 4, (40, 20))).ravel()

    owners = np.repeat(np.arange(40), 20)
    seen = coverage(draw, lambda gaps, _: clustered_quantile(gaps, owners, q), 40 + z * spread)
    assert least <= seen <= 0.985


def test_a_single_request_cannot_show_the_spread_between_requests():
    estimate = clustered_quantile(np.array([1.0, 2.0, 9.0]), np.zeros(3, dtype=np.int64), 0.5)
    assert (estimate.low, estimate.value, estimate.high) == (2, 2, 2)
