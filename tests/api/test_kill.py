"""kill -9 of the advisor's whole process group, at random moments: nothing lost, nothing left."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tools.home import Home
from tools.process import leftovers

KILLS = 10
PATIENCE_S = 180.0
COMMAND = (
    *("--engine", "sim", "--workload", "demo", "--input-tokens", "24", "--output-tokens", "8"),
    *("--concurrency", "4", "--objective", "throughput", "--budget", "10m", "--no-naive"),
)


def advisor(home: Path, *args: str) -> "subprocess.Popen[bytes]":
    with (home / "stderr").open("ab") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "api.cli.main", *args],
            env={**os.environ, "ADVISOR_HOME": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )


def wait_gone(deadline_s: float = 15.0) -> list[int]:
    end = time.monotonic() + deadline_s
    while (left := leftovers()) and time.monotonic() < end:
        time.sleep(0.1)
    return left


def wait_begun(home: Path, running: "subprocess.Popen[bytes]") -> None:
    """Until the session is in the store, however long this machine takes to start one."""
    end = time.monotonic() + PATIENCE_S
    while not list((home / "data" / "sessions").glob("*")):
        assert running.poll() is None, (home / "stderr").read_text()[-2000:]
        assert time.monotonic() < end, "no session was begun"
        time.sleep(0.05)


def sessions(home: Path) -> list[dict[str, str]]:
    done = subprocess.run(
        [sys.executable, "-m", "api.cli.main", "sessions", "--json"],
        env={**os.environ, "ADVISOR_HOME": str(home)},
        capture_output=True,
        check=True,
    )
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_kill_at_random_moments(tiny_model: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    moments = random.Random(20261123)
    reports = tmp_path / "reports"
    start = ("optimize", str(tiny_model), *COMMAND, "--trials", "6", "--out", str(reports))
    running = advisor(home, *start)
    time.sleep(0.5)  # before there is a session: nothing to resume, and nothing in the way
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    running = advisor(home, *start)
    wait_begun(home, running)
    session, killed, starts = None, 0, {}
    end = time.monotonic() + PATIENCE_S
    while killed < KILLS and time.monotonic() < end:
        time.sleep(moments.uniform(1.2, 4.5))
        if running.poll() is not None:
            break
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        killed += 1
        assert wait_gone() == []
        assert not psutil.pid_exists(running.pid)
        rows = sessions(home)
        assert rows
        session = rows[0]["session"]
        starts |= finished_trials(home, session, starts)
        running = advisor(home, "resume", session)
    code = running.wait(timeout=PATIENCE_S)
    assert code == 0, (home / "stderr").read_text()[-2000:]
    assert killed >= 3
    assert session
    finished_trials(home, session, starts)
    (row,) = [row for row in sessions(home) if row["session"] == session]
    assert row["status"] == "done"
    assert list(reports.glob("*.md"))
    assert wait_gone() == []


def finished_trials(home: Path, session: str, before: dict[str, str]) -> dict[str, str]:
    """Trial ids with their start; none of `before` may be lost or measured anew."""
    from tools.store import Store

    with Store.open(Home.default({"ADVISOR_HOME": str(home)}).store, "test") as store:
        trials = store.trials(session)
    now = {t.trial_id: t.started_at.isoformat() for t in trials}
    assert before.items() <= now.items()
    assert len({t.spec.ordinal for t in trials}) == len(trials)
    return now


@pytest.mark.engine
def test_kill_while_vllm_serves(real_home: Home, tmp_path: Path) -> None:
    """Once on the real thing: killed in its second trial, the first one is kept."""
    home = tmp_path / "home"
    (home / "data").mkdir(parents=True)
    # The heavy environments and the model are those of the user's own cache.
    (home / "cache").symlink_to(real_home.cache)
    running = advisor(
        home, "optimize", "demo", "--workload", "demo", "--objective", "throughput",
        "--budget", "30m", "--trials", "1", "--no-naive", "--out", str(tmp_path / "reports"),
        # Light, not compiled, in a dtype that every processor multiplies: AVX2 emulates bfloat16.
        "--input-tokens", "48", "--output-tokens", "16", "--concurrency", "4",
        "--flag", "dtype=float32", "--flag", "enforce-eager",
    )  # fmt: skip
    log_of_second = home / "data" / "sessions"
    end = time.monotonic() + 3 * PATIENCE_S
    while not list(log_of_second.glob("*/logs/t01-*.log")) and time.monotonic() < end:
        assert running.poll() is None, (home / "stderr").read_text()[-2000:]
        time.sleep(0.5)
    time.sleep(10)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert wait_gone() == []
    (row,) = sessions(home)
    before = finished_trials(home, row["session"], {})
    assert len(before) == 1
    resumed = advisor(home, "resume", row["session"])
    assert resumed.wait(timeout=5 * PATIENCE_S) == 0, (home / "stderr").read_text()[-2000:]
    assert len(finished_trials(home, row["session"], before)) >= 3
    assert list((tmp_path / "reports").glob("*.md"))
    assert wait_gone() == []
