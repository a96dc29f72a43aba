"""A grid that the recorder writes is replayed with its figures and its failures."""

import json
import math
from pathlib import Path

import pytest

from advisor.policies import load
from bench._grid_plans import PLANS, Plan
from bench.record_grid import _name, leaders, recorded, save, spread
from bench.search.grids import read
from bench.search.handin import surface_of
from bench.search.replay import replay
from knowledge.types import Metric, Objective

METRIC = "output_tokens_per_s"


def test_from_recorder_to_replay(tmp_path: Path):
    path, task = tmp_path / "grid.parquet", surface_of(0).task.replace(engine="vllm")
    rates = {None: 100.0, 8: 130.0, 16: 90.0}
    for value, rate in rates.items():
        chosen = json.dumps({"max-num-seqs": value} if value else {})
        metrics = json.dumps({METRIC: [rate, rate, rate]})
        save(path, [("g", task.model_dump_json(), chosen, None, 30.0, 20.0, metrics)])
    dead = json.dumps({"max-num-seqs": 64})
    save(path, [("g", task.model_dump_json(), dead, "out-of-memory", 0.0, 0.0, "{}")])
    assert recorded(path, [task]) == {}

    (surface,) = read(path)
    assert len(surface.rows) == 4
    assert round(2.718281828**surface.best, 3) == 1.3
    assert int(surface.crashes.sum()) == 1
    run = replay(surface, "grid", load("grid"), 0, 10)
    assert run.failures == 1
    assert run.best[-1] == surface.best


def test_a_trial_is_as_noisy_as_what_was_measured_again(tmp_path: Path):
    path, task = tmp_path / "grid.parquet", surface_of(0).task.replace(engine="vllm")
    for value, rates in {None: (90.0, 100.0, 110.0, 101.0), 8: (150.0,), 16: (95.0,)}.items():
        for rate in rates:
            chosen = json.dumps({"max-num-seqs": value} if value else {})
            metrics = json.dumps({METRIC: [rate, rate * 0.96, rate * 1.04]})
            save(path, [("g", task.model_dump_json(), chosen, None, 30.0, 20.0, metrics)])
    (surface,), (raw,) = read(path), read(path, raw=True)
    of_one = math.hypot(surface.launch_cv, surface.window_cv)
    assert of_one == pytest.approx(0.083, rel=0.05)
    assert surface.window_cv == pytest.approx(0.04 / 1.96)
    assert list(raw.metrics[Metric.OUTPUT_TOKENS_PER_S]) == [100.5, 150.0, 95.0]


def test_how_far_the_machine_is_from_standing_still_is_told(tmp_path: Path):
    path, task = tmp_path / "grid.parquet", surface_of(0).task.replace(engine="vllm")
    name = _name(task)
    for rate in (90.0, 100.0, 110.0):
        metrics = json.dumps({METRIC: [rate] * 3})
        save(path, [(name, task.model_dump_json(), "{}", None, 30.0, 20.0, metrics)])
    assert recorded(path, [task]) == {"{}": 3}
    assert recorded(path, [task.replace(workload=task.workload.replace(name="other"))]) == {}
    save(path, [(name, task.model_dump_json(), "{}", None, 30.0, 20.0, "{}")])
    assert [line.rpartition(" ")[2] for line in spread(path, [task])] == ["10.0%"]
    assert spread(path, [task.replace(flags={"a": 1})]) == []


def test_the_best_of_every_workload_are_measured_once_more(tmp_path: Path):
    path, task = tmp_path / "grid.parquet", surface_of(0).task.replace(engine="vllm")
    slow = task.replace(objective=Objective.TPOT, workload=task.workload.replace(name="other"))
    figures = {None: (100.0, 9.0), 8: (130.0, 30.0), 16: (90.0, 5.0), 32: (140.0, 40.0)}
    for value, (rate, tpot) in figures.items():
        chosen = json.dumps({"max-num-seqs": value} if value else {})
        for one, metric, seen in ((task, METRIC, rate), (slow, "tpot_p50_ms", tpot)):
            metrics = json.dumps({metric: [seen] * 3})
            save(path, [(_name(one), one.model_dump_json(), chosen, None, 30.0, 20.0, metrics)])
    dead = (_name(task), task.model_dump_json(), '{"max-num-seqs": 64}', "crash", 0.0, 0.0, "{}")
    save(path, [dead])
    assert leaders(path, [task, slow], 1) == [{"max-num-seqs": 32}, {"max-num-seqs": 16}]
    assert leaders(path, [task], 9)[-1] == {"max-num-seqs": 16}


@pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))
def test_the_default_comes_first_and_a_full_grid_is_large_enough(plan: Plan):
    found = plan.settings()
    assert found[0] == plan.fixed
    assert len(found) >= 120
    assert len({json.dumps(one, sort_keys=True) for one in found}) == len(found)
    assert all(plan.fixed.items() <= one.items() for one in found)


def test_parts_share_the_grid_and_each_measures_the_default_again():
    plan = PLANS["cuda"]
    orders = [plan.order(101, part, 4) for part in range(4)]
    assert all(order.count(plan.fixed) == 1 + 25 // 12 for order in orders)
    others = [one for order in orders for one in order if one != plan.fixed]
    assert len(others) == 100
    assert [one for one in plan.settings()[:101] if one not in others] == [plan.fixed]
