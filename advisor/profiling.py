"""A profile before anything runs: two ceilings, and which of them binds."""

from typing import Literal

from knowledge.quantities import format_number
from knowledge.roofline import decode_step, prefill
from knowledge.types import (
    ClosedLoop,
    EngineConfig,
    ModelFacts,
    Profile,
    StepProfile,
    Task,
    TrialResult,
    Workload,
)
from knowledge.verdicts import PhaseVerdict, Precision, judge_phase, trust


def concurrency_of(task: Task) -> int:
    """Requests in flight: asked for in a closed loop, at most the cap (or 8) in an open one."""
    arrival = task.workload.arrival
    if isinstance(arrival, ClosedLoop):
        return arrival.concurrency
    return arrival.max_in_flight or 8


def compute_dtype(task: Task) -> str:
    """What kernels compute in: engines turn float32 into bfloat16 where the device has it."""
    dtype = task.model.facts.dtype
    return "bfloat16" if dtype == "float32" else dtype


def profile_of(task: Task) -> Profile:
    """Time of one request's prefill and decode at the roofline; the longer one names the regime."""
    facts, device, load = task.model.facts, task.hardware.device, task.workload
    streams, dtype = concurrency_of(task), compute_dtype(task)
    context = int(load.input_tokens.mean + load.output_tokens.mean / 2)
    fill = prefill(facts, device, int(load.input_tokens.mean), dtype, dtype)
    step = decode_step(facts, device, streams, context, dtype, dtype, dtype)
    decode_s = step.seconds * load.output_tokens.mean
    prefill_s = fill.seconds * streams
    regime = "prefill" if prefill_s > decode_s else "decode"
    bound = fill.bound if regime == "prefill" else step.bound
    return Profile(
        bottleneck=bound,
        regime=regime,
        evidence=(
            f"Prefill {load.input_tokens.mean:.0f} токенов на потолке устройства: "
            f"{format_number(fill.seconds * 1e3, 1)} мс, ограничен: {_NAMES[fill.bound]}.",
            f"Шаг decode для {streams} потоков на потолке: "
            f"{format_number(step.seconds * 1e3, 2)} мс, "
            f"ограничен: {_NAMES[step.bound]}.",
            f"На волну из {streams} запросов: prefill {format_number(prefill_s, 2)} с, "
            f"decode {format_number(decode_s, 2)} с; "
            f"больше времени берёт {regime}.",
        ),
        ceilings={
            "prefill_ms": fill.seconds * 1e3,
            "decode_step_ms": step.seconds * 1e3,
            "output_tokens_per_s": streams * load.output_tokens.mean / (prefill_s + decode_s),
            "bandwidth_gb_per_s": device.bandwidth_bytes_per_s / 1e9,
        },
    )


def precision_of(facts: ModelFacts, config: EngineConfig) -> Precision:
    """What the flags of a candidate make of the model's own dtype."""
    dtype = str(config.flags.get("dtype", "auto"))
    own = "bfloat16" if facts.dtype == "float32" else facts.dtype
    compute = own if dtype == "auto" else dtype
    weights = str(config.flags.get("quantization") or facts.quantization or compute)
    kv = str(config.flags.get("kv-cache-dtype", "auto"))
    fp8 = weights.startswith("fp8")
    return Precision(
        weights="fp8" if fp8 else weights if weights in ("int8", "w8a8", "w4a16") else compute,
        kv="fp8" if kv.startswith("fp8") else compute,
        compute="fp8" if fp8 else compute,
    )


def judge_steps(
    steps: StepProfile, task: Task, config: EngineConfig, workload: Workload | None = None
) -> tuple[PhaseVerdict, ...]:
    """A verdict for every phase of a trace."""
    load = workload or task.workload
    context = load.input_tokens.mean + load.output_tokens.mean / 2
    facts, device = task.model.facts, task.hardware.device
    precision = precision_of(facts, config)
    return tuple(judge_phase(one, facts, device, precision, context) for one in steps.phases)


def with_steps(first: Profile, task: Task, result: TrialResult) -> Profile:
    """The roofline's profile, corrected by the trace: the phase that takes the most time binds."""
    assert result.profile
    verdicts = judge_steps(result.profile, task, result.spec.candidate.config)
    if not verdicts:
        return first
    ranked = sorted(verdicts, key=lambda one: -one.phase.step_ms * one.phase.steps)
    longest = ranked[0]
    regime: Literal["prefill", "decode"] = (
        "decode" if longest.phase.phase == "decode" else "prefill"
    )
    said = tuple(line for one in ranked for line in one.evidence)
    measured = {f"{one.phase.phase}_step_measured_ms": one.phase.step_ms for one in verdicts}
    return first.replace(
        bottleneck=longest.bottleneck,
        regime=regime,
        evidence=(*said, *trust(result.profile), *first.evidence),
        ceilings=first.ceilings | measured,
        measured=True,
    )


_NAMES = {"compute": "вычисления", "memory-bandwidth": "пропускная способность памяти"}
