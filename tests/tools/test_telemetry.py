import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator

import pytest

from knowledge.types import Telemetry
from tools.telemetry import Sampler, of_one_node

BUSY_CHILD = (
    "import subprocess, sys, time\n"
    "code = 'hold = bytes([1]) * 80_000_000\\nprint(1, flush=True)\\nwhile True: pass'\n"
    "child = subprocess.Popen([sys.executable, '-c', code])\n"
    "time.sleep(300)"
)


@pytest.fixture
async def busy_tree() -> AsyncGenerator[int, None]:
    """A process that sleeps; its child spins and holds 80 MB."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BUSY_CHILD, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    await process.stdout.readline()
    yield process.pid
    os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def test_the_whole_tree_is_sampled(busy_tree: int) -> None:
    async with Sampler(busy_tree, every_s=0.1) as sampler:
        await asyncio.sleep(1.2)
    seen = sampler.result()
    assert seen.samples >= 3
    assert seen.rss_peak_bytes is not None
    assert seen.rss_peak_bytes > 80_000_000
    assert seen.cpu_percent_mean is not None
    assert seen.cpu_percent_mean > 5, "the child spins"


async def test_a_process_that_is_gone_gives_no_samples() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
    await process.wait()
    async with Sampler(process.pid, every_s=0.05) as sampler:
        await asyncio.sleep(0.2)
    seen = sampler.result()
    assert seen.samples == 0
    assert seen.rss_peak_bytes is None
    assert seen.cpu_percent_mean is None


async def test_a_card_is_not_closed_under_a_thread_that_reads_it() -> None:
    """NVML that is shut down while a thread asks it takes the whole process along."""

    class Card:
        reading, caught, reads = False, False, 0
        began = threading.Event()

        def sample(self) -> None:
            self.reading, self.reads = True, self.reads + 1
            self.began.set()
            time.sleep(0.1)
            self.reading = False

        def latest(self) -> dict[str, float]:
            return {}

        def close(self) -> None:
            self.caught = self.reading

    card = Card()
    sampler = Sampler(os.getpid(), every_s=0.01)
    sampler._gpus = [card]  # type: ignore[list-item]
    async with sampler:
        assert await asyncio.to_thread(card.began.wait, 10)
    reads = card.reads
    await asyncio.sleep(0.3)
    assert not card.caught
    assert card.reads == reads


def test_of_several_nodes_one_shows_nothing_but_its_own_cores() -> None:
    seen = Telemetry(
        samples=3, cpu_percent_mean=90.0, rss_peak_bytes=1, gpu_util_percent_mean=50.0,
        gpu_memory_peak_bytes=1, gpu_power_w_mean=300.0, energy_j=5.0, warnings=("жарко",),
        series=dict.fromkeys(("cpu_percent", "rss_bytes", "gpu0_power_w"), ((0.0, 1.0),)),
    )  # fmt: skip
    left = of_one_node(seen)
    assert left.warnings[0] == "жарко"
    assert "кластера Ray" in left.warnings[1]
    assert set(left.series) == {"cpu_percent"}
    given = left.model_dump(exclude={"warnings", "series"}, exclude_defaults=True)
    assert given == {"samples": 3, "cpu_percent_mean": 90.0}
