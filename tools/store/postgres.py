"""The store for several replicas: its rows in PostgreSQL, the samples of requests in Parquet.

The statements are those of the DuckDB store, told in PostgreSQL's words where the two differ. A
trial's samples are one file that all replicas see, put in its place before the trial's row is
committed: where there is a row, there is its file.
"""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, cast

import duckdb

from knowledge.errors import StoreError
from knowledge.types import Event, RequestSample, Task, TrialResult
from tools.postgres import Postgres
from tools.store.rows import SessionRecord
from tools.store.sample_files import SampleFiles
from tools.store.schema import advisor_version
from tools.store.store import Store

SCHEMA = Path(__file__).with_suffix(".sql")
VERSION = 1
_LATEST = re.compile(r"arg_max\((\w+), row_id\)")


class PostgresStore(Store):
    """As the store, but any number of processes may write."""

    def __init__(
        self, server: Postgres, samples: SampleFiles, guard: Callable[[], None] | None = None
    ) -> None:
        self._server = server
        self._samples = samples
        self._guard = guard
        self._schema_version = VERSION
        self._lock = threading.RLock()

    @classmethod
    def over(cls, server: Postgres, samples: SampleFiles) -> Self:
        """The tables are there (`Postgres.prepare`). Raises StoreError for a newer version's."""
        found = server.rows("SELECT coalesce(max(version), 0) FROM schema_version")[0][0]
        if found > VERSION:
            raise StoreError(
                f"Таблицы PostgreSQL записаны более новой версией advisor: схема {found}, "
                f"эта версия понимает схему {VERSION}",
                "Обновите inference-advisor на этой реплике",
            )
        server.write(
            "INSERT INTO schema_version VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            VERSION, datetime.now(UTC).replace(tzinfo=None), advisor_version(),
        )  # fmt: skip
        return cls(server, samples)

    def guarded(self, guard: Callable[[], None]) -> "PostgresStore":
        """The same, but every write first calls `guard` in its transaction, which may refuse."""
        return PostgresStore(self._server, self._samples, guard)

    def close(self) -> None:
        """Whoever opened the server closes it."""

    def create_session(self, session: str, task: Task, options: dict[str, object]) -> None:
        with self._server.transaction():
            self._alone(session)
            super().create_session(session, task, options)

    def append(self, session: str, kind: str, payload: dict[str, object]) -> Event:
        """Numbers without gaps or doubles, though several replicas may write to one session."""
        with self._server.transaction():
            self._alone(session)
            return super().append(session, kind, payload)

    def last_event(self, session: str) -> int:
        """The number of the newest event; 0 where there is none."""
        rows = self._rows("SELECT coalesce(max(seq), 0) FROM events WHERE session = ?", session)
        return int(rows[0][0])

    def put_trial(
        self, session: str, result: TrialResult, samples: Sequence[RequestSample] = ()
    ) -> bool:
        with self._server.transaction():
            self._alone(session)
            return super().put_trial(session, result, samples)

    def samples(self, trial_id: str) -> tuple[RequestSample, ...]:
        return self._samples.read(trial_id)

    def record(self, session: str) -> SessionRecord:
        with self._server.transaction(snapshot=True):
            return self._record(session)

    def _put_samples(
        self, _db: duckdb.DuckDBPyConnection, trial_id: str, samples: Sequence[RequestSample]
    ) -> None:
        if samples:
            self._samples.write(trial_id, samples)

    def _alone(self, session: str) -> None:
        """One writer of a session at a time, until the transaction ends."""
        self._server.rows("SELECT pg_advisory_xact_lock(hashtextextended(?, 1))", session)

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        sql = _LATEST.sub(r"(array_agg(\1 ORDER BY row_id DESC))[1]", sql)
        return list(self._server.rows(sql, *values))

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._server.transaction():
            if self._guard:
                self._guard()
            yield cast(duckdb.DuckDBPyConnection, self._server)
