"""Time for a load generator: waking on absolute deadlines, and how late the loop itself is."""

import asyncio
import contextlib
import ctypes
import gc
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_TIMER_STEP_S = 0.002
_TICK_S = 0.02
_MONOTONIC, _NONBLOCK_CLOEXEC, _ABSOLUTE = 1, 0o2004000, 1


async def sleep_until(deadline: float) -> None:
    """Wake at a moment of time.perf_counter.

    Timers of asyncio and uvloop go by whole milliseconds, which would put a grid under Poisson
    arrivals; the last two milliseconds are therefore slept in a thread.
    """
    left = deadline - time.perf_counter()
    if left > _TIMER_STEP_S:
        await asyncio.sleep(left - _TIMER_STEP_S)
        left = deadline - time.perf_counter()
    if left > 0:
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, left)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Timer(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Pacer:
    """One sleeper on absolute deadlines. Linux' timerfd wakes the loop to the microsecond without a
    thread; perf_counter is the same clock there. Elsewhere `sleep_until` does."""

    def __init__(self) -> None:
        self._descriptor = -1
        self._woken: asyncio.Future[None] | None = None
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._descriptor = self._libc.timerfd_create(_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._descriptor >= 0:
            asyncio.get_running_loop().add_reader(self._descriptor, self._ring)

    async def until(self, deadline: float) -> None:
        """Return at `deadline` of time.perf_counter, at once where it is over."""
        if deadline <= time.perf_counter():
            return
        if self._descriptor < 0:
            await sleep_until(deadline)
            return
        self._woken = asyncio.get_running_loop().create_future()
        seconds, rest = divmod(deadline, 1)
        timer = _Timer(value=_Timespec(int(seconds), int(rest * 1e9)))
        self._libc.timerfd_settime(self._descriptor, _ABSOLUTE, ctypes.byref(timer), None)
        await self._woken

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._descriptor, 8)
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def close(self) -> None:
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


class LoopLag:
    """Ticks every 20 ms on absolute deadlines and notes how late each tick came.

    After a stall every missed tick is counted, so that a long one weighs as long as it was.
    """

    def __init__(self) -> None:
        self._late_s: list[float] = []

    async def run(self) -> None:
        deadline = time.perf_counter()
        while True:
            deadline += _TICK_S
            await asyncio.sleep(max(0.0, deadline - time.perf_counter()))
            self._late_s.append(max(0.0, time.perf_counter() - deadline))

    @property
    def p99_ms(self) -> float:
        late = sorted(self._late_s)
        return 1e3 * late[int(0.99 * (len(late) - 1))] if late else 0.0


@contextmanager
def without_gc() -> Iterator[None]:
    """No garbage collection inside: a pause would be measured as the server's."""
    was_on = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()
