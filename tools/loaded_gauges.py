"""What an engine says of itself while it is loaded: read once per round, the highest value kept."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from knowledge.errors import AdvisorError

GAUGES = ("kv_cache_usage_perc", "requests_running", "requests_waiting")
"""They fall back to 0 with the last answer, so that reading them after the round tells nothing."""
_INTO_ROUND = 0.45
"""Rounds may end early, but not before their middle."""


class LoadedGauges:
    """`async with beside(round_s)` around every round; `over()` puts the peaks into counters."""

    def __init__(self, scrape: Callable[[], Awaitable[dict[str, float]]]) -> None:
        self._scrape = scrape
        self._peaks: dict[str, float] = {}

    @contextlib.asynccontextmanager
    async def beside(self, round_s: float) -> AsyncIterator[None]:
        """Look once within a round of so many seconds; no sense in the answer costs nothing."""
        look = asyncio.create_task(self._look(_INTO_ROUND * round_s))
        try:
            yield
        finally:
            look.cancel()
            with contextlib.suppress(asyncio.CancelledError, AdvisorError):
                await look

    def over(self, counters: dict[str, float]) -> dict[str, float]:
        """The counters, with each gauge at its highest."""
        peaks = {n: max(v, counters.get(n, 0.0)) for n, v in self._peaks.items()}
        return counters | peaks

    async def _look(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        seen = await self._scrape()
        for name in GAUGES:
            if name in seen:
                self._peaks[name] = max(self._peaks.get(name, 0.0), seen[name])
