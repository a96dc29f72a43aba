"""A service for the tests: in this process, over real sockets, with the simulated engine."""

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.server import Server
from api.service import Service
from api.service.database import Database
from api.service.keys import Keys, Principal
from api.settings import Settings
from tests.advisor.simulated import HARDWARE

PATIENCE_S = 180
RUN = Principal("tester", "tester", frozenset({"read", "run"}))


@dataclass
class Live:
    """A server that runs, and keys for it."""

    url: str
    run_key: str
    read_key: str
    settings: Settings
    models: Path
    server: Server

    def client(self, key: str | None = None) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {key or self.run_key}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=PATIENCE_S)

    def body(self, **more: Any) -> dict[str, Any]:
        return quick(self.models / "tiny") | more


def quick(model: Path) -> dict[str, Any]:
    """A session on the simulated engine that takes seconds."""
    return {
        "model": str(model), "engine": "sim", "workload": "demo", "input_tokens": 24,
        "output_tokens": 8, "objective": "throughput", "budget": "5m", "trials": 1, "naive": False,
    }  # fmt: skip


@pytest.fixture(autouse=True)
def _known_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine's ceilings take seconds to measure, and nothing here depends on them."""
    monkeypatch.setattr("api.service.service.inspect", lambda _home: HARDWARE)


@pytest.fixture
def models(tiny_model: Path, tmp_path: Path) -> Path:
    """The folder that users of the service may take models from."""
    folder = tmp_path / "models"
    folder.mkdir()
    tiny_model.rename(folder / "tiny")
    return folder


@pytest.fixture
def settings_of(models: Path, tmp_path: Path) -> Callable[..., Settings]:
    """Settings over a home of their own, with the tiny model inside the roots."""

    def make(**more: Any) -> Settings:
        home = tmp_path / "home"
        given = {
            "home": home, "roots": (models,), "port": 0, "rate_per_minute": 60_000,
            "rate_burst": 10_000, "drain_s": 20, "kill_s": 20, "log_level": "warning",
            "consultants": 0,
        }  # fmt: skip
        return Settings(**(given | more))

    return make


@pytest.fixture
async def service(settings_of: Callable[..., Settings]) -> AsyncIterator[Service]:
    async with Service.open(settings_of(drain_s=0)) as opened:
        yield opened


@contextmanager
def serving(settings: Settings, models: Path) -> Iterator[Live]:
    """A real server in a thread."""
    database = Database(settings.folders().data / "service.sqlite")
    keys = Keys(database)
    run_key, read_key = keys.create("runner", ("run",)), keys.create("reader", ("read",))
    database.close()
    server = Server(settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        end = time.monotonic() + PATIENCE_S
        while not server.announced and thread.is_alive() and time.monotonic() < end:
            time.sleep(0.02)
        assert server.announced, "the server has not started"
        yield Live(server.address, run_key, read_key, settings, models, server)
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@pytest.fixture
def live(settings_of: Callable[..., Settings], models: Path) -> Iterator[Live]:
    with serving(settings_of(drain_s=0), models) as running:
        yield running


def wait_for(look: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
    """The first true answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"never came: {what}")


def wait_state(client: httpx2.Client, session: str, *states: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        view = client.get(f"/v1/sessions/{session}").json()
        return view if view["state"] in states else None

    found = wait_for(look, f"{session}: {states}")
    assert isinstance(found, dict)
    return found
