"""The question put to the predictor and its answer."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from knowledge.types import Device, Frozen, ModelFacts


class Provenance(StrEnum):
    """Where a figure comes from. It is never left out of what a user reads."""

    MEASURED_HERE = "measured_here"
    """From trials of this store: the same deployment, or a calibration on it."""
    MEASURED_ELSEWHERE = "measured_elsewhere"
    """Someone else's measurement of the same deployment; the rows are quoted."""
    PREDICTED = "predicted"
    """The model of physics and learned efficiencies; no row of this deployment."""
    COMPUTED = "computed"
    """Arithmetic over the model's config: memory."""

    @property
    def russian(self) -> str:
        return {
            Provenance.MEASURED_HERE: "измерено здесь",
            Provenance.MEASURED_ELSEWHERE: "по чужим замерам",
            Provenance.PREDICTED: "прогноз",
            Provenance.COMPUTED: "расчёт",
        }[self]


class Layout(Frozen):
    """How one deployment is spread over GPUs: tp · pp · dp of them. ep divides the experts."""

    tp: int = Field(default=1, ge=1)
    pp: int = Field(default=1, ge=1)
    dp: int = Field(default=1, ge=1)
    ep: int = Field(default=1, ge=1)

    @property
    def devices(self) -> int:
        return self.tp * self.pp * self.dp


class Load(Frozen):
    """Tokens of a request, and either requests in flight or requests per second."""

    input_tokens: float = Field(gt=0)
    output_tokens: float = Field(ge=1)
    concurrency: float | None = Field(default=None, ge=1)
    rate_per_s: float | None = Field(default=None, gt=0)

    def model_post_init(self, _context: object) -> None:
        if (self.concurrency is None) == (self.rate_per_s is None):
            raise ValueError("give exactly one of concurrency and rate_per_s")


class Query(Frozen):
    """One deployment under one load."""

    facts: ModelFacts
    device: Device
    """One GPU; `layout` says how many."""
    load: Load
    model: str = ""
    """The model's name, to find measurements of it; figures need only the facts."""
    engine: str = "vllm"
    """vllm, sglang or trtllm; others are predicted as vllm with a wider interval."""
    weight_dtype: str = "bfloat16"
    kv_dtype: str = "bfloat16"
    layout: Layout = Layout()
    memory_utilization: float = Field(default=0.9, gt=0, le=1)
    """The share of the GPU's memory that the engine may take."""


class Figure(Frozen):
    """A value with its 90 % interval."""

    value: float
    low: float
    high: float

    def model_post_init(self, _context: object) -> None:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"value {self.value} outside [{self.low}, {self.high}]")

    def scaled(self, factor: float) -> "Figure":
        """The figure in another unit."""
        return Figure(value=self.value * factor, low=self.low * factor, high=self.high * factor)


class Observation(Frozen):
    """One measured point of a deployment: what calibrates the predictor and what is quoted."""

    model: str
    engine: str
    device: str
    """The name in knowledge/gpus."""
    weight_dtype: str
    layout: Layout
    input_tokens: float
    output_tokens: float
    concurrency: float
    ttft_ms: float | None
    tpot_ms: float | None
    source: Literal["here", "elsewhere"]
    reference: str
    """Where it is written: a trial's id, or the file, version and date."""
    measured_on: str = ""
    facts: ModelFacts | None = None
    hardware: Device | None = None
    """The device itself where it is not in the catalog (a CPU that was measured)."""
    kv_dtype: str = ""


class Neighbour(Frozen):
    """A measurement quoted beside a prediction."""

    observation: Observation
    differs_in: tuple[str, ...]
    """What is not as asked, in Russian; empty when it is the very deployment."""
    distance: float


class Prediction(Frozen):
    """What the deployment is expected to do."""

    ttft_ms: Figure
    tpot_ms: Figure
    output_tokens_per_s: Figure
    """Of the whole deployment."""
    concurrency: float
    """Requests in flight it was computed for; from the rate by Little's law if that was given."""
    memory_bytes: Figure
    """Used on each GPU by weights, activations and the KV cache of this load."""
    max_concurrency: Figure
    """Requests of this length whose KV cache fits at once, over all replicas."""
    fits: bool
    """The weights and at least one request fit."""
    saturated: bool = False
    """More is asked than memory or speed allow: requests would queue without end."""
    speed_provenance: Provenance
    memory_provenance: Provenance = Provenance.COMPUTED
    neighbours: tuple[Neighbour, ...] = ()
    notes: tuple[str, ...] = ()
    """Reasons for caution, in Russian: extrapolation, an unknown engine, unknown kernels."""
