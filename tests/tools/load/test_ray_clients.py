"""Clients on a Ray cluster do what processes here do, and leave nothing behind."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from api.cli import bench_run
from api.tasks import Request
from knowledge.errors import NothingMeasured, SetupFailed
from knowledge.types import ClosedLoop, Workload
from tests.ray_cluster import ray
from tests.tools.load.server import ExactServer, Script
from tools.load import run_round
from tools.load.fleet import Pipe
from tools.load.prompts import PromptSource
from tools.load.ray_clients import RayClients, RayPipe
from tools.load.target import Target

__all__ = ["ray"]

Make = Callable[..., Workload]


def running() -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if "tools.load._worker" in (process.info["cmdline"] or ())
    ]


async def all_gone() -> bool:
    """Those that run now; other tests may begin new ones meanwhile."""
    left = set(running())
    for _ in range(100):
        if not left & set(running()):
            return True
        await asyncio.sleep(0.1)
    return False


async def test_streams_are_shared_out_over_the_cluster(ray: Any, workload: Make) -> None:
    asked, pipes = workload(arrival=ClosedLoop(concurrency=5)), list[RayPipe]()
    clients = RayClients(ray)

    async def spawn() -> Pipe:
        pipes.append(await clients.spawn())
        return pipes[-1]

    async with ExactServer(Script(ttft_s=0.005, itl_s=0.001, usage="final")) as server:
        outcome = await run_round(
            Target(server.url, "exact"), asked, PromptSource(asked, None, 1),
            round_index=2, duration_s=2.0, drain_s=2, seed=1, processes=2, spawn=spawn,
        )  # fmt: skip
    assert len(pipes) == outcome.client.processes == 2
    assert all(abs(pipe.clock_s) < 0.2 for pipe in pipes)  # one machine: one clock
    assert {s.stream for s in outcome.samples} == set(range(5))
    assert len(outcome.samples) == len(server.log) > 2 * 16 * 5  # more than was handed over first
    assert all(s.ok and s.output_tokens == s.asked_output_tokens for s in outcome.samples)
    assert await all_gone()


async def test_a_lost_client_ends_the_round_and_leaves_nothing(ray: Any, workload: Make) -> None:
    asked, clients = workload(arrival=ClosedLoop(concurrency=2)), RayClients(ray)

    async def spawn() -> Pipe:
        pipe = await clients.spawn()
        asyncio.get_running_loop().call_later(1.5, ray.kill, pipe.actor)
        return pipe

    async with ExactServer(Script(ttft_s=0.005, itl_s=0.001)) as server:
        with pytest.raises(NothingMeasured, match="умер"):
            await run_round(
                Target(server.url, "exact"), asked, PromptSource(asked, None, 1),
                round_index=0, duration_s=20, drain_s=2, seed=1, processes=1, spawn=spawn,
            )  # fmt: skip
    assert await all_gone()


async def test_more_clients_than_cores_are_refused(
    ray: Any, workload: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.load.ray_clients.READY_S", 5.0)
    asked = workload(arrival=ClosedLoop(concurrency=3))
    async with ExactServer() as server:
        with pytest.raises(SetupFailed, match="свободного ядра"):
            await run_round(
                Target(server.url, "exact"), asked, PromptSource(asked, None, 1),
                round_index=0, duration_s=1, drain_s=2, seed=1, processes=3,
                spawn=RayClients(ray).spawn,
            )  # fmt: skip
    assert await all_gone()


async def test_bench_offers_its_load_from_every_node(ray: Any, tmp_path: Path) -> None:
    request = Request(model="exact", workload="demo", concurrency=2, input_tokens=20,
                      output_tokens=8)  # fmt: skip
    async with ExactServer() as server:
        asked = bench_run.Asked(
            url=server.url, request=request, arrival=bench_run.ArrivalOptions(), warmup_s=0.0,
            duration_s=0.6, executor="ray", json_file=str(tmp_path / "found.json"),
        )  # fmt: skip
        assert await bench_run.run(asked) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["client"]["processes"] == 1  # the cluster has one node
    assert found["metrics"]["requests_per_s"]["value"] > 0
