"""The event stream: replayed from the store, then live; the same for every edge.

Each event is encoded once. A watcher is a number, the last event it has seen: it takes what lies
after it from the ring of recent events, or from the store where the ring no longer reaches. So a
slow watcher costs no memory, and a reconnect is the same thing as a start.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from knowledge.types import Event
from tools.store import Store

_RING = 2048
_PAGE = 128
"""So many events travel at most in one piece: what a slow client may keep waiting."""
_LEAST_GAP_S = 0.02
"""Watchers are woken at most so often; events in between travel together."""
PING_S = 15.0


@dataclass(frozen=True, slots=True)
class Encoded:
    """An event and its bytes on the wire."""

    event: Event
    sse: bytes


def encode(event: Event) -> Encoded:
    """Once per event, however many watch."""
    text = event.model_dump_json()
    return Encoded(event, format_sse_event(data_str=text, id=str(event.seq)))


@dataclass
class _Channel:
    """The recent events of one session that somebody watches."""

    ring: deque[Encoded] = field(default_factory=lambda: deque(maxlen=_RING))
    watchers: int = 0
    tick: asyncio.Event = field(default_factory=asyncio.Event)
    woken_at: float = 0.0
    timer: asyncio.TimerHandle | None = None

    def after(self, seq: int) -> list[Encoded] | None:
        """What follows `seq` without a gap; None when the ring can't tell."""
        if not self.ring:
            return None
        first, last = self.ring[0].event.seq, self.ring[-1].event.seq
        if seq + 1 < first:
            return None
        count = last - seq
        if count <= 0:
            return []
        start = len(self.ring) - count
        return [self.ring[i] for i in range(start, min(len(self.ring), start + _PAGE))]


class Events:
    """Publish and follow. Lives in one event loop; `publish_from_thread` comes from outside."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._channels: dict[str, _Channel] = {}
        self._open: set[str] = set()
        """Sessions that may still get events."""
        self.closing = False
        self._pinger = self._loop.create_task(self._ping())

    def begin(self, session: str) -> None:
        """More events are to come: who follows it waits for them."""
        self._open.add(session)

    def end(self, session: str) -> None:
        """No more events: who follows it is told the rest and let go."""
        self._open.discard(session)
        self._wake(session)

    def expects(self, session: str) -> bool:
        """Whether more events are to come."""
        return session in self._open

    def publish(self, event: Event) -> None:
        """Tell the watchers of an event that is in the store already. In order per session."""
        channel = self._channels.get(event.session)
        if channel is None:
            return
        if channel.ring and event.seq <= channel.ring[-1].event.seq:
            return  # told already: another replica's events come from the store
        if channel.ring and event.seq != channel.ring[-1].event.seq + 1:
            channel.ring.clear()  # a gap: the store fills it
        channel.ring.append(encode(event))
        wait_s = channel.woken_at + _LEAST_GAP_S - self._loop.time()
        if wait_s <= 0:
            self._wake(event.session)
        elif channel.timer is None:
            channel.timer = self._loop.call_later(wait_s, self._wake, event.session)

    def publish_from_thread(self, event: Event) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.publish, event)

    def expected(self) -> set[str]:
        """Sessions that may still get events. May be asked from any thread."""
        return set(self._open)

    def watched(self) -> list[str]:
        """Sessions that somebody follows here. May be asked from any thread."""
        return list(self._channels)

    async def follow(self, session: str, after: int = 0) -> AsyncIterator[list[Encoded]]:
        """Batches of events in order, each once; an empty batch now and then to show life.

        Ends when the session does. `after`: the number of the last event seen before.
        """
        async with self._watching(session) as channel:
            seen = after
            live = False
            while True:
                tick = channel.tick
                over = self.closing or session not in self._open
                batch = channel.after(seen)
                if batch is None and not (live and not channel.ring):
                    batch = [encode(e) for e in await self._stored(session, seen)]
                    live = len(batch) < _PAGE
                if batch:
                    seen = batch[-1].event.seq
                    yield batch
                    continue
                if over:
                    return
                if live and tick is channel.tick:
                    await tick.wait()
                    if self.expects(session) and channel.after(seen) in (None, []):
                        yield []
                live = True

    async def _stored(self, session: str, after: int) -> tuple[Event, ...]:
        return await asyncio.to_thread(self._store.events, session, after, _PAGE)

    @asynccontextmanager
    async def _watching(self, session: str) -> AsyncIterator[_Channel]:
        channel = self._channels.setdefault(session, _Channel())
        channel.watchers += 1
        try:
            yield channel
        finally:
            channel.watchers -= 1
            if not channel.watchers:
                self._channels.pop(session, None)
                if channel.timer:
                    channel.timer.cancel()

    @property
    def watchers(self) -> int:
        return sum(channel.watchers for channel in self._channels.values())

    def _wake(self, session: str) -> None:
        channel = self._channels.get(session)
        if channel is None:
            return
        channel.timer = None
        channel.woken_at = self._loop.time()
        tick, channel.tick = channel.tick, asyncio.Event()
        tick.set()

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_S)
            for session in list(self._channels):
                self._wake(session)

    async def close(self) -> None:
        """Let every watcher go; their clients reconnect to the next start with what they saw."""
        self.closing = True
        self._pinger.cancel()
        for session in list(self._channels):
            self._wake(session)


def sse_bytes(batch: list[Encoded]) -> bytes:
    """A batch on the wire; a comment where it is empty."""
    return b"".join(one.sse for one in batch) if batch else KEEPALIVE_COMMENT
