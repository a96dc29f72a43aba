"""Two replicas, each a process of its own, over one PostgreSQL and one shared folder."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, LiteralString

import httpx2
import pytest

from tests.api.conftest import quick, wait_for
from tests.postgresql import PASSWORD
from tools.process import leftovers

TAKEOVER_S = 30.0


class Replica:
    """One process of the service with a home of its own."""

    def __init__(self, home: Path, url: str, shared: Path, models: Path) -> None:
        home.mkdir()
        self.home = home
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
        headers = {"Authorization": f"Bearer {note['token']}"}
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
    """Every trial finished once, and none that had a result was begun again."""
    events = replica.events(session)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    finished = Counter(e["payload"]["trial_id"] for e in events if e["kind"] == "trial_finished")
    assert finished, [event["kind"] for event in events]
    assert set(finished.values()) == {1}
    assert set(finished) == set(replica.trials(session))


def test_kill_9_of_one_the_other_takes_over(start: Start, models: Path) -> None:
    """Both work off one queue; what the killed one ran goes on within 30 s, and all four end."""
    replicas = [start(), start()]
    ids = [replicas[n % 2].submit(models / "tiny", seed=n) for n in range(4)]
    victim = runner_of(replicas, ids[0])
    (other,) = [one for one in replicas if one is not victim]
    wait_for(lambda: other.busy_with, "the other works as well")
    wait_for(lambda: victim.trials(ids[0]), "a trial")
    before = victim.trials(ids[0])
    killed = time.monotonic()
    victim.end(signal.SIGKILL)
    wait_for(lambda: other.busy_with == ids[0], "the takeover", TAKEOVER_S)
    print(f"taken over after {time.monotonic() - killed:.1f} s")
    wait_for(lambda: set(other.states().values()) == {"done"}, "all four", 300)
    for session in ids:
        no_trial_twice(other, session)
        assert other.client.get(f"/v1/sessions/{session}/report").status_code == 200
    assert before.items() <= other.trials(ids[0]).items()
    assert other.end(signal.SIGTERM) == 0
