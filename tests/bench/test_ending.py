"""A session's end on a surface: proven from cold is handed in, else the default."""

import math
import random
from collections.abc import Iterable

import numpy as np
import pytest

from advisor.context import Pace
from advisor.policies import load
from advisor.policy.loop import AskTell
from advisor.policy.space import candidate_of
from bench.search.ending import handed_in, run_off
from bench.search.handin import surface_of
from bench.search.surface import Surface
from knowledge.types import Candidate, Metric, Slo

_OTHER = candidate_of("sim", {"kv-cache-dtype": "fp8"})
_SEEDS = 40


def _surface(log_gain: float, noise: float) -> Surface:
    """Every configuration is like the default but for one."""
    surface = surface_of(0)
    rates = np.full(len(surface.rows), 1000.0)
    rates[surface.rows[_OTHER]] *= math.exp(log_gain)
    surface.metrics = {Metric.OUTPUT_TOKENS_PER_S: rates}
    surface.launch_cv, surface.window_cv, surface.drift = noise, noise / 2, 0.0
    return surface


def _endings(surface: Surface, *, found: bool) -> Iterable[Candidate]:
    """After a search of `_OTHER` alone; whether its verdict kept it is as given."""
    for seed in range(_SEEDS):
        rng, launched = random.Random(seed), set[object]()
        loop = AskTell(
            surface.task, load("random"), surface.catalog, surface.profile,
            pace=Pace(launch_cv=surface.launch_cv), space=surface.space,
        )  # fmt: skip
        loop.tell(None, surface.measure(surface.task.default, 0, rng, launched))
        loop.trials.append(surface.measure(_OTHER, 1, rng, launched))
        loop.reference = loop.trials[-1] if found else loop.trials[0]
        yield handed_in(surface, loop, rng, launched)


@pytest.mark.parametrize("found", [True, False])
def test_what_gains_nothing_is_not_handed_in(found: bool) -> None:
    taken = list(_endings(_surface(0.0, 0.04), found=found))
    # The test from cold errs at 2.5 %, one-sided.
    assert taken.count(_OTHER) <= 4


def test_a_loss_is_never_handed_in() -> None:
    assert set(_endings(_surface(-0.2, 0.04), found=True)) == {_surface(0, 0).task.default}


@pytest.mark.parametrize("found", [True, False])
def test_a_clear_gain_is_handed_in_even_where_its_verdict_missed_it(found: bool) -> None:
    assert set(_endings(_surface(0.5, 0.04), found=found)) == {_OTHER}


def test_who_alone_keeps_the_slo_is_handed_in_for_no_gain() -> None:
    surface = _surface(0.0, 0.01)
    waits = np.full(len(surface.rows), 900.0)
    waits[surface.rows[_OTHER]] = 100.0
    surface.metrics = {**surface.metrics, Metric.TTFT_P95_MS: waits}
    surface.task = surface.task.replace(slos=(Slo(metric=Metric.TTFT_P95_MS, limit=500),))
    assert set(_endings(surface, found=True)) == {_OTHER}


def test_what_does_not_start_again_gives_way_to_the_default() -> None:
    surface = _surface(0.5, 0.01)
    rng, launched = random.Random(0), set[object]()
    loop = AskTell(surface.task, load("random"), surface.catalog, surface.profile)
    loop.tell(None, surface.measure(surface.task.default, 0, rng, launched))
    loop.trials.append(surface.measure(_OTHER, 1, rng, launched))
    surface.crashes = surface.crashes.copy()
    surface.crashes[surface.rows[_OTHER]] = True
    assert handed_in(surface, loop, rng, launched) == surface.task.default


def test_close_ones_are_measured_again_as_often_as_the_product_does() -> None:
    surface = _surface(0.0, 0.04)
    rng, launched = random.Random(0), set[object]()
    tried = list(surface.rows)[:17]
    trials = [surface.measure(c, k, rng, launched) for k, c in enumerate(tried)]
    assert run_off(surface, trials, 16, rng, launched).repeats == 8
    assert run_off(surface, trials[:4], 3, rng, launched).repeats == 0
