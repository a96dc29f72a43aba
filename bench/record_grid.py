"""python -m bench.record_grid --out bench/grids/NAME.parquet [--limit N] [--minutes M] [--part I/N]
[--again N]

Measures configurations of the real vLLM on this machine under three workloads, one start for all
three, and appends to the file after every configuration, so that a stop loses one at most and the
next call goes on. A full grid takes hours of a quiet machine; `--part 0/4` takes every fourth, for
one of four cards, into a file of its own. What does not start is recorded with its cause: a grid
without its failures would flatter every policy. The default is measured again and again; how far
its figures lie apart is printed at the end. `--again 4` measures the best four of every workload
once more: the best of many single figures is the luckiest.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import duckdb

from advisor.policy.space import candidate_of
from bench._grid_plans import PLANS, Settings
from bench._served import figures, served
from knowledge.errors import AdvisorError, EngineFailed
from knowledge.types import Budget, Hardware, ModelSpec, Task
from tools.hardware import inspect
from tools.home import Home
from tools.models import resolve

_ENGINE = "vllm"
_WARM_UP_S = 2.0
_COLUMNS = "grid VARCHAR, task VARCHAR, settings VARCHAR, cause VARCHAR, ready_s DOUBLE,"\
    " load_s DOUBLE, metrics VARCHAR"  # fmt: skip
Row = tuple[str, str, str, str | None, float, float, str]
_NAMES = "grid, task, settings, cause, ready_s, load_s, metrics"


def tasks_of(model: ModelSpec, hardware: Hardware) -> list[Task]:
    plan = PLANS[hardware.device.kind]
    return [
        Task(
            model=model, hardware=hardware, workload=workload, engine=_ENGINE,
            objective=objective, budget=Budget(seconds=7200), flags=plan.fixed,
        )
        for workload, objective in plan.workloads
    ]  # fmt: skip


async def measure(
    chosen: Settings, tasks: Sequence[Task], home: Home, log: Path, round_s: float
) -> list[Row]:
    """One start, every workload; a failure is a row of each."""
    text = json.dumps(chosen, sort_keys=True)
    config = candidate_of(_ENGINE, chosen).config
    model, hardware = tasks[0].model, tasks[0].hardware
    rows: list[Row] = []
    try:
        async with served(config, model, hardware, home, log) as server:
            for task in tasks:
                begun = time.monotonic()
                await server.round(task.workload, _WARM_UP_S)
                seen = figures(await server.round(task.workload, round_s), round_s)
                metrics = {m.value: [e.value, e.low, e.high] for m, e in seen.items()}
                took = time.monotonic() - begun
                rows.append((_name(task), _portable(task), text, None, server.ready_s,
                             took, json.dumps(metrics)))  # fmt: skip
    except AdvisorError as error:
        cause = error.cause.value if isinstance(error, EngineFailed) else "setup"
        done = {row[0] for row in rows}
        rows += [(_name(t), _portable(t), text, cause, 0.0, 0.0, "{}")
                 for t in tasks if _name(t) not in done]  # fmt: skip
    return rows


def _portable(task: Task) -> str:
    """Without the places of this machine."""
    model = task.model.replace(path=task.model.name, gguf=None)
    return task.replace(model=model).model_dump_json()


def _name(task: Task) -> str:
    """A CPU's name says little on a virtual machine: its cores and instructions tell it apart."""
    hardware = task.hardware
    machine = hardware.device.name
    if hardware.device.kind == "cpu":
        isa = "avx512" if "avx512f" in hardware.isa else "+".join(hardware.isa[-1:]) or "no SIMD"
        machine += f" ({hardware.cores} cores, {isa})"
    return f"{task.model.name} {task.workload.name}, {_ENGINE}, {machine}"


