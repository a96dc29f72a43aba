"""What the user asks for: model, hardware, workload, objectives, quality floor and budget."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from knowledge.types.base import Frozen, Sparse
from knowledge.types.candidate import Candidate, EngineConfig, FlagValue


class Attention(StrEnum):
    """How many K and V heads there are for the query heads."""

    MHA = "mha"
    GQA = "gqa"
    MQA = "mqa"
    MLA = "mla"


class ModelFacts(Frozen):
    """What config.json says of a model. Sizes in elements, not bytes, unless the name says so."""

    architecture: str
    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    tied_embeddings: bool
    attention: Attention
    parameters: int
    active_parameters: int
    embedding_parameters: int
    kv_elements_per_token: int
    """K and V elements one token adds over all layers; times bytes per element gives bytes."""
    sliding_window: int | None = None
    sliding_layers: int = 0
    """How many layers see only the sliding window."""
    experts: int = 0
    experts_per_token: int = 0
    max_position: int
    dtype: str
    """The checkpoint's own dtype, e.g. "bfloat16"."""
    quantization: str | None = None


class ModelSpec(Sparse):
    """A model on disk that was looked at: a folder an engine can load."""

    _later = frozenset({"gguf"})

    name: str
    path: str
    fingerprint: str
    """Hash of config, tokenizer and weights: two folders with the same one are the same model."""
    weights_bytes: int
    facts: ModelFacts
    dummy_weights: bool = False
    """A shape: config and tokenizer alone. Engines make random weights; speed can be measured,
    quality can't."""
    gguf: str | None = None
    """The .gguf file that the folder was made of, for engines that load such files."""


class Device(Frozen):
    """One accelerator (or the CPU as one) with the two ceilings of the roofline."""

    name: str
    kind: Literal["cpu", "cuda", "rocm", "xpu", "tpu", "metal"]
    memory_bytes: int
    bandwidth_bytes_per_s: float
    """Highest sustained read bandwidth of the memory that holds the weights."""
    flops_per_s: dict[str, float]
    """Dense floating-point (or integer) operations per second by dtype, without sparsity."""
    measured: bool = False
    source: str = ""
    compute_capability: str | None = None
    power_w: float | None = None
    price_per_hour_usd: float | None = None
    price_source: str = ""


class Hardware(Frozen):
    """The machine a session runs on."""

    device: Device
    device_count: int = 1
    cpu_name: str
    cores: int
    numa_nodes: int = 1
    isa: tuple[str, ...] = ()
    """Instruction sets that matter to kernels, e.g. avx512_bf16, amx_bf16, avx512_vnni."""
    host_memory_bytes: int
    software: dict[str, str] = {}
    """Kernel, Python and driver versions."""

    @property
    def machine(self) -> str:
        """What has to be equal for figures to be compared. The name of a virtual CPU says little:
        one cloud gives an "AMD EPYC" with AVX-512 today and one without it, thrice as slow,
        tomorrow."""
        isa = "+".join(self.isa) or "no SIMD"
        return f"{self.device_count} × {self.device.name}, {self.cores} × {self.cpu_name} ({isa})"


class ClosedLoop(Frozen):
    """So many streams, each sends its next request when the last one ended."""

    kind: Literal["closed"] = "closed"
    concurrency: int = Field(ge=1, le=4096)


class Poisson(Frozen):
    """Arrivals with exponential gaps; max_in_flight caps what is open at once (None: no cap)."""

    kind: Literal["poisson"] = "poisson"
    rate_per_s: float = Field(gt=0)
    max_in_flight: int | None = Field(default=None, ge=1)


class Constant(Frozen):
    """Arrivals at even distances."""

    kind: Literal["constant"] = "constant"
    rate_per_s: float = Field(gt=0)
    max_in_flight: int | None = Field(default=None, ge=1)


class Gamma(Frozen):
    """Gaps of a gamma distribution. `burstiness` is its shape, as in vLLM's benchmark: 1 is
    Poisson, less comes in bunches, more is more even; the gaps' variation is 1/sqrt of it."""

    kind: Literal["gamma"] = "gamma"
    rate_per_s: float = Field(gt=0)
    burstiness: float = Field(gt=0)
    max_in_flight: int | None = Field(default=None, ge=1)


class Steps(Frozen):
    """Poisson arrivals at rates that follow each other; each holds for an equal part of a round."""

    kind: Literal["steps"] = "steps"
    rates_per_s: tuple[float, ...] = Field(min_length=1)
    max_in_flight: int | None = Field(default=None, ge=1)

    def model_post_init(self, _context: object) -> None:
        if min(self.rates_per_s) < 0 or not sum(self.rates_per_s):
            raise ValueError(f"rates must not be negative, nor all 0: {self.rates_per_s}")

    @property
    def rate_per_s(self) -> float:
        """The mean."""
        return sum(self.rates_per_s) / len(self.rates_per_s)


