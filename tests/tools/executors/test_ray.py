"""What only a cluster can do: lose a worker, reserve several GPUs, run trials side by side."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from knowledge.errors import BadInput, SetupFailed
from knowledge.types import Cause
from tests.advisor.simulated import HARDWARE
from tests.tools.executors import steps
from tests.tools.executors.test_executors import spec
from tools import executors
from tools.executors._ray_head import require_reachable
from tools.executors.base import Job
from tools.preparing import World

GPUS = HARDWARE.replace(
    device=HARDWARE.device.replace(kind="cuda", name="NVIDIA H100 SXM 80GB"),
    cores=4,
    device_count=4,
)


@pytest.fixture
async def executor(ray: Any) -> AsyncIterator[Any]:
    connected = executors.connect("ray")
    yield connected
    await connected.close()


async def test_a_lost_worker_costs_a_repeat_and_is_told(
    executor: Any, world: World, lines: list[str], tmp_path: Path
) -> None:
    slow, quick = (
        executor.call(steps.die, tmp_path / name, times, world=world)
        for name, times in (("dies", 1), ("lives", 0))
    )
    assert await asyncio.gather(slow, quick) == [2, 1]
    assert [line for line in lines if "потеряно только это испытание" in line]


async def test_a_worker_that_is_always_lost_is_a_failure_with_its_cause(
    executor: Any, world: World, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SetupFailed, match="потерян"):
        await executor.call(steps.die, tmp_path / "dies", 9, world=world)
    assert len((tmp_path / "dies").read_text()) == 3
    monkeypatch.setattr("tools.executors.ray.run_job", steps.die_of_job)
    (measured,) = await executor.measure(Job((spec(tiny_model),)), world)
    assert measured.result.failure
    assert measured.result.failure.cause is Cause.LOST
    assert measured.result.measurement is None


async def test_several_gpus_come_together_from_one_node(
    executor: Any, world: World, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_gpus = World(world.home, GPUS, world.logs, world.progress)
    two = spec(tiny_model, engine="vllm", **{"tensor-parallel-size": 2})
    monkeypatch.setattr("tools.executors.ray.run_job", steps.visible_to_job)
    for at_once in (1, 2):  # the second needs the cores of the first: it waits for it
        seen = await asyncio.gather(
            *(executor.measure(Job((two,)), on_gpus) for _ in range(at_once))
        )
        assert [len(set(one.split(","))) for one in seen] == [2] * at_once


async def test_room_counts_whole_trials_on_each_node(executor: Any, tiny_model: Path) -> None:
    one = spec(tiny_model, engine="vllm")
    assert executor.room(one, GPUS) == 2  # of four GPUs, since there are two cores
    four = spec(tiny_model, engine="vllm", **{"tensor-parallel-size": 4})
    assert executor.room(four, GPUS) == 1


async def test_what_a_node_can_not_do_is_said_in_one_line(executor: Any, world: World) -> None:
    with pytest.raises(SetupFailed, match="та же версия inference-advisor"):
        await executor.call(steps.missing, world=world)


async def test_a_port_where_something_else_answers(tmp_path: Path) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(BadInput, match="не Ray"):
            await asyncio.to_thread(require_reachable, f"127.0.0.1:{port}")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:10001", "nowhere"])
def test_an_address_that_leads_nowhere(address: str) -> None:
    with pytest.raises(BadInput) as caught:
        require_reachable(address)
    assert address in caught.value.message
    assert "--executor local" in caught.value.hint
