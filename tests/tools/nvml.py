"""A stand-in for the module pynvml with answers of the kind that an H100 gives during decode."""

from types import SimpleNamespace
from typing import Any

import pytest


class NvmlStub:
    """Functions are looked up by name; a handle is the card's index. Energy grows per question."""

    class NVMLError(Exception):
        pass

    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU, nvmlMemory_v2 = 1, 2, 0, 2  # noqa: N815
    NVML_PCIE_UTIL_TX_BYTES, NVML_PCIE_UTIL_RX_BYTES, NVML_NVLINK_MAX_LINKS = 0, 1, 18
    NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC, NVML_SUCCESS = 1, 0, 0
    NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX = 138, 139

    def __init__(self, cards: int = 1, *, driver: bool = True) -> None:
        self.cards, self.driver = cards, driver
        self.energy_mj, self.reasons, self.used = 10_000, 0, 76_000_000_000
        self.processes: list[SimpleNamespace] = []
        self.silent: set[str] = set()
        """Functions that this card or driver does not know."""
        self.open = 0

    def nvmlInit(self) -> None:  # noqa: N802
        if not self.driver:
            raise self.NVMLError("NVML Shared Library Not Found")
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def _energy(self) -> int:
        self.energy_mj += 40_000
        return self.energy_mj

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("nvml"):
            raise AttributeError(name)
        used = {"total": 85_520_809_984, "used": self.used, "free": 85_520_809_984 - self.used}
        links = [
            SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(ullVal=7)),
            SimpleNamespace(nvmlReturn=3, value=SimpleNamespace(ullVal=0)),
        ]
        answers: dict[str, Any] = {
            "nvmlDeviceGetCount": lambda: self.cards,
            "nvmlDeviceGetHandleByIndex": lambda index: index,
            "nvmlDeviceGetName": lambda gpu: "NVIDIA H100 80GB HBM3",
            "nvmlDeviceGetUUID": lambda gpu: f"GPU-{gpu}2d5a7c1",
            "nvmlSystemGetDriverVersion": lambda: "580.159.04",
            "nvmlSystemGetCudaDriverVersion": lambda: 13000,
            "nvmlDeviceGetMemoryInfo": lambda gpu, version: SimpleNamespace(**used),
            "nvmlDeviceGetUtilizationRates": lambda gpu: SimpleNamespace(gpu=98, memory=71),
            "nvmlDeviceGetPowerUsage": lambda gpu: 612_000,
            "nvmlDeviceGetEnforcedPowerLimit": lambda gpu: 700_000,
            "nvmlDeviceGetClockInfo": lambda gpu, kind: {1: 1785, 2: 2619}[kind],
            "nvmlDeviceGetMaxClockInfo": lambda gpu, kind: {1: 1980, 2: 2619}[kind],
            "nvmlDeviceGetTemperatureV": lambda gpu, sensor: 61,
            "nvmlDeviceGetCurrentClocksEventReasons": lambda gpu: self.reasons,
            "nvmlDeviceGetPcieThroughput": lambda gpu, way: [12_000, 48_000][way],
            "nvmlDeviceGetTotalEnergyConsumption": lambda gpu: self._energy(),
            "nvmlDeviceGetTotalEccErrors": lambda gpu, kind, counter: 0,
            "nvmlDeviceGetFieldValues": lambda gpu, fields: links,
            "nvmlDeviceGetCurrPcieLinkGeneration": lambda gpu: 5,
            "nvmlDeviceGetCurrPcieLinkWidth": lambda gpu: 16,
            "nvmlDeviceGetNvLinkState": lambda gpu, link: 1 if link < 18 else None,
            "nvmlDeviceGetEccMode": lambda gpu: [1, 1],
            "nvmlDeviceGetMigMode": lambda gpu: [0, 0],
            "nvmlDeviceGetComputeRunningProcesses": lambda gpu: self.processes,
            "nvmlSystemGetProcessName": lambda pid: "/usr/bin/python3",
        }

        def answer(*args: Any, **options: Any) -> Any:
            if name in self.silent:
                raise self.NVMLError("Not Supported")
            return answers[name](*args, **options)

        return answer


def install(monkeypatch: pytest.MonkeyPatch, stub: NvmlStub) -> NvmlStub:
    """What `import pynvml` gives from now on."""
    import sys

    monkeypatch.setitem(sys.modules, "pynvml", stub)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return stub
