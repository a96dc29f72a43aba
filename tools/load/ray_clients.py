"""The load from nodes of a Ray cluster, where one client machine can't offer enough of it.

An actor on each node runs the same process of a fleet as here and passes its messages on. The
server must be reachable from those nodes under the URL that is measured.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from knowledge.errors import SetupFailed
from tools._priority import normal_priority
from tools.load.fleet import READY_S, LocalPipe, lost

_LEAD_S = 0.5
_PINGS = 12


class Bridge:
    """Lives in a Ray worker."""

    async def start(self) -> str:
        """What stands in the way of a fair measurement, in Russian; empty when nothing does."""
        said = normal_priority()
        self._pipe = await LocalPipe.spawn()
        return said

    async def clock(self) -> float:
        return time.perf_counter()

    async def tell(self, data: bytes) -> None:
        await self._pipe.tell(data)

    async def hear(self) -> bytes:
        return await self._pipe.hear()

    async def stop(self) -> None:
        await self._pipe.stop()


@dataclass
class RayPipe:
    """The driver's end of a bridge."""

    ray: Any
    actor: Any
    clock_s: float
    lead_s: float = _LEAD_S

    async def tell(self, data: bytes) -> None:
        await self._call(self.actor.tell.remote(data))

    async def hear(self) -> bytes:
        found: bytes = await self._call(self.actor.hear.remote())
        return found

    async def stop(self) -> None:
        """Its process first: Ray would leave it, and it ends by itself only with its pipe."""
        try:
            async with asyncio.timeout(READY_S):
                await self.actor.stop.remote()
        except (self.ray.exceptions.RayError, TimeoutError):
            pass  # gone with its node, or about to be
        finally:
            self.ray.kill(self.actor)

    async def _call(self, asked: Any) -> Any:
        try:
            return await asked
        except self.ray.exceptions.RayError as error:
            raise lost() from error


class RayClients:
    """Processes of the load generator, one core each, spread over the nodes."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self.warnings: set[str] = set()
        self._bridge = ray.remote(num_cpus=1, scheduling_strategy="SPREAD", max_restarts=0)(Bridge)

    @property
    def nodes(self) -> int:
        """Those that have a core to spare for it."""
        alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return sum(node.get("CPU", 0.0) >= 1 for node in alive)

    async def spawn(self) -> RayPipe:
        """One more. Raises SetupFailed when there is no place for it."""
        actor = self._bridge.remote()
        try:
            async with asyncio.timeout(READY_S):
                if said := await actor.start.remote():
                    self.warnings.add(said)
                clock_s = await _clock_s(actor)
        except TimeoutError as error:
            self._ray.kill(actor)
            raise SetupFailed(
                f"в кластере Ray за {READY_S:.0f} с не нашлось свободного ядра для генератора",
                "Возьмите меньше --processes или освободите узлы",
            ) from error
        except self._ray.exceptions.RayError as error:
            raise SetupFailed(
                f"узел кластера не смог запустить генератор: {str(error).strip().splitlines()[-1]}",
                "На всех узлах нужна та же версия inference-advisor",
            ) from error
        return RayPipe(self._ray, actor, clock_s)


async def _clock_s(actor: Any) -> float:
    """Its clock less ours, by the quickest of some questions; wrong by half of that at most
    (Cristian, "Probabilistic clock synchronization", 1989)."""
    seen = []
    for _ in range(_PINGS):
        asked = time.perf_counter()
        there = await actor.clock.remote()
        told = time.perf_counter()
        seen.append((told - asked, there - (asked + told) / 2))
    return float(min(seen)[1])
