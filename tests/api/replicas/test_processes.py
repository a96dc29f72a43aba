"""Two replicas, each a process of its own, over one PostgreSQL and one shared folder."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, LiteralString

import httpx2
import pytest

from api.client import Client
from tests.api.conftest import quick, wait_for
from tests.postgresql import PASSWORD, Server
from tools.process import leftovers

TAKEOVER_S = 30.0
pytestmark = pytest.mark.slow


class Replica:
    """One process of the service with a home of its own."""

    def __init__(self, home: Path, url: str, shared: Path, models: Path) -> None:
        home.mkdir()
        self.home, self.shared = home, shared
        self.env = {
            **os.environ, "ADVISOR_HOME": str(home), "ADVISOR_ROOTS": str(models),
            "ADVISOR_PORT": "0", "ADVISOR_DRAIN_S": "0", "ADVISOR_CONSULTANTS": "0",
            "ADVISOR_STORE": url, "ADVISOR_SHARED": str(shared),
        }  # fmt: skip
        with (home / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "api.cli.main", "serve"], env=self.env,
                stdout=log, stderr=log,
            )  # fmt: skip
        note = wait_for(self._note, "the replica's note")
        self.token = str(note["token"])
        headers = {"Authorization": f"Bearer {self.token}"}
        self.client = httpx2.Client(base_url=note["url"], headers=headers, timeout=60)

    def _note(self) -> dict[str, Any] | None:
        assert self.process.poll() is None, self.log[-2000:]
        try:
            return dict(json.loads((self.home / "data" / "service.json").read_text()))
        except (OSError, ValueError):
            return None

    @property
    def log(self) -> str:
        return (self.home / "serve.log").read_text()

    @property
    def busy_with(self) -> str | None:
        """The session whose lease this process holds."""
        held = self.sql("SELECT session, holder FROM jobs WHERE state = 'running'")
        return next((s for s, who in held if who.split(":")[1] == str(self.process.pid)), None)

    def sql(self, text: LiteralString) -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(self.env["ADVISOR_STORE"]) as connection:
            return connection.execute(text).fetchall()

    def submit(self, model: Path, **more: Any) -> str:
        answer = self.client.post("/v1/sessions", json=quick(model) | more)
        assert answer.status_code in (200, 201, 202), answer.text
        return str(answer.json()["id"])

    def states(self) -> dict[str, str]:
        found = self.client.get("/v1/sessions", params={"limit": 100}).json()["data"]
        return {view["id"]: view["state"] for view in found}

    def trials(self, session: str) -> dict[str, str]:
        found = self.client.get(f"/v1/sessions/{session}/trials").json()["data"]
        return {trial["id"]: trial["started_at"] for trial in found}

    def events(self, session: str) -> list[dict[str, Any]]:
        record = self.client.get(f"/v1/sessions/{session}/record").json()
        return list(record["events"])

    def run(self, *args: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "api.cli.main", *args],
            env=self.env, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


Start = Callable[[], Replica]


@pytest.fixture
def start(url: str, tmp_path: Path, models: Path) -> Iterator[Start]:
    shared, made = tmp_path / "shared", []

    def one() -> Replica:
        made.append(Replica(tmp_path / f"replica-{len(made)}", url, shared, models))
        return made[-1]

    yield one
    for replica in made:
        replica.client.close()
        if replica.process.poll() is None:
            replica.process.send_signal(signal.SIGCONT)
            replica.end(signal.SIGKILL)
    wait_for(lambda: not leftovers(), "no process left")
    for replica in made:
        assert PASSWORD not in replica.log


def runner_of(replicas: list[Replica], session: str) -> Replica:
    def look() -> Replica | None:
        return next((one for one in replicas if one.busy_with == session), None)

    found = wait_for(look, f"{session} runs")
    assert isinstance(found, Replica)
    return found


def no_trial_twice(replica: Replica, session: str) -> None:
    """Every trial finished once, and its events have numbers without gaps."""
    events = replica.events(session)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    finished = Counter(e["payload"]["trial"] for e in events if e["kind"] == "trial_finished")
    assert finished
    assert set(finished.values()) == {1}
    assert set(finished) <= set(replica.trials(session))
    requests = sorted(path.stem for path in replica.shared.glob("requests/*.parquet"))
    assert set(replica.trials(session)) <= set(requests)


def victim_is_known_dead(other: Replica, session: str) -> bool:
    return other.states()[session] == "queued" or other.busy_with == session


def followed(replica: Replica, session: str) -> "Future[list[int]]":
    """The numbers of all events that a watcher on this replica is told, to the session's end."""

    async def watch() -> list[int]:
        client = Client(str(replica.client.base_url), replica.token)
        async with client:
            return [event.seq async for event in client.follow(session)]

    return ThreadPoolExecutor(1).submit(asyncio.run, watch())