class Diurnal(Frozen):
    """Poisson arrivals whose rate swings like a day's, from (1 - swing) to (1 + swing) of the
    mean, beginning at night. A round is one day unless `period_s` says otherwise."""

    kind: Literal["diurnal"] = "diurnal"
    rate_per_s: float = Field(gt=0)
    swing: float = Field(default=0.8, ge=0, le=1)
    period_s: float | None = Field(default=None, gt=0)
    max_in_flight: int | None = Field(default=None, ge=1)


class Phase(Frozen):
    """A part of a round: `burst` requests at once at its start, then arrivals of its own."""

    share: float = Field(gt=0, le=1)
    burst: int = Field(default=0, ge=0)
    arrival: Poisson | Constant | Gamma | None = Field(default=None, discriminator="kind")
    max_in_flight: int | None = Field(default=None, ge=1)


class Phased(Frozen):
    """Different arrivals one after the other; the shares of the round add up to 1."""

    kind: Literal["phased"] = "phased"
    phases: tuple[Phase, ...] = Field(min_length=1)

    def model_post_init(self, _context: object) -> None:
        if abs(sum(phase.share for phase in self.phases) - 1) > 1e-6:
            raise ValueError("the shares of the phases must add up to 1")

    @property
    def rate_per_s(self) -> float:
        """The mean over a round, bursts left out: they do not grow with it."""
        return sum(p.share * p.arrival.rate_per_s for p in self.phases if p.arrival)

    @property
    def max_in_flight(self) -> int | None:
        """The highest of the phases; None when one has no cap."""
        caps = [phase.max_in_flight for phase in self.phases]
        return None if None in caps else max(cap for cap in caps if cap)


OpenLoop = Poisson | Constant | Gamma | Steps | Diurnal | Phased
Arrival = Annotated[ClosedLoop | OpenLoop, Field(discriminator="kind")]


class Lengths(Sparse):
    """Token counts on [low, high]: uniform, or a normal or lognormal cut off at both ends."""

    _later = frozenset({"shape", "typical", "spread"})
    low: int = Field(ge=1)
    high: int = Field(ge=1)
    shape: Literal["uniform", "normal", "lognormal"] = "uniform"
    typical: float | None = Field(default=None, gt=0)
    """Mean of the normal, median of the lognormal; None: the middle of the range."""
    spread: float | None = Field(default=None, gt=0)
    """Standard deviation in tokens, of the logarithm for the lognormal; None: range / 6, or 0.7."""

    def model_post_init(self, _context: object) -> None:
        if self.low > self.high:
            raise ValueError(f"lengths upside down: {self.low} > {self.high}")

    @property
    def mean(self) -> float:
        """Of the uniform; for the others the typical length, which is near enough to plan with."""
        if self.shape != "uniform" and self.typical is not None:
            return min(max(self.typical, self.low), self.high)
        return (self.low + self.high) / 2


class Conversation(Frozen):
    """Several requests that build on each other: each repeats all before it and adds to it."""

    turns: Lengths
    """Requests of one conversation, the first one included."""
    added_tokens: Lengths
    """What each later turn adds: the user's next message, or what a tool gave back."""
    think_s: float = Field(default=0.0, ge=0)
    """Mean of the (exponential) pause before each later turn: reading, or the tool's work."""


class Workload(Sparse):
    """What is sent. Prompts are unique unless shared_prefix_tokens asks for a common start."""

    _later = frozenset({"shared_prefix_share", "shared_prefixes", "conversation"})

    name: str
    arrival: Arrival
    input_tokens: Lengths
    output_tokens: Lengths
    shared_prefix_tokens: int = Field(default=0, ge=0)
    shared_prefix_share: float = Field(default=1.0, ge=0, le=1)
    """Share of the requests that begin with a shared prefix."""
    shared_prefixes: int = Field(default=1, ge=1)
    """How many different shared prefixes there are."""
    conversation: Conversation | None = None
    text: Literal["natural", "random"] = "natural"
    """natural: real English and code; random: random tokens (flatters n-gram speculation)."""
    ignore_eos: bool = True
    trace_path: str | None = None
    """A JSONL file of the user's own requests; its prompts and lengths replace the synthetic."""
    trace_sha256: str | None = None
    note: str = ""


