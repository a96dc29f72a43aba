"""Time for a load generator: waking on absolute deadlines, and how late the loop itself is."""

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

_TIMER_STEP_S = 0.002
_TICK_S = 0.02


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
