"""A trial: its specification, and everything that was seen while it ran."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from knowledge.types.base import Estimate, Frozen, Interval
from knowledge.types.candidate import Candidate, Change
from knowledge.types.gpu import GpuFingerprint, GpuTelemetry
from knowledge.types.profiling import StepProfile
from knowledge.types.quality import QualityPlan, QualityResult, QualityVerdict
from knowledge.types.task import Metric, ModelSpec, Workload

Purpose = Literal["naive", "baseline", "hypothesis", "repeat", "production"]


class Profile(Frozen):
    """Where the time is expected to go, and what says so."""

    bottleneck: Literal["compute", "memory-bandwidth", "kv-capacity", "scheduler", "host"]
    regime: Literal["prefill", "decode"]
    evidence: tuple[str, ...]
    """Sentences in Russian, each with its figures."""
    ceilings: dict[str, float] = {}
    """Roofline figures by name, units in the name."""
    measured: bool = False
    """Read from a trace of the running engine; else from the roofline alone."""


class Hypothesis(Frozen):
    """A change and what it is expected to do, written down before the run."""

    technique: str
    policy: str
    title: str
    rationale: str
    """Why it should help here: Russian, one or two sentences."""
    change: Change
    candidate: Candidate
    parent: str
    """Content id of the candidate that the change was applied to."""
    metric: Metric
    predicted_speedup: Interval
    """90 % interval of (parent over candidate, or its inverse for rates): above 1 is better."""
    evidence: tuple[str, ...] = ()
    cost_s: float
    """Expected seconds of the trial, artifact included."""
    quality_risk: Literal["none", "low", "medium", "high"] = "none"
    detectable_speedup: float | None = None
    """The least gain that its trial is expected to find, by the noise of the reference."""


class LoadPlan(Frozen):
    """How long a server is measured: rounds of a fixed time after a warm-up.

    Two servers measured in turns may need fewer rounds; `Measurement.rounds` are those there were.
    """

    warmup_s: float = Field(default=5.0, ge=0)
    round_s: float = Field(default=15.0, gt=0)
    rounds: int = Field(default=2, ge=1)
    seed: int = 0
    profile_s: float | None = Field(default=None, gt=0)
    """Seconds of the same load to be traced after the rounds, by engines that have hooks for it."""


class LoadSearch(Frozen):
    """Find the highest load that holds the SLOs, in at most so many short measurements."""

    round_s: float = Field(default=8.0, gt=0)
    points: int = Field(default=6, ge=2)


class WorthChecking(Frozen):
    """Quality is scored, and a round measured to its end, only while the speed could still win:
    saves time on losers."""

    metric: Metric
    at_least: float | None = None
    at_most: float | None = None


class TrialSpec(Frozen):
    """All that a trial depends on. The same spec is the same trial: its id is its content hash."""

    session: str
    ordinal: int = Field(ge=0)
    purpose: Purpose
    candidate: Candidate
    model: ModelSpec
    workload: Workload
    load: LoadPlan
    quality: QualityPlan | None = None
    worth_checking: WorthChecking | None = None
    load_search: LoadSearch | None = None
    """After the measurement; needs SLOs."""
    deadline_s: float = Field(gt=0)

    @property
    def trial_id(self) -> str:
        return f"t{self.ordinal:02d}-{self.content_id(8)}"


class RequestSample(Frozen):
    """One request as the client saw it. Times in seconds from the start of its round."""

    index: int
    round: int
    stream: int
    intended_s: float
    """When it should have been sent (open loop), else when it was."""
    sent_s: float
    first_token_s: float | None = None
    last_token_s: float | None = None
    end_s: float
    asked_input_tokens: int
    asked_output_tokens: int
    input_tokens: int | None = None
    output_tokens: int | None = None
    itl_ms: tuple[float, ...] = ()
    chunk_times_s: tuple[float, ...] = ()
    """When each chunk of text arrived."""
    chunk_tokens: tuple[int, ...] = ()
    """Tokens per chunk; sums to output_tokens."""
    text_sha256: str | None = None
    finish_reason: str | None = None
    error: str | None = None

    @property
    def ok(self) -> bool:
        return self.error is None and self.first_token_s is not None


class Measurement(Frozen):
    """The figures of one server under one workload, from the steady part of every round."""

    metrics: dict[Metric, Estimate]
    rounds: tuple[dict[Metric, float], ...]
    """Point values per round, for paired comparison."""
    window_s: float
    """Seconds of steady state that were measured, all rounds together."""
    requests: int
    failed_requests: int
    client_lag_p99_ms: float | None = None
    """How late the load generator's own loop was; above a few ms the client was measured."""
    machine_speed: tuple[float, ...] = ()
    """A fixed piece of work on the idle machine, before every round and after the last: per second.
    Compare only with itself."""
    ended_early_s: float | None = None
    """So long its only round lasted, when it was ended because it could not win any more."""
    warnings: tuple[str, ...] = ()


