"""The ceilings of a setting: what no engine can be faster than."""

from dataclasses import dataclass

from advisor.consultation.calculators.memory import kv_dtype
from advisor.consultation.setting import DTYPES, Setting
from knowledge import roofline
from knowledge.dtypes import canonical_dtype
from knowledge.errors import BadInput


@dataclass(frozen=True)
class Floor:
    """The least TPOT and TTFT by the roofline, in ms, and what binds decode."""

    tpot_ms: float
    ttft_ms: float
    decode_bound: str
    step_bytes: float
    prefill_flops: float


def compute_dtype(setting: Setting) -> str:
    """The arithmetic of the matrix products: 4-bit weights are multiplied in 16 bits."""
    dtype = DTYPES[setting.weights]
    if (
        dtype in ("fp8", "int8")
        and setting.gpu
        and setting.gpu.native("fp8" if dtype == "fp8" else "int8")
    ):
        return dtype
    if setting.weights in ("nvfp4", "mxfp4") and setting.gpu and setting.gpu.native("fp4"):
        return "fp4"
    return "float16" if setting.weights == "fp16" else "bfloat16"


def floor(setting: Setting, concurrency: int | None = None) -> Floor | None:
    """The roofline of a setting; None where the device's rates are unknown."""
    assert setting.gpu is not None
    layout, device, facts = setting.layout, setting.gpu.device, setting.facts
    weights, compute = DTYPES[setting.weights], compute_dtype(setting)
    batch = max(1, round((concurrency or setting.concurrency) / layout.dp))
    context = setting.input_tokens + setting.output_tokens / 2
    try:
        step = roofline.decode_step(
            facts, device, batch, context, weights, kv_dtype(setting), compute
        )
        fill = roofline.prefill(facts, device, setting.input_tokens, weights, compute)
    except BadInput:
        return None
    return Floor(
        tpot_ms=step.seconds * 1e3 / layout.tp,
        ttft_ms=fill.seconds * 1e3 / layout.tp,
        decode_bound=step.bound,
        step_bytes=step.bytes,
        prefill_flops=fill.flops,
    )


def ridge_batch(setting: Setting) -> float | None:
    """The batch from which decode's matrix products are bound by arithmetic, not by memory."""
    assert setting.gpu is not None
    return ridge(
        setting.gpu.device.flops_per_s,
        setting.gpu.device.bandwidth_bytes_per_s,
        setting.weights,
        compute_dtype(setting),
    )


def ridge(flops: dict[str, float], bandwidth: float, weights: str, compute: str) -> float | None:
    """Batch = FLOPs · bytes per weight / (2 · bandwidth): 2 FLOPs for each weight read."""
    from knowledge.dtypes import bytes_per_element

    rate = flops.get(canonical_dtype(compute))
    if rate is None:
        return None
    return rate * bytes_per_element(DTYPES[weights]) / (2 * bandwidth)
