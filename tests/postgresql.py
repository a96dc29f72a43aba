"""A real PostgreSQL for the tests: a server of their own, on 127.0.0.1, gone when they end."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tools.process import free_port

PASSWORD = "s3cret-" + secrets.token_hex(4)


def binaries() -> Path | None:
    """The folder with initdb and pg_ctl; Debian does not put it into PATH."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parts[-2]))
    return folders[-1] if folders else None


@dataclass
class Server:
    """A server that runs. It refuses to as root, so then it runs as the user postgres."""

    port: int
    folder: Path
    bin: Path
    user: str | None

    def url(self, database: str, password: str = PASSWORD) -> str:
        return f"postgresql://advisor:{password}@127.0.0.1:{self.port}/{database}"

    def make(self) -> str:
        """An empty database; its address."""
        name = "t" + secrets.token_hex(4)
        self.sql("postgres", f"CREATE DATABASE {name}")
        return self.url(name)

    def sql(self, database: str, text: str) -> None:
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(text)  # type: ignore[call-overload]

    def control(self, *args: str) -> None:
        run(self.user, str(self.bin / "pg_ctl"), "-D", str(self.folder / "data"), "-w", *args)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder} -c fsync=off"
        self.control("-l", str(self.folder / "log"), "-o", options, "start")


def run(user: str | None, *command: str) -> None:
    """pg_ctl's server keeps what it inherits: it gets no pipe of ours."""
    subprocess.run(
        command, user=user, group=user, cwd="/", check=True, timeout=120,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@contextmanager
def server() -> Iterator[Server]:
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    if (folder := binaries()) is None:
        pytest.skip("no PostgreSQL server here (apt-get install postgresql)")
    user = "postgres" if os.geteuid() == 0 else None
    with TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as temporary:
        root = Path(temporary)
        (root / "password").write_text(PASSWORD)
        if user:
            for path in (root, root / "password"):
                shutil.chown(path, user, user)
        run(
            user, str(folder / "initdb"), "-D", str(root / "data"), "-U", "advisor", "-A",
            "scram-sha-256", "--pwfile", str(root / "password"), "-E", "UTF8", "--no-locale", "-N",
        )  # fmt: skip
        made = Server(free_port(), root, folder, user)
        made.start()
        try:
            yield made
        finally:
            made.control("-m", "immediate", "stop")
