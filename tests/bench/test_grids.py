"""A grid that the recorder writes is replayed with its figures and its failures."""

import json
from pathlib import Path

import duckdb
import pytest

from advisor.policy import load
from bench._grid_plans import PLANS, Plan
from bench.record_grid import recorded, save
from bench.search.grids import read
from bench.search.handin import surface_of
from bench.search.replay import replay
from knowledge.types import Metric

METRIC = "output_tokens_per_s"


def test_from_recorder_to_replay(tmp_path: Path):
    path, task = tmp_path / "grid.parquet", surface_of(0).task.replace(engine="vllm")
    rates = {None: 100.0, 8: 130.0, 16: 90.0}
    for value, rate in rates.items():
        chosen = json.dumps({"max-num-seqs": value} if value else {})
        metrics = json.dumps({METRIC: [rate, rate, rate]})
        save(path, [("g", task.model_dump_json(), chosen, None, 30.0, 20.0, metrics, 0.0)])
    dead = json.dumps({"max-num-seqs": 64})
    save(path, [("g", task.model_dump_json(), dead, "out-of-memory", 0.0, 0.0, "{}", 0.0)])
    assert list(recorded(path).values()) == [1] * 4

    (surface,) = read(path)
    assert len(surface.rows) == 4
    assert round(2.718281828**surface.best, 3) == 1.3
    assert int(surface.crashes.sum()) == 1
    run = replay(surface, "grid", load("grid"), 0, 10)
    assert run.failures == 1
    assert run.best[-1] == surface.best


def test_a_figure_of_a_slow_moment_counts_as_at_the_usual_speed(tmp_path: Path):
    path, task = tmp_path / "grid.parquet", surface_of(0).task.replace(engine="vllm")
    for chosen, rate, machine in (({}, 100.0, 10.0), ({"a": 1}, 60.0, 5.0), ({"b": 1}, 90.0, 10.0)):
        metrics = json.dumps(
            {METRIC: [rate] * 3, "ttft_p50_ms": [rate] * 3, "error_rate": [0.5] * 3}
        )
        line = ("g", task.model_dump_json(), json.dumps(chosen), None, 30.0, 20.0, metrics, machine)
        save(path, [line])
    (surface,) = read(path)
    assert [round(float(one)) for one in surface.metrics[Metric(METRIC)]] == [100, 120, 90]
    assert [round(float(one)) for one in surface.metrics[Metric.TTFT_P50_MS]] == [100, 30, 90]
    assert set(surface.metrics[Metric.ERROR_RATE]) == {0.5}


def test_a_file_of_others_has_no_speed_of_the_machine(tmp_path: Path):
    path, task = tmp_path / "grid.parquet", surface_of(0).task.replace(engine="vllm")
    metrics = json.dumps({METRIC: [7.0, 7.0, 7.0]})
    save(path, [("g", task.model_dump_json(), "{}", None, 30.0, 20.0, metrics, 3.0)])
    with duckdb.connect() as db:
        known = db.from_parquet(str(path)).project("* EXCLUDE machine")
        known.write_parquet(str(tmp_path / "o.parquet"))
    (surface,) = read(tmp_path / "o.parquet")
    assert list(surface.metrics[Metric(METRIC)]) == [7.0]


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
