"""One connection to one DuckDB file: opened alone, written in transactions that survive kill -9."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import duckdb

from knowledge.errors import StoreError
from tools.store.holder import Holder
from tools.store.schema import MIGRATIONS, connect, migrate


class Connection:
    """What is written is on disk when the call returns.

    One process opens the file, and within it one thread works at a time: a lock around the single
    connection keeps it so.
    """

    migrations: ClassVar[Path] = MIGRATIONS

    def __init__(self, db: duckdb.DuckDBPyConnection, holder: Holder, schema_version: int) -> None:
        self._db = db
        self._holder = holder
        self._schema_version = schema_version
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: Path, who: str) -> Self:
        """Open or create the store at `path`; `who` is what others are told while it is held.

        Raises StoreError when another process holds it or a newer version wrote it.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            holder = Holder.take(path, who)
        except OSError as error:
            raise StoreError(
                f"Хранилище {path} недоступно: {error.strerror}", "Проверьте права на этот каталог"
            ) from error
        try:
            db = connect(path)
            try:
                return cls(db, holder, migrate(db, path, cls.migrations))
            except BaseException:
                db.close()
                raise
        except BaseException:
            holder.release()
            raise

    def close(self) -> None:
        """Another thread's call is waited for: DuckDB refuses to close under it."""
        with self._lock:
            self._db.close()
        self._holder.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        self.close()

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(sql, list(values)).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """All or nothing. A commit writes and syncs the write-ahead log before it returns."""
        with self._lock:
            self._db.execute("BEGIN")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except duckdb.Error as error:
                self._rollback()
                raise StoreError(
                    f"Запись в хранилище не удалась: {str(error).splitlines()[0]}",
                    "Проверьте, есть ли место на диске",
                ) from error
            except BaseException:
                self._rollback()
                raise

    def _rollback(self) -> None:
        try:
            self._db.execute("ROLLBACK")
        except duckdb.TransactionException:  # DuckDB has already ended the transaction
            return


def insert(db: duckdb.DuckDBPyConnection, table: str, **values: object) -> None:
    """Add one row, columns by name."""
    columns = ", ".join(values)
    marks = ", ".join("?" * len(values))
    db.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(values.values()))  # noqa: S608


def now() -> datetime:
    """The present as the tables hold it: UTC without a zone."""
    return naive(datetime.now(UTC))


def naive(at: datetime) -> datetime:
    """The same moment in UTC without a zone: TIMESTAMPTZ would need pytz."""
    return at.astimezone(UTC).replace(tzinfo=None)
