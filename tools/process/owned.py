"""Which processes are ours, by a mark in their environment, and the end of those left behind."""

import contextlib
import os
import signal
import time
import uuid
from collections.abc import Callable

import psutil

OWNED = "ADVISOR_OWNED"
OWNER = "ADVISOR_OWNER"
_SAME_START_S = 2.0
"""psutil derives start times from the boot time, which clock adjustments move a little."""


def new_mark() -> str:
    """A value of ADVISOR_OWNER: this advisor's pid and start, and what tells launches apart."""
    started = psutil.Process().create_time()
    return f"{os.getpid()}:{started:.2f}:{uuid.uuid4().hex}"


def leftovers() -> list[int]:
    """Pids of processes that an advisor started which lives no more."""
    return [pid for pid, mark in _marked().items() if not _owner_lives(mark)]


def sweep(limit_s: float = 10.0) -> list[int]:
    """SIGKILL the leftovers of dead advisors; returns the pids that were killed."""
    return _kill_until_none(leftovers, limit_s)


def kill_marked(mark: str, limit_s: float = 10.0) -> list[int]:
    """SIGKILL every process of one launch: needed only when its warden was killed."""
    return _kill_until_none(lambda: [p for p, m in _marked().items() if m == mark], limit_s)


def _kill_until_none(find: Callable[[], list[int]], limit_s: float) -> list[int]:
    """Again and again, since a process may start another while we look."""
    killed: set[int] = set()
    give_up = time.monotonic() + limit_s
    while (pids := find()) and time.monotonic() < give_up:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        killed.update(pids)
        time.sleep(0.02)
    return sorted(killed)


def _marked() -> dict[int, str]:
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # gone, a zombie, or another user's
            environ = process.environ()
            if environ.get(OWNED) == "1" and OWNER in environ:
                found[process.pid] = environ[OWNER]
    found.pop(os.getpid(), None)
    return found


def _owner_lives(mark: str) -> bool:
    pid, started, _ = mark.split(":")
    try:
        owner = psutil.Process(int(pid))
        alive = owner.status() != psutil.STATUS_ZOMBIE
        return alive and abs(owner.create_time() - float(started)) < _SAME_START_S
    except psutil.Error:
        return False
