"""The shared pieces of several replicas, as the Service wants them."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from api.service.events import Events
from api.service.lanes import Lanes
from api.service.remote_store import Methods
from api.service.replicas.beat import Beat
from api.service.replicas.checkpoints import checkpoint_methods
from api.service.replicas.leases import LeasedJobs, LeaseLost
from api.service.replicas.tables import PostgresTables
from knowledge.errors import StoreError
from knowledge.types import Hardware
from tools.home import Home
from tools.store import Store
from tools.store.holder import Holder
from tools.store.postgres import PostgresStore
from tools.store.sample_files import InFolder, InObjects, SampleFiles

_PATIENCE_S = 8.0


def files_of(shared: Path, home: Home) -> SampleFiles:
    """In the object storage where there is one, else in the shared folder. Raises StoreError."""
    if home.objects is not None:
        home.objects.check()
        return InObjects(home.objects)
    folder = shared / "requests"
    folder.mkdir(parents=True, exist_ok=True)
    return InFolder(folder)


class Replicas:
    """`api.service.backend.Backend` over PostgreSQL and a shared folder."""

    worker_args = ("shared",)

    def __init__(self, url: str, shared: Path, home: Home) -> None:
        """Raises BadInput and StoreError in one line."""
        self._home = home
        self.tables = PostgresTables.open(url)
        try:
            self._store = PostgresStore.over(self.tables.server, files_of(shared, home))
        except BaseException:
            self.tables.close()
            raise
        self.jobs = LeasedJobs(
            self.tables, lambda session: self._store.task(session).hardware.machine
        )
        self._beat = Beat(self.jobs, self._store)

    @contextmanager
    def open_store(self) -> Iterator[Store]:
        """The lock is on this replica's own home: the command line finds the service by it."""
        self._home.store.parent.mkdir(parents=True, exist_ok=True)
        holder = Holder.take(self._home.store, "advisor serve")
        try:
            yield self._store
        finally:
            holder.release()

    def begin(self, hardware: Hardware) -> None:
        self.jobs.machine = hardware.machine

    def attend(self, lanes: Lanes, events: Events) -> None:
        self._beat.start(lanes, events)

    def ledger(self, session: str, lost: Callable[[], None]) -> tuple[Store, Methods]:
        """What a session's process writes through, for as long as the lease is ours."""
        check = self.jobs.guard(session)

        def guard() -> None:
            try:
                check()
            except LeaseLost:
                lost()
                raise

        return self._store.guarded(guard), checkpoint_methods(self.tables.server, guard)

    def patient(self, method: Callable[..., object]) -> Callable[..., object]:
        """A server that restarts is waited for: every write may be repeated."""

        @functools.wraps(method)
        def call(*args: object, **kwargs: object) -> object:
            until = monotonic() + _PATIENCE_S
            while True:
                try:
                    return method(*args, **kwargs)
                except LeaseLost:
                    raise
                except StoreError:
                    if monotonic() > until:
                        raise
                    sleep(0.5)

        return call

    def rest(self) -> None:
        """The lanes are closed."""
        self._beat.stop()

    def close(self) -> None:
        self.tables.close()
