"""One PostgreSQL server for these tests; each has a database of its own."""

from collections.abc import Iterator

import pytest

from tests import postgresql


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    with postgresql.server() as started:
        yield started


@pytest.fixture
def url(server: postgresql.Server) -> str:
    return server.make()
