import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.statistics import steady_start


@pytest.mark.parametrize(("length", "ramp"), [(16, 4), (30, 8), (200, 40)])
def test_a_ramp_is_cut_near_its_end(length, ramp):
    rng = np.random.default_rng(1)
    series = rng.normal(200, 3, length)
    series[:ramp] = np.linspace(20, 180, ramp)
    assert abs(steady_start(series) - ramp) <= max(3, length // 20)


def test_a_constant_series_is_steady_from_the_start():
    assert steady_start([7.0] * 40) == 0


@given(st.lists(st.floats(0, 1e6), max_size=60))
def test_at_most_half_is_cut(values):
    assert 0 <= steady_start(values) <= len(values) / 2
