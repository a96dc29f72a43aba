"""The service's tables in PostgreSQL."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from api.service.database import Row
from tools.postgres import Postgres
from tools.store.postgres import SCHEMA as STORE_SCHEMA

SCHEMA = Path(__file__).with_suffix(".sql")


class PostgresTables:
    """`api.service.database.Tables` over a server's pool."""

    def __init__(self, server: Postgres) -> None:
        self.server = server

    @classmethod
    def open(cls, url: str) -> "PostgresTables":
        """Connect and make what tables are missing. Raises BadInput and StoreError."""
        server = Postgres.open(url)
        try:
            from langgraph.checkpoint.postgres import PostgresSaver

            server.prepare(lambda own: PostgresSaver(own).setup(), files=(STORE_SCHEMA, SCHEMA))
        except BaseException:
            server.close()
            raise
        return cls(server)

    def rows(self, sql: str, *values: object) -> Sequence[Row]:
        return self.server.rows(sql, *values)

    def write(self, sql: str, *values: object) -> int:
        return self.server.write(sql, *values)

    write_in = write

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self.server.transaction():
            yield

    def alone(self, name: str) -> AbstractContextManager[object]:
        return self.server.alone(name)

    def version(self) -> int:
        """Keys are only added and revoked, so this only grows."""
        return int(self.server.rows("SELECT count(*) + count(revoked_at) FROM keys")[0][0])

    def close(self) -> None:
        self.server.close()
