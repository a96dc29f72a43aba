"""Where the time of an engine's steps goes: what a profiler's trace was reduced to."""

from collections.abc import Callable
from enum import StrEnum
from typing import Literal

from knowledge.types.base import Frozen

PhaseName = Literal["prefill", "decode", "mixed"]


class Part(StrEnum):
    """What the device does, or why it does nothing."""

    GEMM = "gemm"
    ATTENTION = "attention"
    SAMPLING = "sampling"
    COMMUNICATION = "communication"
    OTHER = "other"
    """Norms, activations, copies, quantization."""
    HOST_GAP = "host_gap"
    """The device waits for the host to launch the next kernel."""
    IDLE = "idle"
    """There was no request to work on."""


BUSY = (Part.GEMM, Part.ATTENTION, Part.SAMPLING, Part.COMMUNICATION, Part.OTHER)


class KernelShare(Frozen):
    """One kernel (an operator on a CPU) over all steps of a phase."""

    name: str
    part: Part
    total_ms: float
    calls: int


class PhaseProfile(Frozen):
    """The mean step of one kind. The parts add up to `step_ms`."""

    phase: PhaseName
    """prefill: only new prompts; decode: only tokens after the first; mixed: both."""
    steps: int
    step_ms: float
    parts_ms: dict[Part, float]
    prompt_tokens: float
    """New prompt tokens in a step, on average."""
    sequences: float
    """Sequences that get a next token in a step, on average."""
    top: tuple[KernelShare, ...]

    @property
    def busy_ms(self) -> float:
        return sum(self.parts_ms.get(part, 0.0) for part in BUSY)

    def share(self, *parts: Part) -> float:
        """Of the step's time."""
        return sum(self.parts_ms.get(part, 0.0) for part in parts) / self.step_ms


class StepProfile(Frozen):
    """A reduced trace."""

    profiler: str
    timeline: Literal["kernels", "operators"]
    """kernels: the GPU's own clock; operators: the thread of the CPU that runs the model."""
    phases: tuple[PhaseProfile, ...]
    device_ms: float
    """From the first step to the last on the device's timeline: all parts together."""
    host_ms: float
    """The same steps on the host's clock, from launch to launch: a second opinion."""
    client_step_ms: float | None = None
    """Median gap between tokens as the client saw it during the trace."""
    undisturbed_step_ms: float | None = None
    """The same without a profiler: what profiling itself costs."""

    def phase(self, name: PhaseName) -> PhaseProfile | None:
        return next((phase for phase in self.phases if phase.phase == name), None)

    @property
    def adds_up(self) -> float:
        """Device time over host time of the same steps; 1 when nothing is missing."""
        return self.device_ms / self.host_ms if self.host_ms else 0.0


class KernelPoint(Frozen):
    """All launches of one kernel in a step, as the hardware's counters saw them."""

    name: str
    part: Part
    calls: int
    total_us: float
    dram_bytes: float
    """Read and written."""
    dram_share: float
    """Of the DRAM's peak sustained rate, weighted by time; 1 is the ceiling."""
    sm_share: float
    """Of the busiest unit's peak in the SMs, tensor cores among them."""

    @property
    def bytes_per_s(self) -> float:
        return self.dram_bytes / (self.total_us * 1e-6) if self.total_us else 0.0


class KernelPoints(Frozen):
    """One step of an engine, kernel by kernel, the longest first."""

    profiler: str
    phase: PhaseName
    sequences: int
    tokens: int
    """Of each sequence's prompt."""
    points: tuple[KernelPoint, ...]

    @property
    def total_us(self) -> float:
        return sum(point.total_us for point in self.points)

    def share(self, of: Callable[[KernelPoint], float]) -> float:
        """The mean of a share over the step, weighted by time."""
        return sum(of(one) * one.total_us for one in self.points) / self.total_us
