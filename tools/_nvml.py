"""NVIDIA's management library, where there is a driver."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from knowledge.quantities import format_bytes
from knowledge.types import GpuFingerprint, GpuProcess

_FOREIGN_BYTES = 256 * 2**20
"""Less than this is the driver's own."""


@contextmanager
def opened_nvml() -> Iterator[ModuleType | None]:
    """The library, initialized; None without an NVIDIA driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def visible_gpus(nvml: ModuleType, environ: Mapping[str, str]) -> list[Any]:
    """Handles that CUDA programs started by us will see."""
    handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    wanted = environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        return handles
    chosen = []
    for item in filter(None, (part.strip() for part in wanted.split(","))):
        if item.isdigit() and int(item) < len(handles):
            chosen.append(handles[int(item)])
        elif item.startswith("GPU-"):
            chosen += [h for h in handles if nvml.nvmlDeviceGetUUID(h).startswith(item)]
        else:  # CUDA ignores what follows an invalid entry
            break
    return chosen


def ask(nvml: ModuleType, question: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """The answer; None where the card, the driver or this version of NVML has none."""
    try:
        return question(*args, **options)
    except nvml.NVMLError:
        return None


def fingerprints(environ: Mapping[str, str] = os.environ) -> tuple[GpuFingerprint, ...]:
    """Every visible card; none without a driver."""
    with opened_nvml() as nvml:
        if nvml is None:
            return ()
        return tuple(fingerprint(nvml, gpu) for gpu in visible_gpus(nvml, environ))


def fingerprint(nvml: ModuleType, gpu: Any) -> GpuFingerprint:
    """One card, and who is on it."""
    memory = nvml.nvmlDeviceGetMemoryInfo(gpu, version=nvml.nvmlMemory_v2)
    power_mw = ask(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, gpu)
    ecc = ask(nvml, nvml.nvmlDeviceGetEccMode, gpu)
    mig = ask(nvml, nvml.nvmlDeviceGetMigMode, gpu)
    return GpuFingerprint(
        name=nvml.nvmlDeviceGetName(gpu),
        uuid=nvml.nvmlDeviceGetUUID(gpu),
        driver=nvml.nvmlSystemGetDriverVersion(),
        cuda=_cuda(ask(nvml, nvml.nvmlSystemGetCudaDriverVersion)),
        memory_bytes=memory.total,
        memory_used_bytes=memory.used,
        power_limit_w=None if power_mw is None else power_mw / 1000,
        max_sm_clock_mhz=ask(nvml, nvml.nvmlDeviceGetMaxClockInfo, gpu, nvml.NVML_CLOCK_SM),
        max_memory_clock_mhz=ask(nvml, nvml.nvmlDeviceGetMaxClockInfo, gpu, nvml.NVML_CLOCK_MEM),
        pcie=_pcie(nvml, gpu),
        nvlinks=_nvlinks(nvml, gpu),
        ecc=bool(ecc[0]) if ecc else None,
        mig=bool(mig[0]) if mig else None,
        processes=_processes(nvml, gpu),
    )


def not_free(card: GpuFingerprint) -> str | None:
    """Why a card that we are about to measure on is not ours alone; None when it is."""
    if card.processes:
        who = ", ".join(
            f"{one.name or 'процесс'} (pid {one.pid}"
            + (f", {format_bytes(one.memory_bytes)})" if one.memory_bytes else ")")
            for one in card.processes
        )
        return f"карта {card.name} не свободна: на ней {who}"
    if (card.memory_used_bytes or 0) > _FOREIGN_BYTES + _reserved(card):
        used = format_bytes(card.memory_used_bytes or 0)
        return f"карта {card.name} не свободна: занято {used}, а процессов не видно"
    return None


def _reserved(card: GpuFingerprint) -> int:
    """Older drivers count what they keep for themselves as used: up to 1 % of the card."""
    return card.memory_bytes // 100


def _cuda(version: int | None) -> str | None:
    return None if version is None else f"{version // 1000}.{version % 1000 // 10}"


def _pcie(nvml: ModuleType, gpu: Any) -> str | None:
    generation = ask(nvml, nvml.nvmlDeviceGetCurrPcieLinkGeneration, gpu)
    width = ask(nvml, nvml.nvmlDeviceGetCurrPcieLinkWidth, gpu)
    return f"{generation}.0 x{width}" if generation and width else None


def _nvlinks(nvml: ModuleType, gpu: Any) -> int:
    """Links that are up."""
    count = 0
    for link in range(nvml.NVML_NVLINK_MAX_LINKS):
        state = ask(nvml, nvml.nvmlDeviceGetNvLinkState, gpu, link)
        if state is None:
            break
        count += bool(state)
    return count


def _processes(nvml: ModuleType, gpu: Any) -> tuple[GpuProcess, ...]:
    running = ask(nvml, nvml.nvmlDeviceGetComputeRunningProcesses, gpu) or []
    return tuple(
        GpuProcess(
            pid=one.pid,
            name=str(ask(nvml, nvml.nvmlSystemGetProcessName, one.pid) or ""),
            memory_bytes=one.usedGpuMemory,
        )
        for one in running
    )
