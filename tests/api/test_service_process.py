"""`advisor serve` as a process of its own: killed, stopped, and spoken to by the command line."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.api.conftest import quick, wait_for
from tools.home import Home
from tools.process import leftovers
from tools.store import Store

ACTIVE = ("queued", "running", "cancelling")


class Process:
    """One home, and the service over it, started and ended at will."""

    def __init__(self, home: Path, models: Path) -> None:
        self.home = home
        self.env = {
            **os.environ, "ADVISOR_HOME": str(home), "ADVISOR_ROOTS": str(models),
            "ADVISOR_PORT": "0", "ADVISOR_DRAIN_S": "0",
        }  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *args: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "api.cli.main", *args],
            env=self.env, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def up(self) -> httpx2.Client:
        with (self.home / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "api.cli.main", "serve"],
                env=self.env, stdout=log, stderr=log,
            )  # fmt: skip
        note = wait_for(self._note, "the service's note")
        headers = {"Authorization": f"Bearer {note['token']}"}
        return httpx2.Client(base_url=note["url"], headers=headers, timeout=60)

    def _note(self) -> dict[str, Any] | None:
        assert self.process
        assert self.process.poll() is None, (self.home / "serve.log").read_text()[-2000:]
        try:
            note = json.loads((self.home / "data" / "service.json").read_text())
        except (OSError, ValueError):
            return None
        return dict(note) if note["pid"] == self.process.pid else None

    def end(self, number: int) -> int:
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(60)

    def trials(self) -> dict[str, dict[str, str]]:
        """Per session, every finished trial and when it began."""
        with Store.open(Home.default({"ADVISOR_HOME": str(self.home)}).store, "test") as store:
            return {
                row.session: {
                    t.trial_id: t.started_at.isoformat() for t in store.trials(row.session)
                }
                for row in store.sessions()
            }


@pytest.fixture
def served(models: Path, tmp_path: Path) -> Iterator[Process]:
    home = tmp_path / "home"
    home.mkdir()
    made = Process(home, models)
    yield made
    if made.process and made.process.poll() is None:
        made.end(signal.SIGKILL)
    wait_for(lambda: not leftovers(), "no process left")


def states(client: httpx2.Client) -> dict[str, str]:
    return {view["id"]: view["state"] for view in client.get("/v1/sessions").json()["data"]}


def test_kill_9_with_one_running_and_three_queued(served: Process, models: Path) -> None:
    """All four end after a restart, in their order, and no finished trial is measured again."""
    with served.up() as client:
        ids = [
            client.post("/v1/sessions", json=quick(models / "tiny") | {"seed": n}).json()["id"]
            for n in range(4)
        ]
        wait_for(lambda: client.get(f"/v1/sessions/{ids[0]}").json()["trials"] >= 1, "a trial")
        assert [states(client)[s] for s in ids] == ["running", "queued", "queued", "queued"]
        children = psutil.Process(served.process.pid if served.process else 0).children(True)
        assert children
        served.end(signal.SIGKILL)
    wait_for(lambda: not any(child.is_running() for child in children), "the session's end", 20)
    wait_for(lambda: not leftovers(), "no engine left", 20)
    before = served.trials()
    assert before[ids[0]]
    with served.up() as client:
        wait_for(lambda: set(states(client).values()) == {"done"}, "all four", 400)
        ended = {s: client.get(f"/v1/sessions/{s}").json()["ended_at"] for s in ids}
        assert served.end(signal.SIGTERM) == 0
    assert sorted(ended, key=lambda s: ended[s]) == ids
    after = served.trials()
    for session in ids:
        assert before[session].items() <= after[session].items()
        assert len({trial[:3] for trial in after[session]}) == len(after[session]) == 4


def test_a_soft_stop_leaves_the_session_to_the_next_start(served: Process, models: Path) -> None:
    with served.up() as client:
        session = client.post("/v1/sessions", json=quick(models / "tiny")).json()["id"]
        wait_for(lambda: client.get(f"/v1/sessions/{session}").json()["trials"] >= 1, "a trial")
        assert served.end(signal.SIGTERM) == 0
    assert not (served.home / "data" / "service.json").exists()
    assert leftovers() == []
    before = served.trials()[session]
    with served.up() as client:
        wait_for(lambda: states(client)[session] == "done", "the end")
        served.end(signal.SIGTERM)
    assert before.items() <= served.trials()[session].items()


def test_the_command_line_speaks_to_the_service_that_runs(
    served: Process, models: Path, tmp_path: Path
) -> None:
    out = tmp_path / "reports"
    with served.up() as client:
        done = served.run(
            "optimize", str(models / "tiny"), "--engine", "sim", "--workload", "demo",
            "--input-tokens", "24", "--output-tokens", "8", "--objective", "throughput",
            "--budget", "5m", "--trials", "1", "--no-naive", "--out", str(out), "--json", "-",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert "гипотеза:" in done.stderr
        assert list(states(client)) == [found["session"]]
        (report,) = out.glob("*.md")
        assert list(report.with_suffix("").glob("*.png"))
        listed = served.run("sessions", "--json")
        exported = served.run("export", found["session"][:12], "--out", str(tmp_path / "export"))
        again = served.run("report", found["session"], "--out", str(tmp_path / "again"))
        missing = served.run("report", "1999", "--out", str(tmp_path / "again"))
        second = served.run("serve")
        served.end(signal.SIGTERM)
    assert (tmp_path / "export" / "start.sh").is_file(), exported.stderr
    assert Path(again.stdout.strip()).read_text() == report.read_text()
    assert (missing.returncode, second.returncode) == (2, 2)
    assert "advisor serve" in second.stderr
    direct = served.run("sessions", "--json")
    assert json.loads(listed.stdout) == json.loads(direct.stdout)
    assert json.loads(direct.stdout)[0]["status"] == "done"


def test_keys_are_made_listed_and_revoked(served: Process) -> None:
    made = served.run("keys", "create", "бот", "--scope", "run")
    key = made.stdout.strip()
    assert key.startswith("adv_")
    listed = served.run("keys", "list")
    assert "read+run" in listed.stdout
    assert key.split("_", 2)[2] not in listed.stdout
    with served.up() as client:
        headers = {"Authorization": f"Bearer {key}"}
        assert client.get("/v1/sessions", headers=headers).status_code == 200
        assert served.run("keys", "revoke", key.split("_")[1]).returncode == 0
        assert client.get("/v1/sessions", headers=headers).status_code == 401
        served.end(signal.SIGTERM)
    assert served.run("keys", "revoke", "nothing").returncode == 2
    assert served.run("keys", "create", "x", "--scope", "root").returncode == 2
