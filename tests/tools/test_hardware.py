import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from tools import _cpu, canary, hardware
from tools._cpu import Ceilings
from tools._nvml import visible_gpus
from tools.home import Home

MEASURED = Ceilings(read_bytes_per_s=5e10, float32_flops_per_s=2e11)


class FakeNvml:
    """The part of NVML that is asked; a handle is the GPU's index."""

    NVML_CLOCK_MEM, NVML_CLOCK_SM, nvmlMemory_v2 = 1, 2, 3  # noqa: N815

    def __init__(self, *names: str) -> None:
        self.names = names

    def __getattr__(self, name: str) -> Any:
        answers = {
            "nvmlDeviceGetCount": lambda: len(self.names),
            "nvmlDeviceGetHandleByIndex": lambda index: index,
            "nvmlDeviceGetName": lambda gpu: self.names[gpu],
            "nvmlDeviceGetUUID": lambda gpu: f"GPU-{gpu}abc",
            "nvmlDeviceGetMemoryInfo": lambda gpu, version: SimpleNamespace(total=8e10, free=7e10),
            "nvmlDeviceGetCudaComputeCapability": lambda gpu: (8, 9),
            "nvmlDeviceGetMaxClockInfo": lambda gpu, clock: {1: 10501, 2: 2520}[clock],
            "nvmlDeviceGetMemoryBusWidth": lambda gpu: 384,
            "nvmlDeviceGetNumGpuCores": lambda gpu: 16384,
            "nvmlDeviceGetEnforcedPowerLimit": lambda gpu: 450_000,
        }
        return answers[name]


def fake(*names: str) -> ModuleType:
    return cast(ModuleType, FakeNvml(*names))


def _say(value: bool) -> Callable[[], bool]:
    return lambda: value


def test_ceilings_are_measured_once_per_machine(tmp_path: Path) -> None:
    calls = []

    def measure(threads: int) -> Ceilings:
        calls.append(threads)
        return MEASURED

    for busy in (True, False, False):
        assert _cpu.ceilings(tmp_path / "hw", measure, _say(busy)) == MEASURED
    assert calls == [_cpu.cores()] * 2, "kept unless the machine was busy"


def test_a_damaged_record_is_measured_again(tmp_path: Path) -> None:
    _cpu.ceilings(tmp_path, lambda _: MEASURED, lambda: False)
    (record,) = tmp_path.iterdir()
    record.write_text('{"read_')
    assert _cpu.ceilings(tmp_path, lambda _: MEASURED, lambda: False) == MEASURED
    assert record.read_text().endswith("}")


def test_the_measurement_gives_rates_of_this_planet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cpu, "_MEASURE_AT_LEAST_S", 0.0)
    monkeypatch.setattr(_cpu, "_SIDES", (256,))
    measured = _cpu.measure_ceilings(1)
    assert 1e8 < measured.read_bytes_per_s < 1e13
    assert 1e8 < measured.float32_flops_per_s < 1e15


def test_narrow_dtypes_follow_the_instruction_sets() -> None:
    plain = hardware.cpu_device(MEASURED, ("avx2",))
    assert plain.flops_per_s == {"float32": 2e11}
    zen4 = hardware.cpu_device(MEASURED, ("avx512f", "avx512_bf16", "avx512_vnni"))
    assert zen4.flops_per_s == {"float32": 2e11, "bfloat16": 4e11, "int8": 8e11}
    amx = hardware.cpu_device(MEASURED, ("avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8"))
    assert amx.flops_per_s["int8"] > amx.flops_per_s["bfloat16"] > 4e11
    assert zen4.measured
    assert "оценка" not in zen4.source


def test_inspect_without_a_gpu_describes_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_cpu, "measure_ceilings", lambda _threads: MEASURED)
    home = Home(data=tmp_path, cache=tmp_path)
    seen = hardware.inspect(home, {"CUDA_VISIBLE_DEVICES": ""})
    assert seen.device.kind == "cpu"
    assert seen.device.bandwidth_bytes_per_s == 5e10
    assert 1 <= seen.cores <= (os.cpu_count() or 1)
    assert 0 < seen.host_memory_bytes <= psutil.virtual_memory().total
    assert 0 < hardware.free_memory_bytes() <= seen.host_memory_bytes
    assert 0 < hardware.free_device_memory_bytes(seen) <= seen.host_memory_bytes


def test_a_known_gpu_has_the_vendors_figures_and_its_own_memory() -> None:
    device = hardware.gpu_device(fake("NVIDIA H100 80GB HBM3"), 0)
    assert device.bandwidth_bytes_per_s == 3.35e12
    assert device.memory_bytes == 80_000_000_000


def test_an_unknown_gpu_is_estimated_and_says_so() -> None:
    device = hardware.gpu_device(fake("NVIDIA GeForce RTX 4090 Z"), 0)
    assert device.bandwidth_bytes_per_s == pytest.approx(1008e9, rel=0.01)  # the 4090's datasheet
    assert device.flops_per_s["float32"] == pytest.approx(82.6e12, rel=0.01)
    assert device.compute_capability == "8.9"
    assert "оценка" in device.source


@pytest.mark.parametrize(
    ("value", "seen"),
    [(None, [0, 1, 2]), ("2,0", [2, 0]), ("", []), ("GPU-1a", [1]), ("-1", []), ("0,9,1", [0])],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(value: str | None, seen: list[int]) -> None:
    environ = {} if value is None else {"CUDA_VISIBLE_DEVICES": value}
    assert visible_gpus(fake("a", "b", "c"), environ) == seen


def test_room_is_told_for_folders_that_do_not_exist_yet(tmp_path: Path) -> None:
    assert hardware.free_disk_bytes(tmp_path / "a" / "b") > 0


def test_the_canary_sings() -> None:
    assert canary.speed() > 0
