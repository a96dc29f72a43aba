"""What is handed in is the best that was tried, winner's curse corrected."""

import math
import random

import pytest

from advisor.policies import load
from advisor.policy.handin import Measured, choice, pair_to_repeat, standing
from bench.search.handin import session, surface_of
from knowledge.types import Candidate, EngineConfig


def _candidate(k: int) -> Candidate:
    return Candidate(config=EngineConfig(engine="sim", flags={"max-num-seqs": k}))


def test_the_best_of_many_equal_figures_is_drawn_back():
    rng = random.Random(1)
    seen = [Measured(_candidate(k), rng.gauss(0, 0.03), 0.03, k) for k in range(20)]
    best = max(one.value for one in seen)
    now = standing(seen)
    assert 0 < now.mean[now.leader] < 0.5 * best


def test_what_was_measured_side_by_side_outweighs_what_drift_suggests():
    one, other = _candidate(1), _candidate(2)
    seen = [Measured(one, 0.03, 0.005, 0), Measured(other, 0.0, 0.005, 1)]
    assert choice(seen) == one
    seen += [Measured(one, 0.0, 0.005, 2), Measured(other, 0.02, 0.005, 2)]
    assert choice(seen) == other


def test_nobody_is_repeated_where_the_choice_is_clear():
    seen = [Measured(_candidate(k), value, 0.01, k) for k, value in enumerate([0.0, 0.5])]
    assert pair_to_repeat(seen) is None
    near = [Measured(_candidate(k), 0.001 * k, 0.01, k) for k in range(3)]
    assert pair_to_repeat(near) is not None


@pytest.mark.slow
def test_twenty_sessions_hand_in_the_best_they_tried():
    """The policy is random here, so that many near-equals are tried and the choice is hard."""
    found = [session(surface_of(seed), load("random"), 14) for seed in range(20)]
    assert max(one.loss for one in found) <= 0.01
    curse = [one.claimed - one.naive for one in found]
    assert sum(curse) / len(curse) > 0.01
    naive = [1 - math.exp(one.naive - one.best_tried) for one in found]
    assert max(naive) > 0.01
