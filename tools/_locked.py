"""A lock between processes that the kernel releases when its holder dies."""

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

_POLL_S = 0.5


@asynccontextmanager
async def locked(path: Path, on_wait: Callable[[], None]) -> AsyncGenerator[None, None]:
    """Hold `path` exclusively; `on_wait` is called once when somebody else holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The descriptor is not inherited: no child keeps the lock after us.
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        told = False
        while not _taken(lock):
            if not told:
                on_wait()
                told = True
            await asyncio.sleep(_POLL_S)
        yield
    finally:
        os.close(lock)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
