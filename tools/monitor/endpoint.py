"""Looks at one endpoint again and again: a Window every so often."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from knowledge.errors import BadInput
from tools.load import Target, fetch
from tools.monitor import machine
from tools.monitor.canary import Canary, sing
from tools.monitor.dialect import dialects, recognize
from tools.monitor.exposition import Scrape
from tools.monitor.windows import Window, served

_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Plan:
    """How an endpoint is watched."""

    every_s: float = 15.0
    canary_every_s: float | None = 60.0
    """None: no requests of our own."""
    usd_per_hour: float | None = None
    seed: int = 0


class Endpoint:
    """One served model. `engine` is known after the first look that succeeds."""

    def __init__(self, target: Target, plan: Plan) -> None:
        self._target, self._plan = target, plan
        self._last: tuple[float, Scrape] | None = None
        self._sung_at = float("-inf")
        self._songs = 0
        self.engine: str | None = None

    async def scrape(self) -> Scrape | None:
        """Its /metrics; None where it doesn't answer or has none."""
        try:
            response = await fetch(
                self._target.base_url, "/metrics", api_key=self._target.api_key,
                timeout_s=_TIMEOUT_S,
            )  # fmt: skip
        except (OSError, TimeoutError):
            return None
        if response.status != 200:
            return None
        found = Scrape.parse(response.content.decode(errors="replace"))
        self.engine = self.engine or recognize(found)
        return found

    async def windows(self) -> AsyncIterator[Window]:
        """For ever. The first window ends one interval after the start."""
        scraped = await self.scrape()
        self._last = (time.monotonic(), scraped) if scraped else None
        due = time.monotonic()
        while True:
            due = max(due + self._plan.every_s, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            yield await self.look()

    async def look(self) -> Window:
        """What happened since the last look."""
        canary = await self._canary()
        figures: dict[str, float | None] = {}
        try:
            scraped = await self.scrape()
        except BadInput:
            scraped = None
        now = time.monotonic()
        seconds = now - self._last[0] if self._last else self._plan.every_s
        if scraped and self._last and self.engine:
            figures = served(
                self._last[1], scraped, dialects()[self.engine], seconds, self._plan.usd_per_hour
            )
        self._last = (now, scraped) if scraped else None
        seen = await asyncio.to_thread(machine.look, self._target.base_url)
        figures |= {name: value for name, value in seen.items() if value is not None}
        return Window(
            at=datetime.now(UTC),
            seconds=seconds,
            up=scraped is not None or bool(canary and canary.ok),
            canary_ok=canary.ok if canary else None,
            canary_ttft_ms=canary.ttft_ms if canary else None,
            canary_tpot_ms=canary.tpot_ms if canary else None,
            **figures,
        )

    async def _canary(self) -> Canary | None:
        every_s, now = self._plan.canary_every_s, time.monotonic()
        if every_s is None or now - self._sung_at < 0.9 * every_s:
            return None
        self._sung_at = now
        self._songs += 1
        return await sing(self._target, self._plan.seed + self._songs)
