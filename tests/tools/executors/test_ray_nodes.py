"""A server over two nodes: it takes its GPUs from the cluster itself, and nobody is in its way."""

import asyncio
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from knowledge.types import Cause
from tests.advisor.simulated import HARDWARE
from tests.ray_cluster import NICENESS
from tests.tools.executors.test_executors import spec
from tools import executors
from tools.executors import _on_ray
from tools.executors.base import Job
from tools.executors.ray import Shared
from tools.preparing import World
from tools.process import clean_env, leftovers


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
    assert (telemetry.energy_j, telemetry.rss_peak_bytes, telemetry.gpus) == (None, None, ())
    assert set(telemetry.series) <= {"cpu_percent"}
    assert any("кластера Ray" in line for line in telemetry.warnings)
    assert other.result.telemetry
    assert other.result.telemetry.rss_peak_bytes
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

    async def run(name: str, turn: AbstractAsyncContextManager[None]) -> None:
        async with turn:
            order.append(name)
            await asyncio.sleep(0.02)
            order.append(name)

    async with asyncio.TaskGroup() as group:
        for name in ("a", "b", "alone", "c", "alone too", "d"):
            turn = shared.alone() if name.startswith("alone") else shared.beside()
            group.create_task(run(name, turn))
            await asyncio.sleep(0.001)
    assert order[:4] == ["a", "b", "a", "b"]
    assert order[4:8] == ["alone", "alone", "alone too", "alone too"]
    assert sorted(order[8:]) == ["c", "c", "d", "d"]


async def test_who_gives_up_waiting_holds_nobody_up() -> None:
    shared = Shared()
    async with shared.beside():
        waiting = asyncio.create_task(shared.alone().__aenter__())
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async with asyncio.timeout(20), shared.beside():
            pass
    async with asyncio.timeout(20), shared.alone():
        pass


def test_the_token_of_the_cluster_reaches_the_server_as_a_file(
    two_nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with _on_ray._joining():
        env = clean_env()
        token = Path(env["RAY_AUTH_TOKEN_PATH"])
        assert token.read_text() == "secret"
        assert token.stat().st_mode & 0o077 == 0
        assert "RAY_AUTH_TOKEN" not in env
        assert "CUDA_VISIBLE_DEVICES" not in env
        assert env["RAY_ADDRESS"] == two_nodes.get_runtime_context().gcs_address
    assert not token.exists()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert "RAY_AUTH_TOKEN_PATH" not in os.environ
