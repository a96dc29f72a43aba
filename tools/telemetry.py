"""What the machine does while a load runs: CPU and memory of a process tree, GPU where present."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self, TypeVar

import psutil

from knowledge.types import Telemetry
from tools._gpu_sampler import GpuSampler, held_down
from tools._nvml import opened_nvml, visible_gpus

EVERY_S = 1.0
_MOST_POINTS = 240
"""A series is thinned to so many points: it is drawn, not computed with."""
_LOOK_FOR_CHILDREN_EVERY = 4
"""Samples between two walks through the process table: each costs some milliseconds."""

_Number = TypeVar("_Number", int, float)


_ONE_NODE = "сервер берёт GPU у кластера Ray, а отсюда виден только его собственный узел"


def of_one_node(seen: Telemetry) -> Telemetry:
    """Of a server whose workers may run on several nodes: what one of them shows stands for all of
    nothing, so only the server's own CPU remains."""
    return seen.replace(
        rss_peak_bytes=None,
        gpu_util_percent_mean=None,
        gpu_memory_peak_bytes=None,
        gpu_power_w_mean=None,
        energy_j=None,
        gpus=(),
        series={name: points for name, points in seen.series.items() if name.startswith("cpu")},
        warnings=(*seen.warnings, _ONE_NODE),
    )


class Sampler:
    """Samples beside the load, from `async with` in to out. Read `result()` afterwards."""

    def __init__(self, pid: int, *, every_s: float = EVERY_S) -> None:
        self._pid = pid
        self._every_s = every_s
        self._tree: dict[int, psutil.Process] = {}
        self._cpu_percent: list[float] = []
        self._rss: list[int] = []
        self._gpus: list[GpuSampler] = []
        self._series: dict[str, list[tuple[float, float]]] = {}
        self._began: float | None = None
        self._open = ExitStack()
        self._task: asyncio.Task[None] | None = None
        self._reading = threading.Lock()
        self._closed = True

    async def __aenter__(self) -> Self:
        nvml = self._open.enter_context(opened_nvml())
        if nvml:
            handles = visible_gpus(nvml, os.environ)
            self._gpus = self._gpus or [GpuSampler() for _ in handles]
            for gpu, handle in zip(self._gpus, handles, strict=True):
                gpu.open(nvml, handle)
        self._closed = False
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
        # Its thread may still be at it, and NVML shut down under a reader takes the process along.
        with self._reading:
            self._closed = True
            for gpu in self._gpus:
                gpu.close()
            self._open.close()

    def result(self) -> Telemetry:
        """Means and peaks; None for what was never seen. CPU: 100 % is one core kept busy."""
        gpus = tuple(gpu.result() for gpu in self._gpus)
        return Telemetry(
            samples=len(self._rss),
            cpu_percent_mean=_mean(self._cpu_percent),
            rss_peak_bytes=max(self._rss, default=None),
            gpu_util_percent_mean=_mean(_seen(gpu.util_percent_mean for gpu in gpus)),
            gpu_memory_peak_bytes=_total([gpu.memory_peak_bytes for gpu in gpus]),
            gpu_power_w_mean=_total([gpu.power_w_mean for gpu in gpus]),
            energy_j=_total([gpu.energy_j for gpu in gpus]),
            gpus=gpus,
            series={name: _thinned(points) for name, points in self._series.items()},
            warnings=tuple(
                f"GPU {number}: {reason}"
                for number, gpu in enumerate(gpus)
                for reason in held_down(gpu)
            ),
        )

    async def _run(self) -> None:
        number = 0
        while True:
            # In a thread: the loop of the load generator must not wait for /proc.
            await asyncio.to_thread(self._sample, number % _LOOK_FOR_CHILDREN_EVERY == 0)
            number += 1
            await asyncio.sleep(self._every_s)

    def _sample(self, look_for_children: bool) -> None:
        with self._reading:
            if not self._closed:
                self._read(look_for_children)

    def _read(self, look_for_children: bool) -> None:
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
            self._note("rss_bytes", rss)
            if len(self._rss) > 1:
                self._cpu_percent.append(cpu)
                self._note("cpu_percent", cpu)
        for number, gpu in enumerate(self._gpus):
            gpu.sample()
            for name, value in gpu.latest().items():
                self._note(f"gpu{number}_{name}", value)

    def _note(self, name: str, value: float) -> None:
        now = time.monotonic()
        self._began = self._began or now
        self._series.setdefault(name, []).append((round(now - self._began, 2), float(value)))

    def _look(self) -> None:
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(self._pid)
            for process in (root, *root.children(recursive=True)):
                self._tree.setdefault(process.pid, process)


def _thinned(points: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    step = -(-len(points) // _MOST_POINTS)
    return tuple(points[:: max(1, step)])


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _seen(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _total(values: Sequence[_Number | None]) -> _Number | None:
    """Sum over the GPUs, unless none reported."""
    seen = [value for value in values if value is not None]
    return sum(seen[1:], start=seen[0]) if seen else None
