"""This machine, one job after another."""

import asyncio
from collections.abc import Callable
from typing import Any

from knowledge.types import Hardware, TrialSpec
from tools import hardware as machine
from tools.arm import Measured
from tools.executors.base import Job, Step, T, run_job
from tools.home import Home
from tools.preparing import World


class Local:
    """In the advisor's own process, which the servers die with."""

    name = "local"

    async def inspect(self, home: Home, progress: Callable[[str], None]) -> Hardware:
        return await asyncio.to_thread(machine.inspect, home)

    def room(self, spec: TrialSpec, hardware: Hardware) -> int:
        """Two trials would share the very thing that is measured."""
        return 1

    async def call(self, step: Step[T], *args: Any, world: World) -> T:
        return await step(*args, world)

    async def measure(self, job: Job, world: World) -> tuple[Measured, ...]:
        return await run_job(job, world)

    async def close(self) -> None:
        """Nothing is held."""


def connect(address: str | None = None) -> Local:
    """Needs no cluster."""
    return Local()
