"""What the machine does while a load runs: CPU and memory of a process tree, GPU where present."""

import asyncio
import contextlib
import os
from collections.abc import Sequence
from contextlib import ExitStack
from types import ModuleType, TracebackType
from typing import Any, Self, TypeVar

import psutil

from knowledge.types import Telemetry
from tools._nvml import opened_nvml, visible_gpus

_EVERY_S = 0.5
_LOOK_FOR_CHILDREN_EVERY = 4
"""Samples between two walks through the process table: each costs some milliseconds."""

_Number = TypeVar("_Number", int, float)


class Sampler:
    """Samples beside the load, from `async with` in to out. Read `result()` afterwards."""

    def __init__(self, pid: int, *, every_s: float = _EVERY_S) -> None:
        self._pid = pid
        self._every_s = every_s
        self._tree: dict[int, psutil.Process] = {}
        self._cpu_percent: list[float] = []
        self._rss: list[int] = []
        self._gpus: list[_Gpu] = []
        self._open = ExitStack()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        nvml = self._open.enter_context(opened_nvml())
        if nvml:
            self._gpus = [_Gpu(nvml, handle) for handle in visible_gpus(nvml, os.environ)]
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        for gpu in self._gpus:
            gpu.close()
        self._open.close()

    def result(self) -> Telemetry:
        """Means and peaks; None for what was never seen. CPU: 100 % is one core kept busy."""
        gpus = self._gpus
        return Telemetry(
            samples=len(self._rss),
            cpu_percent_mean=_mean(self._cpu_percent),
            rss_peak_bytes=max(self._rss, default=None),
            gpu_util_percent_mean=_mean([value for gpu in gpus for value in gpu.util]),
            gpu_memory_peak_bytes=_total([max(gpu.memory, default=None) for gpu in gpus]),
            gpu_power_w_mean=_total([_mean(gpu.power_w) for gpu in gpus]),
            energy_j=_total([gpu.energy_j for gpu in gpus]),
        )

    async def _run(self) -> None:
        number = 0
        while True:
            # In a thread: the loop of the load generator must not wait for /proc.
            await asyncio.to_thread(self._sample, number % _LOOK_FOR_CHILDREN_EVERY == 0)
            number += 1
            await asyncio.sleep(self._every_s)

    def _sample(self, look_for_children: bool) -> None:
        if look_for_children:
            self._look()
        cpu, rss, seen = 0.0, 0, 0
        for pid, process in list(self._tree.items()):
            try:
                cpu += process.cpu_percent()  # since the last call; the first gives 0
                rss += process.memory_info().rss
                seen += 1
            except psutil.Error:
                del self._tree[pid]
        if seen:
            self._rss.append(rss)
            if len(self._rss) > 1:
                self._cpu_percent.append(cpu)
        for gpu in self._gpus:
            gpu.sample()

    def _look(self) -> None:
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(self._pid)
            for process in (root, *root.children(recursive=True)):
                self._tree.setdefault(process.pid, process)


class _Gpu:
    """Samples of one GPU. What a GPU does not report stays empty."""

    def __init__(self, nvml: ModuleType, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self.util: list[float] = []
        self.memory: list[int] = []
        self.power_w: list[float] = []
        self.energy_j: float | None = None
        self._energy_before = self._energy_mj()

    def sample(self) -> None:
        nvml, gpu = self._nvml, self._handle
        with contextlib.suppress(nvml.NVMLError):
            self.memory.append(nvml.nvmlDeviceGetMemoryInfo(gpu, version=nvml.nvmlMemory_v2).used)
        with contextlib.suppress(nvml.NVMLError):
            self.util.append(nvml.nvmlDeviceGetUtilizationRates(gpu).gpu)
        with contextlib.suppress(nvml.NVMLError):
            self.power_w.append(nvml.nvmlDeviceGetPowerUsage(gpu) / 1000)

    def close(self) -> None:
        after = self._energy_mj()
        if after is not None and self._energy_before is not None:
            self.energy_j = (after - self._energy_before) / 1000

    def _energy_mj(self) -> int | None:
        try:
            return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        except self._nvml.NVMLError:
            return None


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _total(values: Sequence[_Number | None]) -> _Number | None:
    """Sum over the GPUs, unless none reported."""
    seen = [value for value in values if value is not None]
    return sum(seen[1:], start=seen[0]) if seen else None