def test_kill_9_of_one_the_other_takes_over(start: Start, models: Path) -> None:
    """Both work off one queue; what the killed one ran goes on within 30 s, and all end."""
    replicas = [start(), start()]
    ids = [replicas[n % 2].submit(models / "tiny", seed=n) for n in range(3)]
    victim = runner_of(replicas, ids[0])
    (other,) = [one for one in replicas if one is not victim]
    watcher = followed(other, ids[0])
    wait_for(lambda: other.busy_with, "the other works as well")
    wait_for(lambda: victim.trials(ids[0]), "a trial")
    before = victim.trials(ids[0])
    victim.end(signal.SIGKILL)
    wait_for(lambda: victim_is_known_dead(other, ids[0]), "the orphan is found or runs", TAKEOVER_S)
    wait_for(lambda: other.busy_with == ids[0], "it runs, once the lane is free")
    wait_for(lambda: set(other.states().values()) == {"done"}, "all", 300)
    for session in ids:
        no_trial_twice(other, session)
        assert other.client.get(f"/v1/sessions/{session}/report").status_code == 200
    assert before.items() <= other.trials(ids[0]).items()
    assert watcher.result(60) == [event["seq"] for event in other.events(ids[0])]
    assert other.end(signal.SIGTERM) == 0


def test_a_replica_that_was_away_writes_nothing_more(start: Start, models: Path) -> None:
    """Stopped and not dead: its session's process lives on, but its lease is another's."""
    frozen = start()
    session = frozen.submit(models / "tiny")
    wait_for(lambda: frozen.trials(session), "a trial")
    before = frozen.trials(session)
    frozen.process.send_signal(signal.SIGSTOP)
    other = start()
    wait_for(lambda: other.busy_with == session, "the takeover", TAKEOVER_S)
    frozen.process.send_signal(signal.SIGCONT)
    wait_for(lambda: "elsewhere" in frozen.log, "it has noticed and let go", 20)
    wait_for(lambda: other.states()[session] == "done", "the end")
    no_trial_twice(other, session)
    assert before.items() <= other.trials(session).items()
    assert frozen.states() == other.states()
    again = frozen.submit(models / "tiny", seed=1)
    assert frozen.client.post(f"/v1/sessions/{again}/cancel").status_code == 202


def test_what_one_is_told_the_other_does(start: Start, models: Path) -> None:
    """Idempotency keys, API keys, a cancellation, and a soft stop that hands its session on."""
    one, two = start(), start()
    headers = {"Idempotency-Key": "k"}
    with ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(each.client.post, "/v1/sessions", json=quick(models / "tiny"),
                        headers=headers)
            for each in (one, two) * 4
        ]  # fmt: skip
    (session,) = {answer.result().json()["id"] for answer in asked}
    runner = runner_of([one, two], session)
    other = two if runner is one else one
    assert runner.end(signal.SIGTERM) == 0
    wait_for(lambda: other.busy_with == session, "it is handed on", 10)
    third = start()
    key = third.run("keys", "create", "bot", "--scope", "run").stdout.strip()
    with httpx2.Client(base_url=other.client.base_url, timeout=60) as client:
        client.headers["Authorization"] = f"Bearer {key}"
        assert client.get(f"/v1/sessions/{session}").json()["state"] == "running"
        assert third.run("keys", "revoke", key.split("_")[1]).returncode == 0
        assert client.get("/v1/sessions").status_code == 401
    answer = third.client.post(f"/v1/sessions/{session}/cancel", json={"drain_s": 0})
    assert answer.json()["state"] == "cancelling"
    wait_for(lambda: third.states()[session] == "cancelled", "the cancellation", 30)
    assert json.loads(third.run("sessions", "--json").stdout)[0]["status"] == "cancelled"


def test_a_server_that_restarts_is_waited_for(start: Start, models: Path, server: Server) -> None:
    replica = start()
    session = replica.submit(models / "tiny")
    wait_for(lambda: replica.trials(session), "a trial")
    server.control("-m", "immediate", "stop")
    time.sleep(3)
    server.start()
    wait_for(lambda: replica.states()[session] == "done", "the end")
    no_trial_twice(replica, session)
    assert "повтор" not in replica.log
