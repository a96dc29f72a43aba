"""What an engine says of itself while it is loaded: read once per round, the highest value kept."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from knowledge.errors import AdvisorError

GAUGES = ("kv_cache_usage_perc", "requests_running", "requests_waiting")
"""They fall back to 0 with the last answer, so that reading them after the round tells nothing."""
_INTO_ROUND = 0.6


class LoadedGauges:
    """`async with` around every round; `over()` puts the peaks into counters read afterwards."""

    def __init__(self, scrape: Callable[[], Awaitable[dict[str, float]]], round_s: float) -> None:
        self._scrape = scrape
        self._round_s = round_s
        self._peaks: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError, AdvisorError):
            await self._task

    def over(self, counters: dict[str, float]) -> dict[str, float]:
        """The counters, with each gauge at its highest."""
        peaks = {n: max(v, counters.get(n, 0.0)) for n, v in self._peaks.items()}
        return counters | peaks

    async def _look(self) -> None:
        await asyncio.sleep(_INTO_ROUND * self._round_s)
        seen = await self._scrape()
        for name in GAUGES:
            if name in seen:
                self._peaks[name] = max(self._peaks.get(name, 0.0), seen[name])
