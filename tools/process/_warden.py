"""Holds one process tree and never outlives its owner. Run as a script; standard library only.

    python -I -S _warden.py CONTROL_FD STATUS_FD -- COMMAND…

The advisor holds the other end of the control pipe. A line `stop SECONDS` ends the tree politely;
end of file means that the advisor is gone, by kill -9 perhaps, and ends the tree at once. As a
child subreaper (Linux) the warden inherits whatever daemonizes below it, so that a process in a
session of its own is found all the same. Elsewhere only what still hangs in the tree is found.

Status lines, JSON: {"pid": N}; then {"status": CODE, "left": [PIDS]} or {"error": TEXT}. A code
below 0 is a signal. The last line comes when every descendant is dead.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
ON_LINUX = sys.platform.startswith("linux")
GIVE_UP_S = 30.0
"""A process stuck in the kernel (a GPU driver, a dead network disk) can't be killed: report it."""


def main(argv: list[str]) -> None:
    """Start the command, hold it, report its end."""
    control, status = int(argv[1]), int(argv[2])
    for fd in (control, status):
        os.set_inheritable(fd, False)
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    wakeup = _wake_on_child()
    on_death = _become_subreaper()
    try:
        engine = subprocess.Popen(
            argv[4:],
            start_new_session=True,
            preexec_fn=on_death,  # noqa: PLW1509 - this process has one thread
        )
    except (OSError, subprocess.SubprocessError) as error:
        _report(status, {"error": str(error)})
        return
    _let_go_of_stdio()
    _report(status, {"pid": engine.pid})
    code = _hold(engine.pid, control, wakeup)
    engine.returncode, left = _kill_tree(engine.pid, code)
    _report(status, {"status": engine.returncode, "left": left})


def _wake_on_child() -> int:
    """A descriptor that becomes readable whenever a child ends."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _signum, _frame: None)
    return read_end


def _become_subreaper() -> Callable[[], None]:
    """Adopt orphans from below; return what the child does to die with the warden."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    prctl = ctypes.CDLL(None, use_errno=True).prctl if ON_LINUX else None
    warden = os.getpid()
    if prctl is not None:
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def in_child() -> None:
        for signum in signals:
            signal.signal(signum, signal.SIG_DFL)
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
            if os.getppid() != warden:  # it died between fork and prctl
                os._exit(1)

    return in_child


def _let_go_of_stdio() -> None:
    """Else a reader of the command's output would wait for the warden's copy to close."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)


def _hold(engine: int, control: int, wakeup: int) -> int | None:
    """Wait for the engine's end, a stop or the advisor's death. None: the engine still lives."""
    deadline: float | None = None
    pending = b""
    while True:
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        readable, _, _ = select.select([control, wakeup], [], [], timeout)
        if wakeup in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(wakeup, 4096)
        code, _ = _reap(engine)
        if code is not None:
            return code
        if control in readable:
            data = os.read(control, 4096)
            if not data:
                return None
            pending += data
            while b"\n" in pending:
                line, pending = pending.split(b"\n", 1)
                deadline = time.monotonic() + float(line.split()[1])
                _signal_group(engine, signal.SIGTERM)
        if deadline is not None and time.monotonic() >= deadline:
            return None


def _kill_tree(engine: int, code: int | None) -> tuple[int | None, list[int]]:
    """SIGKILL everything below until nothing is left: (engine's code, pids that would not die)."""
    give_up = time.monotonic() + GIVE_UP_S
    pause = 0.001
    while True:
        if code is None or not ON_LINUX:  # once buried, its number may belong to someone else
            _signal_group(engine, signal.SIGKILL)
        below = descendants(os.getpid())
        for pid in below:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        reaped, childless = _reap(engine)
        code = code if reaped is None else reaped
        if childless or time.monotonic() > give_up:
            return code, [] if childless else below
        time.sleep(pause)
        pause = min(0.05, pause * 2)


def _reap(engine: int) -> tuple[int | None, bool]:
    """Bury the dead, adopted ones too: (the engine's exit code if among them, no child is left)."""
    code = None
    while True:
        try:
            pid, wait_status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code, True
        if pid == 0:
            return code, False
        if pid == engine:
            code = os.waitstatus_to_exitcode(wait_status)


def _signal_group(engine: int, signum: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(engine, signum)


def descendants(root: int) -> list[int]:
    """Pids below `root`, in every session and process group."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found: list[int] = []
    open_pids = [root]
    while open_pids:
        below = children.get(open_pids.pop(), [])
        found += below
        open_pids += below
    return found


def _parents() -> list[tuple[int, int]]:
    """(pid, parent) of every process."""
    if not ON_LINUX:
        listing = subprocess.run(
            ["/bin/ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=False
        )
        return [(int(pid), int(up)) for pid, up in map(str.split, listing.stdout.splitlines())]
    pairs = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # The command's name is in brackets and may itself hold spaces and brackets.
            after_name = (entry / "stat").read_bytes().rpartition(b")")[2]
            pairs.append((int(entry.name), int(after_name.split()[1])))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return pairs


def _report(status: int, line: dict[str, object]) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(status, json.dumps(line).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv)
