"""What tests ask an executor to do; a worker imports it by this name."""

import asyncio
import os
import signal
from pathlib import Path

from knowledge.errors import BadInput, EngineFailed
from knowledge.types import Cause
from tools.preparing import World


async def tell(text: str, world: World) -> str:
    world.progress(f"слышу {text}")
    await asyncio.sleep(0.05)
    world.progress("и ещё")
    return f"{text}, {world.hardware.device.name}"


async def refuse(world: World) -> None:
    raise BadInput("так нельзя", "надо иначе")


async def fail(world: World) -> None:
    raise EngineFailed(Cause.OUT_OF_MEMORY, "память", ("последняя строка",))


async def die(attempts: Path, times: int, world: World) -> int:
    """Kills its own process the first `times` times; then how often it was begun."""
    with attempts.open("a") as log:
        log.write("x")
    begun = len(attempts.read_text())
    if begun <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return begun


async def hang(trace: Path, world: World) -> None:
    trace.write_text("begun")
    try:
        await asyncio.sleep(600)
    finally:
        await asyncio.sleep(0.1)
        trace.write_text("torn down")


async def die_of_job(job: object, world: World) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def visible_to_job(job: object, world: World) -> str:
    """The GPUs that the task was lent."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", "")


async def missing(world: World) -> None:
    raise ModuleNotFoundError("No module named 'tools'")
