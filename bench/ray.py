"""How trials scale on Ray: `python -m bench.ray` (needs the extra `ray`).

A cluster on this machine, with as many logical cores as workers; a trial only sleeps, so that what
is seen is scheduling, loss and the ledger, and not a contest for this machine's cores. Everything
else is the product's: `Context.measure_many`, the executor, the store with its one writer.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import ray

from advisor.context import Context, Pace
from bench import _ray_trial
from bench.search.spaces import FAMILIES, draw
from knowledge.types import Candidate, EngineConfig, LoadPlan, Task, TrialSpec
from tools import executors
from tools.executors import ray as on_ray
from tools.home import Home
from tools.preparing import World
from tools.store import Store

on_ray.run_job = _ray_trial.take_time


@contextmanager
def cluster(workers: int) -> Iterator[None]:
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray's own spelling
    ray.init(
        "local",
        num_cpus=workers,
        object_store_memory=250 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": str(Path.cwd())}},
    )
    try:
        yield
    finally:
        ray.shutdown()


class Fleet:
    """One session whose trials are measured all at once."""

    def __init__(self, folder: Path, task: Task, store: Store, name: str) -> None:
        self.running: dict[int, int] = {}
        """Process by the trial's number."""
        self.repeats = 0
        self.store = store
        home = Home(data=folder / "data", cache=folder / "cache")
        store.create_session(name, task, {})
        self.ctx = Context(
            session=name,
            task=task,
            store=store,
            world=World(home, task.hardware, folder / "logs", self._line),
            pace=Pace(),
            on_event=lambda _: None,
            executor=executors.connect("ray"),
        )

    def _line(self, line: str) -> None:
        first, _, second = line.partition(" ")
        if first.isdecimal() and second.isdecimal():
            self.running[int(first)] = int(second)
        self.repeats += "потеряно только это испытание" in line

    def specs(self, count: int, seconds: float) -> list[TrialSpec]:
        candidate = Candidate(config=EngineConfig(engine="sim"))
        load = LoadPlan(round_s=seconds, rounds=1)
        found = (
            self.ctx.spec(n, "hypothesis", candidate, load=load, quality=False)
            for n in range(count)
        )
        return list(found)

    async def run(self, specs: list[TrialSpec]) -> float:
        """Wall seconds."""
        begun = time.perf_counter()
        await self.ctx.measure_many(specs)
        return time.perf_counter() - begun

    async def kill(self, times: int, every_s: float, seed: int) -> int:
        """SIGKILL to the process of a random trial that is running; how many were killed."""
        draw, killed = random.Random(seed), set[int]()
        while len(killed) < times:
            await asyncio.sleep(every_s)
            done = {t.spec.ordinal for t in self.store.trials(self.ctx.session)}
            alive = [pid for n, pid in self.running.items() if n not in done and pid not in killed]
            if alive:
                os.kill(pid := draw.choice(alive), signal.SIGKILL)
                killed.add(pid)
        return len(killed)

    def kept(self) -> tuple[int, int]:
        """(trials in the ledger, those that failed)."""
        trials = self.store.trials(self.ctx.session)
        return len(trials), sum(trial.failure is not None for trial in trials)


async def warm(fleet: Fleet, workers: int) -> None:
    """Every worker has been started and has imported the trial."""
    await fleet.run(fleet.specs(workers, 5.0))


async def speed_up(open_fleet: Any, count: int, seconds: float, workers: int) -> dict[str, Any]:
    await warm(open_fleet("warm"), workers)
    fleet = open_fleet("speed")
    took_s = await fleet.run(fleet.specs(count, seconds))
    ideal_s = count * seconds / workers
    return {"trials": count, "workers": workers, "wall_s": took_s, "ideal_s": ideal_s,
            "speed_up": count * seconds / took_s, "of_ideal": ideal_s / took_s,
            "kept": fleet.kept()[0], "failed": fleet.kept()[1]}  # fmt: skip


async def killed(open_fleet: Any, count: int, seconds: float, kills: int) -> dict[str, Any]:
    fleet = open_fleet("killed")
    specs = fleet.specs(count, seconds)
    took_s, deaths = await asyncio.gather(fleet.run(specs), fleet.kill(kills, 1.5 * seconds, 0))
    kept, failed = fleet.kept()
    return {"trials": count, "killed": deaths, "repeated": fleet.repeats, "wall_s": took_s,
            "kept": kept, "failed": failed, "lost": count - kept}  # fmt: skip


async def fleet_of(open_fleet: Any, count: int, seconds: float, workers: int) -> dict[str, Any]:
    """The driver's own seconds of CPU for a trial, the ledger included, and its memory."""
    await warm(open_fleet("warm-fleet"), workers)
    fleet, this = open_fleet("fleet"), psutil.Process()
    memory: list[tuple[int, float]] = []

    async def watch() -> None:
        while True:
            memory.append((len(fleet.running), this.memory_info().rss / 2**20))
            await asyncio.sleep(2)

    watching = asyncio.create_task(watch())
    before = this.cpu_times()
    took_s = await fleet.run(fleet.specs(count, seconds))
    after = this.cpu_times()
    watching.cancel()
    cpu_s = after.user + after.system - before.user - before.system
    kept, failed = fleet.kept()
    quarter = next(mib for begun, mib in memory if begun >= count / 4)
    return {"trials": count, "workers": workers, "trial_s": seconds, "wall_s": took_s,
            "ideal_s": count * seconds / workers, "driver_cpu_ms_per_trial": 1e3 * cpu_s / count,
            "rss_first_mib": memory[0][1], "rss_quarter_mib": quarter, "rss_end_mib": memory[-1][1],
            "kept": kept, "failed": failed}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--fleet", type=int, default=1000)
    parser.add_argument("--fleet-workers", type=int, default=100)
    parser.add_argument("--fleet-trial-s", type=float, default=20.0)
    asked = parser.parse_args()
    found: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, ray {ray.__version__}",
        "load_average": os.getloadavg(),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Store.open(folder / "ledger.duckdb", "bench.ray") as store:

            def open_fleet(session: str) -> Fleet:
                return Fleet(folder, draw(FAMILIES[0], 0).task, store, session)

            with cluster(asked.workers):
                found["speed_up"] = asyncio.run(
                    speed_up(open_fleet, asked.trials, 2.0, asked.workers)
                )
                found["killed"] = asyncio.run(killed(open_fleet, asked.trials, 2.0, asked.kills))
            if asked.fleet:
                with cluster(asked.fleet_workers):
                    found["fleet"] = asyncio.run(
                        fleet_of(open_fleet, asked.fleet, asked.fleet_trial_s, asked.fleet_workers)
                    )
    show(found)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n")


def show(found: dict[str, Any]) -> None:
    print(f"{found['date']}, {found['machine']}, load {found['load_average'][0]:.1f}")
    for part in ("speed_up", "killed", "fleet"):
        figures = found.get(part, {})
        print(f"{part:10} " + ", ".join(
            f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}"
            for name, value in figures.items()
        ))  # fmt: skip


if __name__ == "__main__":
    main()
