"""The service's own small tables: keys, jobs, idempotency. Results stay in the store.

Keys and jobs are changed by the command line while the service runs, so they live in a SQLite file
that two processes may open; DuckDB admits one. With several replicas they live in PostgreSQL
(`api.service.replicas`): `Tables` is what the two have in common, in SQL that both understand.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL, scopes TEXT NOT NULL,
    created_at TEXT NOT NULL, revoked_at TEXT
);
CREATE TABLE IF NOT EXISTS logins (
    hash TEXT PRIMARY KEY, key_id TEXT NOT NULL, expires_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL UNIQUE, state TEXT NOT NULL,
    origin TEXT NOT NULL, owner TEXT NOT NULL, webhook TEXT, notify TEXT, rule TEXT,
    fingerprint TEXT, submitted_at TEXT NOT NULL, started_at TEXT, ended_at TEXT,
    deaths INTEGER NOT NULL DEFAULT 0, error TEXT
);
CREATE TABLE IF NOT EXISTS idempotency (
    owner TEXT NOT NULL, key TEXT NOT NULL, request_hash TEXT NOT NULL, session TEXT NOT NULL,
    PRIMARY KEY (owner, key)
);
"""


class Row(Protocol):
    """Columns by number and by name."""

    def __getitem__(self, key: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...


class Tables(Protocol):
    """A few tables, in transactions."""

    def rows(self, sql: str, *values: object) -> Sequence[Row]: ...
    def write(self, sql: str, *values: object) -> int:
        """One statement; the number of rows it changed."""

    def write_in(self, sql: str, *values: object) -> int:
        """The same inside a transaction that is open already."""

    def transaction(self) -> AbstractContextManager[None]: ...
    def alone(self, name: str) -> AbstractContextManager[object]:
        """One holder of the name at a time, in whichever process. May wait."""

    def version(self) -> int:
        """Changes when another process may have changed the keys."""

    def close(self) -> None: ...


class Database:
    """One connection behind one lock; every write is a transaction that is on disk when it ends."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        with self.transaction():
            for statement in _SCHEMA.split(";\n"):
                self._db.execute(statement)

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def write(self, sql: str, *values: object) -> int:
        """One statement; the number of rows it changed."""
        with self.transaction():
            return self.write_in(sql, *values)

    def write_in(self, sql: str, *values: object) -> int:
        """The same inside a transaction that is open already."""
        return self._db.execute(sql, values).rowcount

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Nobody else: one service holds the store, and it takes its own turns."""
        yield

    def version(self) -> int:
        """Changes when another process has written: what is cached must be read again."""
        with self._lock:
            row: Any = self._db.execute("PRAGMA data_version").fetchone()
            return int(row[0])

    def close(self) -> None:
        with self._lock:
            self._db.close()


def now_text() -> str:
    """The present in UTC as the tables hold it."""
    return datetime.now(UTC).isoformat("T", "milliseconds")
