"""Process trees to be killed, and a way to see what is left of them."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

TREE = """
import os, pathlib, signal, subprocess, sys, time
folder, stubborn = pathlib.Path(sys.argv[1]), sys.argv[2] == "stubborn"
leaf = ["-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"]
plain = subprocess.Popen([sys.executable, *leaf])
alone = subprocess.Popen([sys.executable, *leaf], start_new_session=True)
middle = (  # a daemon: its parent ends at once, so that its place in the tree is lost
    "import pathlib, subprocess, sys;"
    "p = subprocess.Popen([sys.executable, *sys.argv[2:]], start_new_session=True);"
    "pathlib.Path(sys.argv[1]).write_text(str(p.pid))"
)
daemon = folder / "daemon"
subprocess.run([sys.executable, "-c", middle, str(daemon), *leaf], start_new_session=True)
if stubborn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
pids = [os.getpid(), plain.pid, alone.pid, int(daemon.read_text())]
(folder / "half").write_text(" ".join(map(str, pids)))
(folder / "half").rename(folder / "pids")
print("ready", flush=True)
print("to stderr", file=sys.stderr, flush=True)
time.sleep(300)
"""


def tree_argv(folder: Path, manner: str = "polite") -> list[str]:
    """A command with a child, a child in its own session, and a daemon in its own session."""
    return [sys.executable, "-c", TREE, str(folder), manner]


async def until(condition: Callable[[], object], within_s: float = 30.0) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


async def tree_pids(folder: Path) -> list[int]:
    """Pids of the whole tree once it stands."""
    assert await until((folder / "pids").exists)
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def alive(pids: list[int]) -> list[int]:
    """Those that still run; a zombie does not."""
    left = []
    for pid in pids:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                left.append(pid)
        except psutil.NoSuchProcess:
            continue
    return left


async def gone(pids: list[int], within_s: float = 5.0) -> bool:
    """Whether all of them end in time."""
    return await until(lambda: not alive(pids), within_s)
