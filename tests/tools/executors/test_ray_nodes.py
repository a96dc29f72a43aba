"""A server over two nodes: it takes its GPUs from the cluster itself, and nobody is in its way."""

import asyncio
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from knowledge.types import Cause
from tests.advisor.simulated import HARDWARE
from tests.ray_cluster import NICENESS
from tests.tools.executors.test_executors import spec
from tools import executors
from tools.executors.base import Job
from tools.executors.ray import Shared
from tools.home import Home
from tools.preparing import World
from tools.process import leftovers


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Any]:
    """Two of one GPU each, on this machine."""
    ray = pytest.importorskip("ray", reason="пакет ray не установлен: pip install -e '.[ray]'")
    from ray.cluster_utils import Cluster

    os.environ[NICENESS] = "0"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        node = {"num_cpus": 2, "num_gpus": 1, "object_store_memory": 100 * 2**20}
        cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
        cluster.add_node(**node)
        ray.init(
            cluster.address,
            log_to_driver=False,
            runtime_env={"env_vars": {"PYTHONPATH": str(Path.cwd())}},
        )
        yield ray
        ray.shutdown()
        cluster.shutdown()
    del os.environ[NICENESS]


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def world(home: Home, tmp_path: Path, lines: list[str]) -> World:
    return World(home=home, hardware=HARDWARE, logs=tmp_path / "logs", progress=lines.append)


def over(model: Path, gpus: int) -> Job:
    flags: dict[str, Any] = {"tensor-parallel-size": gpus, "distributed-executor-backend": "ray"}
    return Job((spec(model, gpus, **flags),))


async def test_a_server_over_two_nodes_is_measured_and_gives_its_gpus_back(
    two_nodes: Any, world: World, tiny_model: Path
) -> None:
    executor = executors.connect("ray")
    job = over(tiny_model, 2)
    assert executor.room(job.specs[0], HARDWARE) == 1
    alone, beside = await asyncio.gather(
        executor.measure(job, world), executor.measure(Job((spec(tiny_model),)), world)
    )
    ((one,), (other,)) = alone, beside
    assert one.result.failure is None
    assert other.result.failure is None
    assert one.result.measurement
    log = (world.logs / f"{job.specs[0].trial_id}.log").read_text()
    said = next(line for line in log.splitlines() if line.startswith("GPUs by node: "))
    assert sorted(json.loads(said.removeprefix("GPUs by node: ")).values()) == [1, 1]
    telemetry = one.result.telemetry
    assert telemetry
    assert telemetry.energy_j is None
    assert any("несколько узлов" in line for line in telemetry.warnings)
    times = [(m.result.started_at, m.result.finished_at) for m in (one, other)]
    (_, first_end), (second_begin, _) = sorted(times)
    assert first_end <= second_begin
    assert leftovers() == []
    async with asyncio.timeout(30):
        while two_nodes.available_resources().get("GPU") != 2:  # noqa: ASYNC110 - Ray tells nobody
            await asyncio.sleep(0.2)


async def test_more_gpus_than_all_nodes_have_is_told_and_ends(
    two_nodes: Any, world: World, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = executors.connect("ray")
    monkeypatch.setattr(executor, "queue_s", 0.5)
    (measured,) = await executor.measure(over(tiny_model, 3), world)
    failure = measured.result.failure
    assert failure
    assert failure.cause is Cause.SETUP
    assert "GPU 3 на любых узлах" in failure.message


async def test_who_needs_the_cluster_alone_waits_and_lets_nobody_in() -> None:
    shared, order = Shared(), list[str]()

    async def beside(name: str) -> None:
        async with shared.beside():
            order.append(name)
            await asyncio.sleep(0.05)
            order.append(name)

    async def alone() -> None:
        async with shared.alone():
            order.append("alone")
            await asyncio.sleep(0.05)
            order.append("alone")

    first = [asyncio.create_task(beside(name)) for name in ("a", "b")]
    await asyncio.sleep(0.01)
    second = asyncio.create_task(alone())
    await asyncio.gather(*first)
    third = asyncio.create_task(beside("c"))
    await asyncio.gather(second, third)
    assert order[:4] == ["a", "b", "a", "b"]
    assert order[4:] == ["alone", "alone", "c", "c"]
