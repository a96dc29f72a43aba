"""What an NVIDIA GPU says of itself: who it is, and what it did during a load."""

from knowledge.types.base import Frozen


class GpuProcess(Frozen):
    """A process with memory on the card."""

    pid: int
    name: str
    memory_bytes: int | None = None


class GpuFingerprint(Frozen):
    """The card as a trial found it. Two trials are alike only on cards that are."""

    name: str
    uuid: str
    driver: str
    cuda: str | None = None
    """Highest CUDA version of the driver, e.g. "13.0"."""
    memory_bytes: int
    memory_used_bytes: int | None = None
    """Before anything of ours was started."""
    power_limit_w: float | None = None
    max_sm_clock_mhz: int | None = None
    max_memory_clock_mhz: int | None = None
    pcie: str | None = None
    """Generation and width in use, e.g. "5.0 x16"; idle cards fall back to a lower generation."""
    nvlinks: int = 0
    ecc: bool | None = None
    mig: bool | None = None
    processes: tuple[GpuProcess, ...] = ()
    """Everybody on the card before we came."""


class GpuTelemetry(Frozen):
    """Means and peaks of one card beside a load; None for what it does not report."""

    util_percent_mean: float | None = None
    memory_util_percent_mean: float | None = None
    memory_peak_bytes: int | None = None
    power_w_mean: float | None = None
    power_w_peak: float | None = None
    energy_j: float | None = None
    sm_clock_mhz_mean: float | None = None
    sm_clock_mhz_min: int | None = None
    memory_clock_mhz_mean: float | None = None
    temperature_c_peak: int | None = None
    limited_by: dict[str, float] = {}
    """Share of the samples in which a reason held the clocks down, by the driver's name of it."""
    pcie_tx_mb_per_s_mean: float | None = None
    pcie_rx_mb_per_s_mean: float | None = None
    nvlink_tx_bytes: int | None = None
    nvlink_rx_bytes: int | None = None
    ecc_uncorrected: int | None = None
    """Errors that came up during the load."""
