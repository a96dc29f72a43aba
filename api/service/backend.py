"""Where the service keeps what outlives it: one place alone, or shared by several replicas."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from api.service.database import Database, Tables
from api.service.events import Events
from api.service.jobs import Jobs
from api.service.lanes import Lanes
from api.service.remote_store import Methods
from api.settings import Settings
from knowledge.errors import BadInput
from knowledge.types import Hardware
from tools.home import Home
from tools.store import Store

if TYPE_CHECKING:
    from api.service.replicas import Replicas

SQLITE = "service.sqlite"


class Backend(Protocol):
    """Tables, queue and store, and what keeps them true while the service runs."""

    @property
    def tables(self) -> Tables: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def worker_args(self) -> tuple[str, ...]:
        """What a session's process is told beside its session."""

    def open_store(self) -> AbstractContextManager[Store]: ...
    def begin(self, hardware: Hardware) -> None:
        """Before the queue is touched."""

    def attend(self, lanes: Lanes, events: Events) -> None:
        """From now on sessions run."""

    def ledger(self, session: str, lost: Callable[[], None]) -> tuple[Store, Methods]:
        """The store as a session's process may write it, and what else it may call. `lost` is
        called when the session is not ours any more."""

    def patient(self, method: Callable[..., object]) -> Callable[..., object]:
        """The call, repeated where the store may be away for a moment."""

    def rest(self) -> None:
        """No session runs any more."""

    def close(self) -> None: ...


class Alone:
    """One service, one folder: DuckDB, and SQLite beside it."""

    worker_args: tuple[str, ...] = ()

    def __init__(self, home: Home) -> None:
        self._home = home
        self.tables = Database(home.data / SQLITE)
        self.jobs = Jobs(self.tables)

    def open_store(self) -> AbstractContextManager[Store]:
        self._store = Store.open(self._home.store, "advisor serve")
        return self._store

    def begin(self, _hardware: Hardware) -> None: ...
    def attend(self, _lanes: Lanes, _events: Events) -> None: ...
    def ledger(self, _session: str, _lost: Callable[[], None]) -> tuple[Store, Methods]:
        return self._store, {}

    def patient(self, method: Callable[..., object]) -> Callable[..., object]:
        return method

    def rest(self) -> None: ...
    def close(self) -> None:
        self.tables.close()


def backend_of(settings: Settings) -> Backend:
    """What the settings ask for. Raises BadInput and StoreError in one line."""
    home = settings.folders()
    if settings.store is None:
        return Alone(home)
    if settings.shared is None:
        raise BadInput(
            "с хранилищем postgresql:// нужна общая папка реплик",
            "Задайте ADVISOR_SHARED: папку, которую все реплики видят под одним путём",
        )
    replicas = _replicas()
    return replicas(
        settings.store.get_secret_value(), settings.shared.expanduser().absolute(), home
    )


def tables_of(settings: Settings) -> Tables:
    """The tables alone, for the command line: the service may be running."""
    if settings.store is None:
        return Database(settings.folders().data / SQLITE)
    _replicas()
    from api.service.replicas.tables import PostgresTables

    return PostgresTables.open(settings.store.get_secret_value())


def _replicas() -> "type[Replicas]":
    try:
        from api.service.replicas import Replicas
    except ImportError:
        raise BadInput(
            "для хранилища postgresql:// нужен дополнительный пакет",
            "Поставить: pip install 'inference-advisor[postgres]'",
        ) from None
    return Replicas
