"""Recorded grids: one Parquet file holds measured configurations of one model on one machine.

Columns: grid (any name), task (the Task as JSON), settings (flags by name, variables as $NAME, the
artifact's recipe under "artifact"; JSON), cause (null, or why it failed: out-of-memory, crash, …),
ready_s, load_s, and metrics (JSON: metric -> [value, low, high]). `python -m bench.record_grid`
writes them. Every grid of a file is replayed on its own. Where configurations were measured again,
figures are settled by bench.search.noise, and a trial of the replay is as noisy as they were.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import numpy as np

from advisor.policy.space import Knob, Space, candidate_of
from advisor.profiling import profile_of
from bench.search.noise import Figures, settle
from bench.search.surface import Surface
from knowledge.types import FlagValue, Metric, Task
from tools.engines.base import Flag, FlagCatalog

FOLDER = Path(__file__).parents[1] / "grids"
_WINDOW_CV, _LAUNCH_CV = 0.01, 0.015
"""Noise of a trial where the grid does not tell."""
_NEVER = 1e-9
"""Stands for the figure of what did not run."""
Seen = tuple[str | None, float, float, dict[str, list[float]]]
"""Cause, seconds of start and of load, and the metrics."""


def load_grids(folder: Path = FOLDER, *, raw: bool = False) -> list[Surface]:
    """Every grid of every file, by name. `raw`: figures as they were measured."""
    return [surface for path in sorted(folder.glob("*.parquet")) for surface in read(path, raw=raw)]


def read(path: Path, *, raw: bool = False) -> list[Surface]:
    """The grids of one file."""
    with duckdb.connect() as db:
        rows = db.execute(
            "SELECT grid, task, settings, cause, ready_s, load_s, metrics FROM read_parquet(?)",
            [str(path)],
        ).fetchall()
    names = list(dict.fromkeys(row[0] for row in rows))
    return [_surface(name, [row[1:] for row in rows if row[0] == name], raw) for name in names]


def _surface(
    name: str, rows: list[tuple[str, str, str | None, float, float, str]], raw: bool
) -> Surface:
    task = Task.model_validate_json(rows[0][0])
    seen: dict[str, list[Seen]] = {}
    for _, settings, cause, ready_s, load_s, metrics in rows:
        key = json.dumps(json.loads(settings), sort_keys=True)
        seen.setdefault(key, []).append((cause, ready_s, load_s, json.loads(metrics or "{}")))
    listed: list[dict[str, FlagValue]] = [json.loads(key) for key in seen]
    order = {candidate_of(task.engine, one): at for at, one in enumerate(listed)}
    failed = np.array([all(cause for cause, *_ in found) for found in seen.values()])
    named = {m for found in seen.values() for *_, metrics in found for m in metrics}
    design = _design(listed)
    told = {
        Metric(metric): _figures(metric, list(seen.values()), design) for metric in sorted(named)
    }
    launch_cv, window_cv = _noise(told[task.objective.metric].sd, task.objective.metric, seen)
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
        profile_of(task),
        {m: _median(m.value, list(seen.values())) if raw else np.exp(f.truth)
         for m, f in told.items()},
        failed, order,
        cold_s=float(np.percentile(starts, 75)), warm_s=float(np.percentile(starts, 25)),
        load_s=float(np.median(loads)),
        launch_cv=launch_cv, window_cv=window_cv,
    )  # fmt: skip


def _figures(metric: str, seen: Sequence[Sequence[Seen]], design: np.ndarray) -> Figures:
    """Settled among those that ran."""
    logs = [
        [math.log(m[metric][0]) for cause, _, _, m in found
         if not cause and m.get(metric, [0.0])[0] > 0]
        for found in seen
    ]  # fmt: skip
    ran = [at for at, one in enumerate(logs) if one]
    settled = settle([logs[at] for at in ran], design[ran])
    truth = np.full(len(seen), math.log(_NEVER))
    truth[ran] = settled.truth
    return Figures(truth, settled.sd)


def _median(metric: str, seen: Sequence[Sequence[Seen]]) -> np.ndarray:
    """A configuration that was recorded twice counts with its median."""
    values = [
        [m[metric][0] for cause, _, _, m in found if not cause and metric in m] for found in seen
    ]
    return np.array([float(np.median(one)) if one else _NEVER for one in values])


def _noise(
    sd: float | None, metric: Metric, seen: Mapping[str, Sequence[Seen]]
) -> tuple[float, float]:
    """Of a launch and of a window, which together make `sd`. A window tells of its own by its 95 %
    interval."""
    if sd is None:
        return _LAUNCH_CV, _WINDOW_CV
    told = [m[metric.value] for found in seen.values() for cause, _, _, m in found
            if not cause and metric.value in m]  # fmt: skip
    halves = [(high - low) / 2 / 1.96 / value for value, low, high in told if high > low]
    window = min(sd, float(np.median(halves)) if halves else _WINDOW_CV)
    return math.sqrt(sd**2 - window**2), window


def _design(listed: Sequence[dict[str, FlagValue]]) -> np.ndarray:
    """A constant, and a column for every value of every setting that is not the first seen."""
    columns = [np.ones(len(listed))]
    for key in sorted({key for one in listed for key in one}):
        levels = _levels(key, listed)
        columns += [np.array([_same(one.get(key), level) for one in listed], dtype=float)
                    for level in levels[1:]]  # fmt: skip
    return np.stack(columns, axis=1)


def _knobs(listed: Sequence[dict[str, FlagValue]]) -> tuple[Knob, ...]:
    """Every setting that occurs, with the values that occur; absent is the default."""
    keys = sorted({key for one in listed for key in one})
    return tuple(Knob(flag=key, choices=tuple(_levels(key, listed))) for key in keys)


def _levels(key: str, listed: Sequence[dict[str, FlagValue]]) -> list[FlagValue | None]:
    levels: list[FlagValue | None] = []
    for one in listed:
        value = one.get(key)
        if not any(_same(value, known) for known in levels):
            levels.append(value)
    return sorted(levels, key=lambda v: (v is not None, str(type(v)), v if v is not None else 0))


def _same(one: FlagValue | None, other: FlagValue | None) -> bool:
    return one == other and type(one) is type(other)