def save(path: Path, rows: Sequence[Row]) -> None:
    """The whole file anew, then in its place: a stop in the middle leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with duckdb.connect() as db:
        db.execute(f"CREATE TABLE grid ({_COLUMNS})")
        if path.exists():
            known = db.from_parquet(str(path)).project(_NAMES)
            known.insert_into("grid")
        db.executemany("INSERT INTO grid VALUES (?, ?, ?, ?, ?, ?, ?)", [list(r) for r in rows])
        db.execute(f"COPY grid TO '{str(part).replace(chr(39), chr(39) * 2)}' (FORMAT parquet)")
    part.replace(path)


def recorded(path: Path, tasks: Sequence[Task]) -> dict[str, int]:
    """Settings that the file has already of these very tasks, and how often."""
    if not path.exists():
        return {}
    with duckdb.connect() as db:
        found = db.execute(
            "SELECT settings, count(*) FROM read_parquet(?) WHERE grid = ? GROUP BY 1",
            [str(path), _name(tasks[0])],
        ).fetchall()
    return dict(found)


def leaders(path: Path, tasks: Sequence[Task], count: int) -> list[Settings]:
    """The best `count` of every workload, by the mean of what was measured of each."""
    found: dict[str, None] = {}
    for task in tasks:
        seen: dict[str, list[float]] = {}
        metric = task.objective.metric
        with duckdb.connect() as db:
            rows = db.execute(
                "SELECT settings, metrics FROM read_parquet(?) WHERE grid = ? AND cause IS NULL",
                [str(path), _name(task)],
            ).fetchall()
        for text, metrics in rows:
            if told := json.loads(metrics).get(metric.value):
                seen.setdefault(text, []).append(told[0])
        order = sorted(
            seen, key=lambda text: statistics.fmean(seen[text]), reverse=metric.higher_is_better
        )
        found |= dict.fromkeys(order[:count])
    return [json.loads(text) for text in found]


def spread(path: Path, tasks: Sequence[Task]) -> list[str]:
    """How far repeated measurements of the default lie apart."""
    lines = []
    default = json.dumps(tasks[0].flags, sort_keys=True)
    for task in tasks:
        with duckdb.connect() as db:
            rows = db.execute(
                "SELECT metrics FROM read_parquet(?) WHERE grid = ? AND settings = ?"
                " AND cause IS NULL", [str(path), _name(task), default],
            ).fetchall()  # fmt: skip
        metric = task.objective.metric.value
        told = [json.loads(text).get(metric) for (text,) in rows]
        seen = [one[0] for one in told if one]
        if len(seen) > 1:
            cv = statistics.stdev(seen) / statistics.fmean(seen)
            lines.append(
                f"{task.workload.name}: the default {len(seen)} times, CV of {metric} {cv:.1%}"
            )
    return lines


def _part(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not 0 <= int(part) < int(parts):
        raise ValueError(text)
    return int(part), int(parts)


def _count(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--dummy-weights", action="store_true")
    parser.add_argument("--limit", type=_count, help="So many configurations, the default first")
    parser.add_argument("--minutes", type=float, default=24 * 60.0)
    parser.add_argument(
        "--part", default="0/1", type=_part, help="I/N: every N-th, from the I-th on"
    )
    parser.add_argument("--round-s", type=float, default=16.0)
    parser.add_argument("--again", type=_count, help="Only the best N of every workload, once more")
    options = parser.parse_args()
    ends = time.monotonic() + 60 * options.minutes
    home = Home.default(os.environ)
    hardware = inspect(home)
    model = await resolve(options.model, home, print, dummy_weights=options.dummy_weights)
    tasks = tasks_of(model, hardware)
    part, parts = options.part
    known = recorded(options.out, tasks)
    with tempfile.TemporaryDirectory() as logs:
        order = PLANS[hardware.device.kind].order(options.limit, part, parts)
        if options.again:
            order, known = leaders(options.out, tasks, options.again), {}
        for at, chosen in enumerate(order):
            text = json.dumps(chosen, sort_keys=True)
            if known.get(text, 0) > 0:
                known[text] -= 1
                continue
            begun = time.monotonic()
            rows = await measure(chosen, tasks, home, Path(logs) / f"{at}.log", options.round_s)
            save(options.out, rows)
            causes = {row[3] or "measured" for row in rows}
            took = time.monotonic() - begun
            print(f"{at + 1} of {len(order)}: {text}: {', '.join(sorted(causes))}, {took:.0f} s",
                  flush=True)  # fmt: skip
            if time.monotonic() + took > ends:
                break
    for line in spread(options.out, tasks):
        print(line)


if __name__ == "__main__":
    asyncio.run(main())
