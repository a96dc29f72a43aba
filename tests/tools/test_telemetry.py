import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import pytest

from tools import telemetry
from tools.telemetry import Sampler, _Gpu

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


class FakeNvml:
    """A GPU that draws 300 W and 40 J, and one handle that reports nothing of itself."""

    class NVMLError(Exception):
        pass

    nvmlMemory_v2 = 2  # noqa: N815

    def __init__(self) -> None:
        self.energy_mj = 10_000

    def __getattr__(self, name: str) -> Any:
        answers = {
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=7_000),
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=90),
            "nvmlDeviceGetPowerUsage": 300_000,
            "nvmlDeviceGetTotalEnergyConsumption": self.energy_mj,
        }

        def answer(handle: str, **_options: object) -> Any:
            if handle == "silent":
                raise self.NVMLError
            return answers[name]

        return answer


def test_gpus_are_added_up_and_silent_ones_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml()
    gpus = [_Gpu(nvml, handle) for handle in ("a", "b", "silent")]  # type: ignore[arg-type]
    for gpu in gpus:
        gpu.sample()
    nvml.energy_mj += 40_000
    for gpu in gpus:
        gpu.close()
    sampler = Sampler(1)
    monkeypatch.setattr(sampler, "_gpus", gpus)
    seen = sampler.result()
    assert seen.gpu_memory_peak_bytes == 14_000
    assert seen.gpu_util_percent_mean == 90
    assert seen.gpu_power_w_mean == 600
    assert seen.energy_j == 80
    assert telemetry._total([None, None]) is None
