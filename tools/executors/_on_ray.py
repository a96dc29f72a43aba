"""The side of a Ray worker: one step at a time, its lines as they come, then what came of it."""

import asyncio
import contextlib
import os
import platform
import tempfile
from collections import deque
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from knowledge.errors import AdvisorError, SetupFailed
from knowledge.types import Hardware
from tools import hardware as machine
from tools._nvml import fingerprints
from tools._priority import normal_priority
from tools.executors.base import Step
from tools.home import Home
from tools.preparing import World

BEGUN, LINE, DONE, FAILED = "begun", "line", "done", "failed"
Said = tuple[str, Any]


async def look(home: Home) -> Hardware:
    """The machine that the worker is on, with all its GPUs, not only those lent to this task."""
    return await asyncio.to_thread(machine.inspect, home, {})


def work(
    step: Step[Any],
    args: tuple[Any, ...],
    home: Home,
    hardware: Hardware | None,
    logs: Path,
    over_nodes: bool = False,
) -> Iterator[Said]:
    """(BEGUN, node id), any number of (LINE, text), then (DONE, value) or (FAILED, AdvisorError).

    The loop is driven from the worker's main thread, so that a cancellation reaches the step and
    its servers are torn down. Without `hardware` the step is given no World.
    """
    with _joining() if over_nodes else contextlib.nullcontext():
        yield from _work(step, args, home, hardware, logs)


@contextlib.contextmanager
def _joining() -> Iterator[None]:
    """Servers started here join the cluster as drivers of their own: they must know where it is and
    which node this is, and see the cards of the node, none of which is lent to this task."""
    kept, token = dict(os.environ), _token_file(os.environ.get("RAY_AUTH_TOKEN"))
    try:
        os.environ["RAY_ADDRESS"] = import_module("ray").get_runtime_context().gcs_address
        os.environ["VLLM_HOST_IP"] = import_module("ray.util").get_node_ip_address()
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)
        if token:
            os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
        yield
    finally:
        if token:
            token.unlink(missing_ok=True)
        os.environ.clear()
        os.environ.update(kept)


def _token_file(token: str | None) -> Path | None:
    """A server is given no secret in its environment, which is kept with its launch; KubeRay has
    the cluster's token there."""
    if not token:
        return None
    number, name = tempfile.mkstemp(prefix="advisor-ray-")  # readable by this user alone
    with os.fdopen(number, "w") as file:
        file.write(token)
    return Path(name)


def _work(
    step: Step[Any], args: tuple[Any, ...], home: Home, hardware: Hardware | None, logs: Path
) -> Iterator[Said]:
    import uvloop

    yield BEGUN, import_module("ray").get_runtime_context().get_node_id()
    lines = deque(filter(None, [normal_priority()]))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        loop, news = runner.get_loop(), asyncio.Event()

        def progress(line: str) -> None:
            lines.append(line)
            loop.call_soon_threadsafe(news.set)

        given = args
        if hardware is not None:
            given = (*args, World(home=home, hardware=hardware, logs=logs, progress=progress))
        running = runner.run(_begin(step, given, hardware))
        try:
            while lines or not running.done():
                if not lines:
                    runner.run(_news(running, news))
                while lines:
                    yield LINE, lines.popleft()
        finally:
            running.cancel()
            runner.run(_ended(running))
        try:
            yield DONE, running.result()
        except AdvisorError as error:
            yield FAILED, error


async def _begin(
    step: Step[Any], args: tuple[Any, ...], hardware: Hardware | None
) -> "asyncio.Task[Any]":
    async def whole() -> Any:
        if hardware is not None:
            _require_same_card(hardware)
        return await step(*args)

    return asyncio.create_task(whole())


def _require_same_card(hardware: Hardware) -> None:
    """What is measured on another card than the session's says nothing."""
    cards = fingerprints() if hardware.device.kind == "cuda" else ()
    if cards and not _alike(cards[0].name, hardware.device.name):
        raise SetupFailed(
            f"узел {platform.node()}: карта {cards[0].name}, а сессия идёт на "
            f"{hardware.device.name}",
            "Дайте кластеру узлы с одинаковыми картами",
        )


def _alike(driver: str, ours: str) -> bool:
    """The driver's name and the catalogue's: "NVIDIA H100 80GB HBM3" and "H100 SXM 80GB"."""
    from knowledge.devices import find_gpu

    found = find_gpu(driver).found
    return ours == (found.device.name if found else driver)


async def _news(running: "asyncio.Task[Any]", news: asyncio.Event) -> None:
    waiting = asyncio.create_task(news.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    news.clear()


async def _ended(running: "asyncio.Task[Any]") -> None:
    await asyncio.wait({running})