class Metric(StrEnum):
    """Every figure a measurement may hold. The unit is in the name."""

    OUTPUT_TOKENS_PER_S = "output_tokens_per_s"
    REQUESTS_PER_S = "requests_per_s"
    GOODPUT_PER_S = "goodput_per_s"
    TTFT_MEAN_MS = "ttft_mean_ms"
    TTFT_P50_MS = "ttft_p50_ms"
    TTFT_P95_MS = "ttft_p95_ms"
    TTFT_P99_MS = "ttft_p99_ms"
    TPOT_MEAN_MS = "tpot_mean_ms"
    TPOT_P50_MS = "tpot_p50_ms"
    TPOT_P95_MS = "tpot_p95_ms"
    TPOT_P99_MS = "tpot_p99_ms"
    ITL_MEAN_MS = "itl_mean_ms"
    ITL_P50_MS = "itl_p50_ms"
    ITL_P95_MS = "itl_p95_ms"
    ITL_P99_MS = "itl_p99_ms"
    E2E_MEAN_MS = "e2e_mean_ms"
    E2E_P50_MS = "e2e_p50_ms"
    E2E_P95_MS = "e2e_p95_ms"
    E2E_P99_MS = "e2e_p99_ms"
    ERROR_RATE = "error_rate"

    @property
    def higher_is_better(self) -> bool:
        return self.value.endswith("_per_s")


class Slo(Frozen):
    """One promise, e.g. ttft_p95_ms <= 200. Metrics that grow better are bounded from below."""

    metric: Metric
    limit: float

    def met_by(self, value: float) -> bool:
        return value >= self.limit if self.metric.higher_is_better else value <= self.limit

    def violation(self, value: float) -> float:
        """Relative distance to the limit: 0 or below when met, 0.5 when half as much again."""
        if self.metric.higher_is_better:
            return (self.limit - value) / self.limit
        return (value - self.limit) / self.limit if self.limit else value


class Objective(StrEnum):
    """What is made better; the SLOs bound the rest."""

    LATENCY = "latency"
    TTFT = "ttft"
    TPOT = "tpot"
    THROUGHPUT = "throughput"
    COST = "cost"

    @property
    def metric(self) -> Metric:
        """The figure that decides. Medians, since a tail needs more samples than a trial has;
        cost per token is price over throughput, so at a fixed price throughput decides it."""
        return {
            Objective.LATENCY: Metric.E2E_P50_MS,
            Objective.TTFT: Metric.TTFT_P50_MS,
            Objective.TPOT: Metric.TPOT_P50_MS,
            Objective.THROUGHPUT: Metric.OUTPUT_TOKENS_PER_S,
            Objective.COST: Metric.OUTPUT_TOKENS_PER_S,
        }[self]


class Budget(Frozen):
    """The search stops when either is spent; the last trial may overrun the seconds."""

    seconds: float = Field(gt=0)
    trials: int | None = Field(default=None, ge=1)


class QualityFloor(Sparse):
    """How much worse than the engine's default a candidate may score on real text."""

    _later = frozenset({"accuracy_margin"})

    margin_nats_per_token: float = Field(default=0.03, gt=0)
    """Highest tolerated loss of mean token log-probability; 0.03 is 3 % of perplexity. Careful
    8-bit checkpoints of a model of 135M parameters lose 0.02, plainly rounded ones 0.04."""
    accuracy_margin: float = Field(default=0.05, gt=0, lt=1)
    """Highest tolerated loss of accuracy on the user's own questions."""


class TaskFile(Frozen):
    """The user's own questions with right answers, asked of the default and of every candidate."""

    path: str
    sha256: str


class Task(Sparse):
    """Everything a session is about. Two equal tasks have the same id."""

    _later = frozenset({"engines", "tasks"})

    model: ModelSpec
    hardware: Hardware
    workload: Workload
    engine: str
    engines: tuple[str, ...] = ()
    """Other engines that a hypothesis may move to; none where the user named one."""
    flags: dict[str, FlagValue] = {}
    """The user's own flags: part of the default, and no hypothesis changes them."""
    objective: Objective = Objective.LATENCY
    slos: tuple[Slo, ...] = ()
    budget: Budget
    quality_floor: QualityFloor = QualityFloor()
    tasks: TaskFile | None = None
    policy: str = "portfolio"
    seed: int = 0

    @property
    def default(self) -> Candidate:
        """What everything is compared with: the engine as it comes, with the user's own flags."""
        return Candidate(config=EngineConfig(engine=self.engine, flags=self.flags))

    def allows(self, candidate: Candidate) -> bool:
        """The user's own flags stand as they were given."""
        flags = candidate.config.flags
        return all(flags.get(name) == value for name, value in self.flags.items())
