"""The machine: its accelerator, or its CPU as one, with both ceilings of the roofline."""

import os
import platform
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from knowledge.devices import find_gpu
from knowledge.gpu_prices import typical_price
from knowledge.types import Device, Hardware
from tools import _cpu
from tools._cpu import free_memory_bytes
from tools._disk import free_disk_bytes
from tools._nvml import opened_nvml, visible_gpus
from tools.home import Home

__all__ = ["free_device_memory_bytes", "free_disk_bytes", "free_memory_bytes", "inspect"]


def inspect(home: Home, environ: Mapping[str, str] = os.environ) -> Hardware:
    """Look at the machine. The first call on a machine without a GPU measures for a few seconds."""
    software = {"kernel": platform.release(), "python": platform.python_version()}
    count = 1
    with opened_nvml() as nvml:
        gpus = visible_gpus(nvml, environ) if nvml else []
        if nvml and gpus:
            device = gpu_device(nvml, gpus[0])
            count = sum(
                nvml.nvmlDeviceGetName(gpu) == nvml.nvmlDeviceGetName(gpus[0]) for gpu in gpus
            )
            software["nvidia_driver"] = nvml.nvmlSystemGetDriverVersion()
        else:
            device = cpu_device(_cpu.ceilings(home.cache / "hardware"), _cpu.isa())
    return Hardware(
        device=device,
        device_count=count,
        cpu_name=_cpu.cpu_name(),
        cores=_cpu.cores(),
        numa_nodes=_cpu.numa_nodes(),
        isa=_cpu.isa(),
        host_memory_bytes=_cpu.total_memory_bytes(),
        software=software,
    )


def free_device_memory_bytes(hardware: Hardware, environ: Mapping[str, str] = os.environ) -> int:
    """Free memory where the weights go: of the first visible GPU, or of the host."""
    if hardware.device.kind == "cuda":
        with opened_nvml() as nvml:
            if nvml:
                return int(_memory(nvml, visible_gpus(nvml, environ)[0]).free)
    return free_memory_bytes()


def cpu_device(ceilings: _cpu.Ceilings, isa: tuple[str, ...]) -> Device:
    """Memory reads and float32 are measured; narrower dtypes follow from the instruction sets.

    A vector instruction over half as wide elements does twice the work: VDPBF16PS 2x float32,
    VPDPBUSD 4x. AMX tiles do 16x of AVX-512's on paper; half of it is what libraries reach.
    """
    float32 = ceilings.float32_flops_per_s
    flops = {"float32": float32}
    if "amx_bf16" in isa:
        flops["bfloat16"] = 8 * float32
    elif "avx512_bf16" in isa or "bf16" in isa:
        flops["bfloat16"] = 2 * float32
    if "amx_int8" in isa:
        flops["int8"] = 16 * float32
    elif {"avx512_vnni", "avx_vnni", "asimddp"} & set(isa):
        flops["int8"] = 4 * float32
    return Device(
        name=_cpu.cpu_name(),
        kind="cpu",
        memory_bytes=_cpu.total_memory_bytes(),
        bandwidth_bytes_per_s=ceilings.read_bytes_per_s,
        flops_per_s=flops,
        measured=True,
        source="измерено: чтение памяти всеми ядрами и SGEMM; bfloat16 и int8 — кратное float32 "
        "по набору инструкций",
    )


def gpu_device(nvml: ModuleType, gpu: Any) -> Device:
    """The vendor's figures where the GPU is known, else what its clocks and widths give.

    A driver makes no typos: the RTX 4090 D is another chip than the RTX 4090.
    """
    name = str(nvml.nvmlDeviceGetName(gpu))
    memory = int(_memory(nvml, gpu).total)
    match = find_gpu(name)
    if match.found and match.how == "exact":
        return _priced(match.found.device.replace(memory_bytes=memory), match.found.stem)
    return _unknown_gpu(nvml, gpu, name, memory)


def _priced(device: Device, gpu: str) -> Device:
    """With what such a card costs per hour at the median provider, if anybody is known to rent it.

    The wording holds the price's own date and no age: a session's identity must not change by day.
    """
    price = typical_price(gpu)
    if price is None:
        return device
    return device.replace(
        price_per_hour_usd=price.on_demand_usd_per_h,
        price_source=f"{price.provider}: {price.provenance.describe()}",
    )


def _unknown_gpu(nvml: ModuleType, gpu: Any, name: str, memory: int) -> Device:
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(gpu)
    memory_hz = nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_MEM) * 1e6
    core_hz = nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_SM) * 1e6
    float32 = 2.0 * nvml.nvmlDeviceGetNumGpuCores(gpu) * core_hz
    # Data-centre parts (x.0) have tensor cores of 16x float32: A100, H100; others 2x to 8x.
    tensor = float32 * (16 if minor == 0 and major >= 8 else 4)
    narrow = "float16" if major < 8 else "bfloat16"
    return Device(
        name=name,
        kind="cuda",
        memory_bytes=memory,
        bandwidth_bytes_per_s=nvml.nvmlDeviceGetMemoryBusWidth(gpu) / 8 * memory_hz * 2,
        flops_per_s={"float32": float32, narrow: tensor, "int8": 2 * tensor},
        source="оценка по частотам и ширине шины из NVML: устройства нет в knowledge/gpus",
        compute_capability=f"{major}.{minor}",
        power_w=nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000,
    )


def _memory(nvml: ModuleType, gpu: Any) -> Any:
    return nvml.nvmlDeviceGetMemoryInfo(gpu, version=nvml.nvmlMemory_v2)
