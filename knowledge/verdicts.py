"""What holds a step back, read from its measured parts and the device's two ceilings."""

from typing import Literal

from knowledge.quantities import format_number
from knowledge.roofline import Ceiling, decode_step, prefill
from knowledge.types import (
    Device,
    Frozen,
    ModelFacts,
    Part,
    PhaseProfile,
    StepProfile,
)

Bottleneck = Literal["compute", "memory-bandwidth", "scheduler", "host"]

HOST_BOUND_FROM = 0.35
"""Share of the step in which the device waits for the host: then no faster kernel helps much."""
IDLE_FROM = 0.5
_FAR_FROM_CEILING = 0.3
_ABOVE_CEILING = 1.05
_GIGAS_UP_TO = 1e11
PART_NAMES: dict[Part, str] = {
    Part.GEMM: "GEMM",
    Part.ATTENTION: "attention",
    Part.SAMPLING: "sampling",
    Part.COMMUNICATION: "обмен между устройствами",
    Part.OTHER: "прочие ядра",
    Part.HOST_GAP: "ожидание host",
    Part.IDLE: "простой без запросов",
}
BOTTLENECK_NAMES: dict[str, str] = {
    "compute": "вычисления",
    "memory-bandwidth": "пропускная способность памяти",
    "kv-capacity": "место под KV cache",
    "scheduler": "нет работы",
    "host": "host: запуск ядер с CPU",
}
PHASE_NAMES: dict[str, str] = {
    "prefill": "prefill",
    "decode": "decode",
    "mixed": "prefill вместе с decode",
}


class Precision(Frozen):
    """In what the served model keeps its weights and KV cache."""

    weights: str
    kv: str
    compute: str


class PhaseVerdict(Frozen):
    """One phase: what binds it, and the sentences that say so."""

    phase: PhaseProfile
    bottleneck: Bottleneck
    ceiling: Ceiling
    bandwidth_share: float
    """Of the device's bandwidth that the busy time reaches."""
    compute_share: float
    evidence: tuple[str, ...]


def judge_phase(
    phase: PhaseProfile,
    facts: ModelFacts,
    device: Device,
    precision: Precision,
    context_tokens: float,
) -> PhaseVerdict:
    """`context_tokens`: how long the sequences in decode are, on average."""
    ceiling = _ceiling(phase, facts, device, precision, context_tokens)
    busy_s = max(phase.busy_ms, 1e-6) / 1e3
    bandwidth, compute = ceiling.bandwidth_s / busy_s, ceiling.compute_s / busy_s
    bottleneck = _bottleneck(phase, ceiling)
    return PhaseVerdict(
        phase=phase,
        bottleneck=bottleneck,
        ceiling=ceiling,
        bandwidth_share=bandwidth,
        compute_share=compute,
        evidence=(_where(phase), _why(phase, bottleneck, ceiling, device, bandwidth, compute)),
    )


def trust(profile: StepProfile) -> tuple[str, ...]:
    """Whether the parts may be believed: two clocks, and what profiling itself costs."""
    percent = format_number(100 * profile.adds_up, 1)
    said = [
        f"Части шагов дают {format_number(profile.device_ms, 1)} мс, часы host за те же шаги "
        f"{format_number(profile.host_ms, 1)} мс: {percent} %."
    ]
    if profile.client_step_ms and profile.undisturbed_step_ms:
        slower = profile.client_step_ms / profile.undisturbed_step_ms
        said.append(
            "Под профилировщиком пауза между токенами "
            f"{format_number(profile.client_step_ms, 2)} мс, без него "
            f"{format_number(profile.undisturbed_step_ms, 2)} мс: ×{format_number(slower, 2)}."
        )
    return tuple(said)


def _ceiling(
    phase: PhaseProfile,
    facts: ModelFacts,
    device: Device,
    precision: Precision,
    context_tokens: float,
) -> Ceiling:
    if phase.phase == "decode":
        return decode_step(
            facts,
            device,
            max(1, round(phase.sequences)),
            context_tokens,
            precision.weights,
            precision.kv,
            precision.compute,
        )
    tokens = max(1, round(phase.prompt_tokens + phase.sequences))
    return prefill(facts, device, tokens, precision.weights, precision.compute)


def _bottleneck(phase: PhaseProfile, ceiling: Ceiling) -> Bottleneck:
    if phase.share(Part.IDLE) >= IDLE_FROM:
        return "scheduler"
    working = phase.step_ms - phase.parts_ms.get(Part.IDLE, 0.0)
    if working and phase.parts_ms.get(Part.HOST_GAP, 0.0) / working >= HOST_BOUND_FROM:
        return "host"
    return ceiling.bound


def _where(phase: PhaseProfile) -> str:
    parts = sorted(phase.parts_ms.items(), key=lambda item: -item[1])
    shown = ", ".join(
        f"{PART_NAMES[part]} {format_number(ms, 2)} мс ({100 * ms / phase.step_ms:.0f} %)"
        for part, ms in parts
        if ms >= 0.005 * phase.step_ms
    )
    return (
        f"Шаг {PHASE_NAMES[phase.phase]} длится {format_number(phase.step_ms, 2)} мс "
        f"(среднее по {phase.steps}): {shown}."
    )


def _why(
    phase: PhaseProfile,
    bottleneck: Bottleneck,
    ceiling: Ceiling,
    device: Device,
    bandwidth: float,
    compute: float,
) -> str:
    if bottleneck == "scheduler":
        return "Больше половины времени устройству нечего считать: нагрузка меньше, чем оно может."
    if bottleneck == "host":
        waits = phase.parts_ms.get(Part.HOST_GAP, 0.0)
        return (
            f"Устройство ждёт host {format_number(waits, 2)} мс из "
            f"{format_number(phase.step_ms, 2)}, а считает {format_number(phase.busy_ms, 2)} мс: "
            "узкое место — запуск ядер с CPU."
        )
    rate = ceiling.bytes / (phase.busy_ms / 1e3)
    flops = ceiling.flops / (phase.busy_ms / 1e3)
    reached = max(bandwidth, compute)
    far = (
        " Выше потолка не бывает: он измерен, когда машина была занята."
        if reached > _ABOVE_CEILING
        else " До потолка далеко: ядра малы или неудачны для этой формы."
        if reached < _FAR_FROM_CEILING
        else ""
    )
    if bottleneck == "memory-bandwidth":
        return (
            f"За шаг читается не меньше {format_number(ceiling.bytes / 1e9, 2)} ГБ, то есть "
            f"{format_number(rate / 1e9, 0)} ГБ/с: {100 * bandwidth:.0f} % от "
            f"{format_number(device.bandwidth_bytes_per_s / 1e9, 0)} ГБ/с устройства, а вычислений "
            f"лишь {100 * compute:.0f} % от пика. Узкое место — пропускная способность памяти.{far}"
        )
    return (
        f"За шаг {_operations(ceiling.flops)}, то есть {_operations(flops)}/s: "
        f"{100 * compute:.0f} % от пика устройства, а памяти лишь {100 * bandwidth:.0f} %. "
        f"Узкое место — вычисления.{far}"
    )


def _operations(count: float) -> str:
    """On a CPU a step is a few GFLOP, on a GPU some TFLOP."""
    scale, unit = (1e9, "GFLOP") if count < _GIGAS_UP_TO else (1e12, "TFLOP")
    return f"{format_number(count / scale, 2)} {unit}"
