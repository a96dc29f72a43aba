import asyncio
import time

from tools.load.clock import LoopLag, sleep_until


async def test_nobody_wakes_before_the_deadline() -> None:
    for ahead in (0.0005, 0.003, 0.02):
        deadline = time.perf_counter() + ahead
        await sleep_until(deadline)
        assert time.perf_counter() >= deadline
    await sleep_until(time.perf_counter() - 1)


async def test_a_blocked_loop_shows_as_lag() -> None:
    lag = LoopLag()
    assert lag.p99_ms == 0
    task = asyncio.create_task(lag.run())
    await asyncio.sleep(0.05)
    time.sleep(0.2)  # noqa: ASYNC251 - blocking is the point
    await asyncio.sleep(0.05)
    task.cancel()
    assert lag.p99_ms > 100
