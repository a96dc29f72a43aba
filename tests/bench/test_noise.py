"""What is more than noise stays in a grid, and luck does not."""

from itertools import product

import numpy as np
import pytest

from bench.search.noise import settle, spread

ROWS = list(product((0, 1), (0, 1, 2), (0, 1), (0, 1, 2), (0, 1)))
DESIGN = np.array([
    [1, a, b == 1, b == 2, c, d == 1, d == 2, e] for a, b, c, d, e in ROWS
], dtype=float)  # fmt: skip
EFFECTS = np.array([5.0, 0.2, 0.05, 0.1, -0.3, 0.02, 0.0, 0.1])
TOGETHER = 0.3 * np.array([a == 1 and b == 2 for a, b, *_ in ROWS])
TRUTH = DESIGN @ EFFECTS + TOGETHER
SD = 0.08


def _measured(seed: int, sd: float) -> list[list[float]]:
    """Every row once, the first ten times."""
    rng = np.random.default_rng(seed)
    found = [[float(t + rng.normal(0, sd))] for t in TRUTH]
    found[0] += [float(TRUTH[0] + rng.normal(0, sd)) for _ in range(9)]
    return found


@pytest.mark.parametrize("sd", [0.02, SD, 0.2])
def test_a_settled_grid_is_nearer_to_the_truth_than_luck_and_than_averages(sd: float):
    """Where the noise is small against what settings do together, where it is not, and between."""
    wrong = {"raw": 0.0, "averages": 0.0, "settled": 0.0}
    for seed in range(12):
        measured = _measured(seed, sd)
        found = settle(measured, DESIGN)
        assert found.sd == pytest.approx(sd, rel=0.7)
        raw = np.array([float(np.mean(one)) for one in measured])
        averages = DESIGN @ np.linalg.lstsq(DESIGN, raw, rcond=None)[0]
        for name, guess in (("raw", raw), ("averages", averages), ("settled", found.truth)):
            wrong[name] += float(((guess - TRUTH) ** 2).mean())
    assert wrong["settled"] < 1.1 * min(wrong["raw"], wrong["averages"])
    assert wrong["settled"] < 0.75 * max(wrong["raw"], wrong["averages"])


def test_without_noise_nothing_moves():
    measured = [[float(t)] * 2 for t in TRUTH]
    assert settle(measured, DESIGN).truth == pytest.approx(TRUTH)


def test_what_was_never_measured_again_is_taken_as_it_is():
    measured = [one[:1] for one in _measured(0, SD)]
    measured[3] *= 3  # two degrees of freedom are too few
    found = settle(measured, DESIGN)
    assert found.sd is None
    assert list(found.truth) == [float(np.mean(one)) for one in measured]
    assert spread([[1.0], [2.0]]) is None


def test_a_grid_with_as_many_settings_as_rows_is_taken_as_it_is():
    few = [[1.0, 1.1, 0.9, 1.05], [2.0]]
    assert settle(few, np.eye(2)).truth == pytest.approx([1.0125, 2.0])
