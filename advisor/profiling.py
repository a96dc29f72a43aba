"""A profile before anything runs: two ceilings, and which of them binds."""

from knowledge.quantities import format_number
from knowledge.roofline import decode_step, prefill
from knowledge.types import ClosedLoop, Profile, Task


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


_NAMES = {"compute": "вычисления", "memory-bandwidth": "пропускная способность памяти"}
