"""A replica's heartbeat: renews its leases, finds orphans, brings events of others to watchers."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from api.service.events import Events
from api.service.lanes import Lanes
from api.service.replicas.leases import LEASE_S, LeasedJobs, Orphan
from knowledge.errors import StoreError
from knowledge.types import Event
from tools.store.postgres import PostgresStore

_LOG = logging.getLogger("advisor.replicas")
_TICK_S = 0.5
_RENEW_S = 2.0
_MARGIN_S = 2.0
"""So long before a lease ends its session's process is gone."""


class Beat:
    """Two threads, so that neither a busy event loop nor a silent server can keep a lease alive.

    One talks to the server. The other watches the clock alone, and kills what runs here when the
    first has not got through in time.
    """

    def __init__(self, jobs: LeasedJobs, store: PostgresStore) -> None:
        self._jobs, self._store = jobs, store
        self._stopping = threading.Event()
        self._good_until = 0.0
        self._renewed = 0.0
        self._told: dict[str, int] = {}
        """Per session that is watched here, the last event its watchers were told of."""
        self._threads: list[threading.Thread] = []

    def start(self, lanes: Lanes, events: Events) -> None:
        self._lanes, self._events = lanes, events
        self._loop = asyncio.get_running_loop()
        self._good_until = monotonic() + LEASE_S - _MARGIN_S
        for work in (self._talk, self._watch):
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """After the lanes: until then their sessions need their leases."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _talk(self) -> None:
        silent = False
        while not self._stopping.wait(_TICK_S):
            try:
                self._tick()
                silent = False
            except StoreError as error:
                if not silent:
                    _LOG.error("%s", error)
                silent = True

    def _watch(self) -> None:
        while not self._stopping.wait(_TICK_S):
            if monotonic() > self._good_until:
                self._kill(lambda _: True, "no answer from PostgreSQL")

    def _tick(self) -> None:
        if monotonic() - self._renewed >= _RENEW_S:
            asked = monotonic()
            here = {one.session for one in list(self._lanes.running.values()) if one}
            lost = here - self._jobs.renew(sorted(here))
            self._renewed, self._good_until = asked, asked + LEASE_S - _MARGIN_S
            self._kill(lost.__contains__, "its lease is another replica's")
        for session, drain_s in self._jobs.to_cancel():
            self._call(self._lanes.cancel_patiently, session, drain_s)
        for orphan in self._jobs.reap():
            self._adopt(orphan)
        self._spread()

    def _kill(self, which: Callable[[str], bool], why: str) -> None:
        for running in list(self._lanes.running.values()):
            if running and running.process.returncode is None and which(running.session):
                _LOG.error("session %s stopped here: %s", running.session, why)
                running.kill()

    def _adopt(self, orphan: Orphan) -> None:
        _LOG.warning("session %s: its replica %s is silent", orphan.session, orphan.holder)
        if orphan.state == "cancelling":
            self._lanes.cancelled(orphan.session)
            self._jobs.end(orphan.session)
            return
        text = f"реплика {orphan.holder} не отвечает, сессию продолжит другая"
        self._lanes.append(orphan.session, "progress", {"text": text})

    def _spread(self) -> None:
        """What other replicas did: what waits, what is over, what is written. In this order an
        ended session's last events are read after its end, so that none is missed."""
        expected = self._events.expected()
        active = self._jobs.active()
        if "queued" in active.values():
            self._call(self._lanes.wake)
        over = self._jobs.ended(expected - set(active))
        watched = self._events.watched()
        self._told = {session: self._told[session] for session in watched if session in self._told}
        fresh = [event for session in watched for event in self._news(session)]
        begun = set(active) - expected
        if begun or fresh or over:
            self._call(self._tell, begun, fresh, over)

    def _news(self, session: str) -> tuple[Event, ...]:
        if session not in self._told:
            # At least the newest: a watcher who has read the store up to a moment ago waits for it.
            self._told[session] = max(0, self._store.last_event(session) - 1)
        found = self._store.events(session, self._told[session])
        if found:
            self._told[session] = found[-1].seq
        return found

    def _tell(self, begun: set[str], fresh: list[Event], over: set[str]) -> None:
        for session in begun:
            self._events.begin(session)
        for event in fresh:
            self._events.publish(event)
        for session in over:
            self._events.end(session)

    def _call(self, what: Callable[..., object], *values: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: the service has stopped
            self._loop.call_soon_threadsafe(what, *values)