class Telemetry(Frozen):
    """Means and peaks of what was sampled beside the load."""

    samples: int
    cpu_percent_mean: float | None = None
    rss_peak_bytes: int | None = None
    gpu_util_percent_mean: float | None = None
    gpu_memory_peak_bytes: int | None = None
    gpu_power_w_mean: float | None = None
    energy_j: float | None = None
    energy_mj_per_token: float | None = None
    """Millijoules per output token, all cards together, idle power included."""
    gpus: tuple[GpuTelemetry, ...] = ()
    warnings: tuple[str, ...] = ()
    """Russian: what makes the figures doubtful, e.g. a card that was held down by its power."""
    engine: dict[str, float] = {}
    """The engine's own counters over the load, e.g. preemptions, prefix_cache_hit_rate."""
    series: dict[str, tuple[tuple[float, float], ...]] = {}
    """Over time: (seconds since the first sample, value) by name, units in the name."""


class Check(Frozen):
    """One integrity check: what was asked, what was seen."""

    name: str
    passed: bool
    asked: str
    seen: str


class IntegrityResult(Frozen):
    """Whether the figures are of what was asked for."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


class Cause(StrEnum):
    """Why an engine did not serve."""

    OUT_OF_MEMORY = "out-of-memory"
    BAD_FLAG = "bad-flag"
    CRASH = "crash"
    TIMEOUT = "timeout"
    SETUP = "setup"
    ARTIFACT = "artifact"
    NO_MEASUREMENT = "no-measurement"
    DECLINED = "declined"
    """A person did not approve of it."""
    LOST = "lost"
    """The machine under it was lost: this says nothing of the candidate."""


class Failure(Frozen):
    """Why a trial has no figures."""

    cause: Cause
    message: str
    log_tail: tuple[str, ...] = ()


class Launch(Frozen):
    """What was started and what it said of itself."""

    argv: tuple[str, ...]
    env: dict[str, str]
    ready_s: float
    engine_version: str
    in_force: dict[str, str]
    """Settings read back from the running engine."""
    ceased_s: float | None = None
    memory_returned: bool | None = None


class TrialResult(Frozen):
    """What a trial saw. Measured, or failed with a cause; never both."""

    spec: TrialSpec
    started_at: datetime
    finished_at: datetime
    launch: Launch | None = None
    measurement: Measurement | None = None
    telemetry: Telemetry | None = None
    profile: StepProfile | None = None
    """Where the time of its steps goes; the engine's default is profiled after its rounds."""
    quality: QualityResult | None = None
    quality_skipped: str | None = None
    integrity: IntegrityResult | None = None
    failure: Failure | None = None
    highest_load: dict[str, float] | None = None
    """Streams or rate that held the SLOs, the limit above it, and the figures there; empty when not
    even the lightest load held them. None: not looked for."""
    machine: tuple[GpuFingerprint, ...] = ()
    """The GPUs as they were before the launch."""
    pair: str | None = None
    """The id of the trial measured in turns with this one, round by round."""

    @property
    def trial_id(self) -> str:
        return self.spec.trial_id

    @property
    def seconds(self) -> float:
        return (self.finished_at - self.started_at).total_seconds()


class Decision(StrEnum):
    """What became of a hypothesis."""

    KEPT = "kept"
    DROPPED = "dropped"
    INCONCLUSIVE = "inconclusive"
    CRASHED = "crashed"


class Verdict(Frozen):
    """What was decided of a hypothesis, and on what grounds."""

    hypothesis: str
    trial_id: str
    reference_trial_id: str
    decision: Decision
    reason: str
    """Russian, one sentence with figures."""
    speedup: Estimate | None = None
    detectable_speedup: float | None = None
    """The least gain that this comparison would have found, by the noise that it saw."""
    prediction_hit: bool | None = None
    slos_met: bool | None = None
    quality: QualityVerdict | None = None


class ProductionTest(Frozen):
    """The winner and the default, both launched from cold and measured in turns."""

    default_trial_id: str
    winner_trial_id: str
    speedup: Estimate
    agrees_with_screening: bool
    screening_trial_id: str
    handed_in: Literal["winner", "default"]
    reason: str
    slos_met: bool
    highest_load: dict[str, float] | None = None
    """Highest load that holds the SLOs, found by bisection, where SLOs were given."""
    stopping: str = ""
    """Russian: after how many rounds in turns it ended and why; empty when not in turns."""
    again: tuple[tuple[str, str], ...] = ()
    """Trials (default, winner) of further launches: `speedup` is of all pairs together."""
    launches: str = ""
    """Russian: how many pairs of launches and why; empty where one pair was all there could be."""


class Event(Frozen):
    """One line of the session's log. The payload is JSON."""

    seq: int
    session: str
    at: datetime
    kind: str
    payload: dict[str, object] = {}
