"""python -m bench.record_grid --out bench/grids/NAME.parquet [--limit N] [--model demo]

Measures configurations of the real vLLM on this machine under three workloads, one start for all
three, and appends to the file after every configuration, so that a stop loses one at most and the
next call goes on. A full grid takes hours of a quiet machine. What does not start is recorded with
its cause: a grid without its failures would flatter every policy.
"""

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import duckdb

from advisor.policy.space import candidate_of
from bench._served import closed, figures, served
from knowledge.errors import AdvisorError, EngineFailed
from knowledge.types import Budget, FlagValue, Hardware, ModelSpec, Objective, Task, Workload
from tools.hardware import inspect
from tools.home import Home
from tools.models import resolve

_ENGINE = "vllm"
_AXES: dict[str, tuple[FlagValue | None, ...]] = {
    "dtype": (None, "float32"),
    "enforce-eager": (None, True),
    "max-num-seqs": (None, 4, 16),
    "max-num-batched-tokens": (None, 512, 8192),
    "enable-prefix-caching": (None, False),
    "block-size": (None, 32),
    "$VLLM_CPU_OMP_THREADS_BIND": (None, "all"),
}
"""288 combinations; --limit takes a random part of them, the default always first."""
_SLOW_EVERY = 4
"""vLLM's own dtype emulates bfloat16 here and takes three times as long to measure: of four
configurations one has it."""
_WORKLOADS = (
    closed("chat", 8, 64, 32),
    closed("rag", 4, 512, 16).replace(shared_prefix_tokens=384),
    closed("stream", 1, 64, 64),
)
_OBJECTIVES = (Objective.THROUGHPUT, Objective.LATENCY, Objective.TPOT)
_WARM_UP_S = 3.0
_COLUMNS = "grid VARCHAR, task VARCHAR, settings VARCHAR, cause VARCHAR, ready_s DOUBLE,"\
    " load_s DOUBLE, metrics VARCHAR"  # fmt: skip
Row = tuple[str, str, str, str | None, float, float, str]


def settings(cores: int) -> list[dict[str, FlagValue]]:
    """All combinations in an order that a limit may cut anywhere."""
    every = f"0-{cores - 1}"
    found = [
        {k: every if v == "all" else v for k, v in zip(_AXES, values, strict=True) if v is not None}
        for values in product(*_AXES.values())
    ]
    rest = found[1:]
    random.Random(0).shuffle(rest)
    slow = [one for one in rest if "dtype" not in one]
    fast = [one for one in rest if "dtype" in one]
    mixed = []
    while slow or fast:
        source = slow if slow and (len(mixed) % _SLOW_EVERY == 0 or not fast) else fast
        mixed.append(source.pop())
    return [found[0], *mixed]


def task_of(model: ModelSpec, hardware: Hardware, workload: Workload, objective: Objective) -> Task:
    return Task(
        model=model, hardware=hardware, workload=workload, engine=_ENGINE, objective=objective,
        budget=Budget(seconds=7200),
    )  # fmt: skip


async def measure(
    chosen: dict[str, FlagValue], tasks: Sequence[Task], home: Home, log: Path, round_s: float
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
                rows.append((_name(task), task.model_dump_json(), text, None, server.ready_s,
                             took, json.dumps(metrics)))  # fmt: skip
    except AdvisorError as error:
        cause = error.cause.value if isinstance(error, EngineFailed) else "setup"
        done = {row[0] for row in rows}
        rows += [(_name(t), t.model_dump_json(), text, cause, 0.0, 0.0, "{}")
                 for t in tasks if _name(t) not in done]  # fmt: skip
    return rows


def _name(task: Task) -> str:
    device = task.hardware.device.name
    return f"{task.model.name} {task.workload.name}, {_ENGINE}, {device}"


def save(path: Path, rows: Sequence[Row]) -> None:
    """The whole file anew, then in its place: a stop in the middle leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with duckdb.connect() as db:
        db.execute(f"CREATE TABLE grid ({_COLUMNS})")
        if path.exists():
            db.execute("INSERT INTO grid SELECT * FROM read_parquet(?)", [str(path)])
        db.executemany("INSERT INTO grid VALUES (?, ?, ?, ?, ?, ?, ?)", [list(r) for r in rows])
        db.execute(f"COPY grid TO '{str(part).replace(chr(39), chr(39) * 2)}' (FORMAT parquet)")
    part.replace(path)


def recorded(path: Path) -> set[str]:
    """Settings that the file has already."""
    if not path.exists():
        return set()
    with duckdb.connect() as db:
        found = db.execute("SELECT DISTINCT settings FROM read_parquet(?)", [str(path)]).fetchall()
    return {row[0] for row in found}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--limit", type=int, help="So many configurations, the default first")
    parser.add_argument("--round-s", type=float, default=12.0)
    options = parser.parse_args()
    home = Home.default(os.environ)
    hardware, model = inspect(home), await resolve(options.model, home, print)
    tasks = [
        task_of(model, hardware, workload, objective)
        for workload, objective in zip(_WORKLOADS, _OBJECTIVES, strict=True)
    ]
    known = recorded(options.out)
    with tempfile.TemporaryDirectory() as logs:
        for at, chosen in enumerate(settings(hardware.cores)[: options.limit]):
            if json.dumps(chosen, sort_keys=True) in known:
                continue
            log = Path(logs) / f"{at}.log"
            rows = await measure(chosen, tasks, home, log, options.round_s)
            save(options.out, rows)
            causes = {row[3] or "measured" for row in rows}
            print(f"{at + 1}: {chosen or 'default'}: {', '.join(sorted(causes))}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
