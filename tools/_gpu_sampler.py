"""Samples of one GPU beside a load. What the card does not report stays empty."""

from collections import Counter
from types import ModuleType
from typing import Any

from knowledge.types import GpuTelemetry
from tools._nvml import ask

_LIMITS = {
    0x004: "sw_power_cap",
    0x008: "hw_slowdown",
    0x020: "sw_thermal",
    0x040: "hw_thermal",
    0x080: "hw_power_brake",
    0x200: "board_limit",
    0x400: "reliability",
}
"""Bits of nvmlClocksEventReasons that hold a working card's clocks down (nvml.h, CUDA 13)."""
LIMIT_NAMES = {
    "sw_power_cap": "упирается в лимит мощности",
    "hw_slowdown": "аппаратное снижение частот",
    "sw_thermal": "перегрев (драйвер)",
    "hw_thermal": "перегрев (аппаратно)",
    "hw_power_brake": "сигнал блока питания",
    "board_limit": "предел платы",
    "reliability": "предел надёжности",
}
_PCIE_EVERY = 10
"""The driver counts PCIe traffic for 20 ms per question."""


class GpuSampler:
    """One card, sampled between `open` and `close`, as often as a load has rounds."""

    def __init__(self) -> None:
        self._nvml: ModuleType | None = None
        self._handle: Any = None
        self._count = 0
        self._values: dict[str, list[float]] = {}
        self._limits: Counter[str] = Counter()
        self._limit_samples = 0
        self._before: dict[str, int] = {}
        self._grown: Counter[str] = Counter()

    def open(self, nvml: ModuleType, handle: Any) -> None:
        """Begin a stretch: counters that only grow are read at both of its ends."""
        self._nvml, self._handle = nvml, handle
        self._before = self._counters()

    def sample(self) -> None:
        nvml, gpu = self._nvml, self._handle
        assert nvml
        memory = ask(nvml, nvml.nvmlDeviceGetMemoryInfo, gpu, version=nvml.nvmlMemory_v2)
        rates = ask(nvml, nvml.nvmlDeviceGetUtilizationRates, gpu)
        self._note("memory", memory.used if memory else None)
        self._note("util", rates.gpu if rates else None)
        self._note("memory_util", rates.memory if rates else None)
        self._note("power_mw", ask(nvml, nvml.nvmlDeviceGetPowerUsage, gpu))
        self._note("sm", ask(nvml, nvml.nvmlDeviceGetClockInfo, gpu, nvml.NVML_CLOCK_SM))
        self._note("mem_clock", ask(nvml, nvml.nvmlDeviceGetClockInfo, gpu, nvml.NVML_CLOCK_MEM))
        sensor = nvml.NVML_TEMPERATURE_GPU
        self._note("celsius", ask(nvml, nvml.nvmlDeviceGetTemperatureV, gpu, sensor))
        self._note_limits(ask(nvml, nvml.nvmlDeviceGetCurrentClocksEventReasons, gpu))
        if self._count % _PCIE_EVERY == 0:
            for name, way in (
                ("tx", nvml.NVML_PCIE_UTIL_TX_BYTES),
                ("rx", nvml.NVML_PCIE_UTIL_RX_BYTES),
            ):
                self._note(f"pcie_{name}", ask(nvml, nvml.nvmlDeviceGetPcieThroughput, gpu, way))
        self._count += 1

    def latest(self) -> dict[str, float]:
        """Of the last sample, what is worth drawing over time."""
        scales = {
            "util": ("util_percent", 1.0),
            "memory": ("memory_bytes", 1.0),
            "power_mw": ("power_w", 1e-3),
            "sm": ("sm_clock_mhz", 1.0),
            "celsius": ("temperature_c", 1.0),
        }
        return {
            title: self._values[name][-1] * scale
            for name, (title, scale) in scales.items()
            if self._values.get(name)
        }

    def close(self) -> None:
        """End the stretch."""
        for name, value in self._counters().items():
            if name in self._before:
                self._grown[name] += value - self._before[name]
        self._nvml = None

    def result(self) -> GpuTelemetry:
        grown = self._grown
        return GpuTelemetry(
            util_percent_mean=self._mean("util"),
            memory_util_percent_mean=self._mean("memory_util"),
            memory_peak_bytes=self._peak("memory"),
            power_w_mean=_scaled(self._mean("power_mw"), 1e-3),
            power_w_peak=_scaled(self._peak("power_mw"), 1e-3),
            energy_j=_scaled(grown.get("energy_mj"), 1e-3),
            sm_clock_mhz_mean=self._mean("sm"),
            sm_clock_mhz_min=int(min(self._values["sm"])) if "sm" in self._values else None,
            memory_clock_mhz_mean=self._mean("mem_clock"),
            temperature_c_peak=self._peak("celsius"),
            limited_by={
                name: count / self._limit_samples for name, count in sorted(self._limits.items())
            },
            pcie_tx_mb_per_s_mean=_scaled(self._mean("pcie_tx"), 1e-3),
            pcie_rx_mb_per_s_mean=_scaled(self._mean("pcie_rx"), 1e-3),
            nvlink_tx_bytes=_bytes(grown.get("nvlink_tx")),
            nvlink_rx_bytes=_bytes(grown.get("nvlink_rx")),
            ecc_uncorrected=grown.get("ecc"),
        )

    def _note(self, name: str, value: float | None) -> None:
        if value is not None:
            self._values.setdefault(name, []).append(value)

    def _note_limits(self, reasons: int | None) -> None:
        if reasons is None:
            return
        self._limit_samples += 1
        self._limits.update(name for bit, name in _LIMITS.items() if reasons & bit)

    def _counters(self) -> dict[str, int]:
        nvml, gpu = self._nvml, self._handle
        assert nvml
        found = {
            "energy_mj": ask(nvml, nvml.nvmlDeviceGetTotalEnergyConsumption, gpu),
            "ecc": ask(
                nvml,
                nvml.nvmlDeviceGetTotalEccErrors,
                gpu,
                nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
                nvml.NVML_VOLATILE_ECC,
            ),
        }
        return {name: int(value) for name, value in found.items() if value is not None} | (
            self._nvlink()
        )

    def _nvlink(self) -> dict[str, int]:
        """KiB over all links since the driver was loaded."""
        nvml = self._nvml
        assert nvml
        fields = {
            "nvlink_tx": nvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX,
            "nvlink_rx": nvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX,
        }
        every_link = 0xFFFFFFFF
        ids = [(field, every_link) for field in fields.values()]
        answers = ask(nvml, nvml.nvmlDeviceGetFieldValues, self._handle, ids)
        return {
            name: int(answer.value.ullVal)
            for name, answer in zip(fields, answers or (), strict=False)
            if answer.nvmlReturn == nvml.NVML_SUCCESS
        }

    def _mean(self, name: str) -> float | None:
        values = self._values.get(name)
        return sum(values) / len(values) if values else None

    def _peak(self, name: str) -> int | None:
        values = self._values.get(name)
        return int(max(values)) if values else None


def held_down(seen: GpuTelemetry, from_share: float = 0.1) -> tuple[str, ...]:
    """Reasons that held the clocks down in a tenth of the samples and more."""
    return tuple(
        f"{LIMIT_NAMES[name]} в {share:.0%} замеров"
        for name, share in seen.limited_by.items()
        if share >= from_share
    )


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _bytes(kib: int | None) -> int | None:
    return None if kib is None else kib * 1024
