"""A grid that the recorder writes is replayed with its figures and its failures."""

import json
from pathlib import Path

from advisor.policy import load
from bench.record_grid import recorded, save, settings
from bench.search.grids import read
from bench.search.handin import surface_of
from bench.search.replay import replay

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
    assert len(recorded(path)) == 4

    (surface,) = read(path)
    assert len(surface.rows) == 4
    assert round(2.718281828**surface.best, 3) == 1.3
    assert int(surface.crashes.sum()) == 1
    run = replay(surface, "grid", load("grid"), 0, 10)
    assert run.failures == 1
    assert run.best[-1] == surface.best


def test_the_default_is_recorded_first_and_a_full_grid_is_large_enough():
    found = settings(4)
    assert found[0] == {}
    assert len(found) >= 120
    assert len({json.dumps(one, sort_keys=True) for one in found}) == len(found)
