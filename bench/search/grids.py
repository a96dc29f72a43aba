"""Recorded grids: one Parquet file holds measured configurations of one model on one machine.

Columns: grid (any name), task (the Task as JSON), settings (flags by name, variables as $NAME, the
artifact's recipe under "artifact"; JSON), cause (null, or why it failed: out-of-memory, crash, …),
ready_s, load_s, and metrics (JSON: metric -> [value, low, high]). `python -m bench.record_grid`
writes them. Every grid of a file is replayed on its own.
"""

import json
from pathlib import Path

import duckdb
import numpy as np

from advisor.policy.space import Knob, Space, candidate_of
from advisor.profiling import profile_of
from bench.search.surface import Surface
from knowledge.types import FlagValue, Metric, Task
from tools.engines.base import Flag, FlagCatalog

FOLDER = Path(__file__).parents[1] / "grids"
_WINDOW_CV = 0.01


def load_grids(folder: Path = FOLDER) -> list[Surface]:
    """Every grid of every file, by name."""
    return [surface for path in sorted(folder.glob("*.parquet")) for surface in read(path)]


def read(path: Path) -> list[Surface]:
    """The grids of one file. A configuration that was recorded twice counts with its median."""
    with duckdb.connect() as db:
        rows = db.execute(
            "SELECT grid, task, settings, cause, ready_s, load_s, metrics FROM read_parquet(?)",
            [str(path)],
        ).fetchall()
    names = list(dict.fromkeys(row[0] for row in rows))
    return [_surface(name, [row[1:] for row in rows if row[0] == name]) for name in names]


def _surface(name: str, rows: list[tuple[str, str, str | None, float, float, str]]) -> Surface:
    task = Task.model_validate_json(rows[0][0])
    seen: dict[str, list[tuple[str | None, float, float, dict[str, list[float]]]]] = {}
    for _, settings, cause, ready_s, load_s, metrics in rows:
        key = json.dumps(json.loads(settings), sort_keys=True)
        seen.setdefault(key, []).append((cause, ready_s, load_s, json.loads(metrics or "{}")))
    listed: list[dict[str, FlagValue]] = [json.loads(key) for key in seen]
    order = {candidate_of(task.engine, one): at for at, one in enumerate(listed)}
    failed = np.array([all(cause for cause, *_ in found) for found in seen.values()])
    named = {m for found in seen.values() for *_, metrics in found for m in metrics}
    figures = {
        Metric(metric): np.array([_median(metric, found) for found in seen.values()])
        for metric in sorted(named)
    }
    starts = [s for found in seen.values() for cause, s, _, _ in found if not cause]
    loads = [s for found in seen.values() for cause, _, s, _ in found if not cause]
    flags = {key for one in listed for key in one}
    return Surface(
        name, task, Space(_knobs(listed), frozenset(order)),
        FlagCatalog(
            engine=task.engine, version="recorded",
            flags={f: Flag(name=f, kind="str") for f in flags if not f.startswith("$")},
            env=tuple(f[1:] for f in flags if f.startswith("$")),
        ),
        profile_of(task), figures, failed, order,
        cold_s=float(np.percentile(starts, 75)), warm_s=float(np.percentile(starts, 25)),
        load_s=float(np.median(loads)), window_cv=_WINDOW_CV,
    )  # fmt: skip


def _median(
    metric: str, found: list[tuple[str | None, float, float, dict[str, list[float]]]]
) -> float:
    values = [m[metric][0] for cause, _, _, m in found if not cause and metric in m]
    return float(np.median(values)) if values else 1e-9


def _knobs(listed: list[dict[str, FlagValue]]) -> tuple[Knob, ...]:
    """Every setting that occurs, with the values that occur; absent is the default."""
    keys = sorted({key for one in listed for key in one})
    return tuple(Knob(flag=key, choices=tuple(_levels(key, listed))) for key in keys)


def _levels(key: str, listed: list[dict[str, FlagValue]]) -> list[FlagValue | None]:
    levels: list[FlagValue | None] = []
    for one in listed:
        value = one.get(key)
        if not any(value == known and type(value) is type(known) for known in levels):
            levels.append(value)
    return sorted(levels, key=lambda v: (v is not None, str(type(v)), v if v is not None else 0))
