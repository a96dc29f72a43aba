"""A PostgreSQL server: a pool of connections, transactions, and its errors in one line each.

psycopg comes with the optional extra `postgres` and is imported where it is used.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Self

from knowledge.errors import BadInput, StoreError

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg_pool import ConnectionPool

_SCHEMES = ("postgresql://", "postgres://")
_MOST_CONNECTIONS = 8
_WAIT_S = 5
_SCHEMA_WAIT_S = 60.0
_LIMITS = {
    "connect_timeout": "5",
    # What is sent and not acknowledged for so long ends the connection: a lost network is noticed
    # well within a lease.
    "tcp_user_timeout": "5000",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "application_name": "inference-advisor",
}
_OPTIONS = "-c statement_timeout=20s -c lock_timeout=5s"


class Row(tuple[Any, ...]):
    """A row whose columns go by number and by name, as those of sqlite3 do."""

    names: dict[str, int]

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self.names[key] if isinstance(key, str) else key)


class Postgres:
    """Calls from any thread. Inside `transaction` a thread's calls share one connection."""

    def __init__(self, pool: "ConnectionPool[Connection[Row]]", url: str) -> None:
        self._pool = pool
        self._url = url
        self._here = threading.local()

    @classmethod
    def open(cls, url: str) -> Self:
        """Raises BadInput in one line without the password: no server, no entry, no database."""
        if not url.startswith(_SCHEMES):
            raise BadInput(
                "хранилище задаётся адресом postgresql://…",
                "Например postgresql://advisor@db.local/advisor; без него — DuckDB и SQLite",
            )
        import psycopg
        from psycopg_pool import ConnectionPool

        given = {**_LIMITS, **_parsed(url)}
        given["options"] = f"{_OPTIONS} {given.get('options', '')}".strip()
        try:
            psycopg.connect(**given).close()
        except psycopg.Error as error:
            raise _refused(error, given) from None
        pool: ConnectionPool[Connection[Row]] = ConnectionPool(
            connection_class=psycopg.Connection[Row],
            kwargs={**given, "autocommit": True, "row_factory": _row_factory},
            min_size=1, max_size=_MOST_CONNECTIONS, timeout=_WAIT_S, name="advisor",
            check=ConnectionPool.check_connection, open=True,
        )  # fmt: skip
        return cls(pool, url)

    def close(self) -> None:
        self._pool.close()

    def rows(self, sql: str, *values: object) -> list[Row]:
        """Marks are `?`, as in SQLite and DuckDB."""
        with self.connection() as connection:
            return connection.execute(_marked(sql), values).fetchall()

    def write(self, sql: str, *values: object) -> int:
        """One statement; the number of rows it changed."""
        with self.connection() as connection:
            return connection.execute(_marked(sql), values).rowcount

    def execute(self, sql: str, values: Any = ()) -> Any:
        """A cursor over the answer, inside a transaction: what DuckDB's connection has."""
        return self._here.connection.execute(_marked(sql), values)

    @contextmanager
    def connection(self) -> Iterator["Connection[Row]"]:
        """The transaction's connection, or one of the pool. Raises StoreError."""
        import psycopg

        if (mine := getattr(self._here, "connection", None)) is not None:
            yield mine
            return
        try:
            with self._pool.connection() as connection:
                yield connection
        except psycopg.Error as error:
            raise StoreError(
                f"PostgreSQL: {_first_line(error)}", "Проверьте сервер и его журнал"
            ) from error

    @contextmanager
    def transaction(self, *, snapshot: bool = False) -> Iterator["Connection[Row]"]:
        """All or nothing; `snapshot`: everything is read as of one moment. May be nested."""
        if (mine := getattr(self._here, "connection", None)) is not None:
            yield mine
            return
        with self.connection() as connection, connection.transaction():
            if snapshot:
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self._here.connection = connection
            try:
                yield connection
            finally:
                self._here.connection = None

    @contextmanager
    def alone(self, name: str) -> Iterator["Connection[Any]"]:
        """One holder of this name at a time over all replicas, on a connection of its own."""
        import psycopg
        from psycopg.rows import dict_row

        given = {**_LIMITS, **_parsed(self._url)}
        until = monotonic() + _SCHEMA_WAIT_S
        try:
            with psycopg.connect(**given, autocommit=True, row_factory=dict_row) as own:
                # Asked again and again: a waiting call would hold a snapshot, and the holder may
                # be building an index concurrently, which waits for every snapshot.
                while not _locked(own, name):
                    if monotonic() > until:
                        raise StoreError("PostgreSQL: другая реплика слишком долго занята")
                    sleep(0.05)
                yield own
        except psycopg.Error as error:
            raise StoreError(f"PostgreSQL: {_first_line(error)}") from error

    def prepare(self, *more: "Callable[[Connection[Any]], None]", files: tuple[Path, ...]) -> None:
        """Make the tables that are missing, one replica at a time."""
        with self.alone("schema") as connection:
            for path in files:
                with connection.transaction():
                    connection.execute(path.read_bytes())
            for step in more:
                step(connection)


def _locked(connection: "Connection[Any]", name: str) -> bool:
    row = connection.execute(
        "SELECT pg_try_advisory_lock(hashtextextended(%s, 0)) AS done", [f"advisor:{name}"]
    ).fetchone()
    return bool(row and row["done"])


def _marked(sql: str) -> Any:
    return sql.replace("%", "%%").replace("?", "%s")


def _row_factory(cursor: Any) -> Callable[[Any], Row]:
    names = {column.name: n for n, column in enumerate(cursor.description or ())}
    return type("Row", (Row,), {"names": names})


def _parsed(url: str) -> dict[str, Any]:
    """libpq's own message about a bad address holds the password: it is not repeated."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    with suppress(psycopg.Error):
        return dict(conninfo_to_dict(url))
    raise BadInput(
        "адрес хранилища не разобрать",
        "Вид: postgresql://ПОЛЬЗОВАТЕЛЬ@ХОСТ:ПОРТ/БАЗА; особые знаки в пароле — как %XX",
    )


def _refused(error: Exception, given: dict[str, Any]) -> BadInput:
    text = str(error)
    where = f"{given.get('host') or 'localhost'}:{given.get('port') or 5432}"
    user, base = given.get("user") or "", given.get("dbname") or given.get("user") or ""
    if re.search(r"password|парол", text, re.IGNORECASE):
        return BadInput(
            f"PostgreSQL {where} не пускает пользователя {user!r}: пароль неверен или не задан",
            "Пароль: в адресе ADVISOR_STORE, в PGPASSWORD или в файле PGPASSFILE",
        )
    if re.search(r'database ".*" does not exist|база данных ".*" не существует', text):
        return BadInput(f"на PostgreSQL {where} нет базы {base!r}", f"Создать: createdb {base}")
    if re.search(r"refused|timeout|timed out|translate|resolve|unreachable|No such file", text):
        return BadInput(f"PostgreSQL {where} не отвечает", "Проверьте адрес и запущен ли сервер")
    return BadInput(f"PostgreSQL {where}: {_first_line(error, given.get('password'))}")


def _first_line(error: Exception, secret: str | None = None) -> str:
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line.replace(secret, "***") if secret else line
