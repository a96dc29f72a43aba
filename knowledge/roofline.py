"""The least time a step can take: its bytes and FLOPs over the device's two ceilings.

Williams, Waterman, Patterson, "Roofline", CACM 2009; the counts for a decoder follow Pope et al.,
"Efficiently Scaling Transformer Inference", 2022: 2 FLOPs per weight and token, and attention.
"""

from typing import Literal

from knowledge.dtypes import bytes_per_element, canonical_dtype
from knowledge.errors import BadInput
from knowledge.memory import kv_bytes_per_token, kv_tokens_held, weights_bytes
from knowledge.types import Attention, Device, Frozen, ModelFacts

# What runs when the device has no unit for a dtype: the next wider one, after a conversion.
_RUNS_AS = {
    "fp4": "fp8",
    "int4": "bfloat16",
    "fp8": "bfloat16",
    "int8": "bfloat16",
    "float16": "float32",
    "bfloat16": "float32",
    "tf32": "float32",
    "float64": "float32",
}


class Ceiling(Frozen):
    """The roofline of one step, in seconds, bytes and operations."""

    seconds: float
    bytes: float
    flops: float
    bound: Literal["compute", "memory-bandwidth"]
    bandwidth_s: float
    compute_s: float


def prefill(
    facts: ModelFacts, device: Device, tokens: int, weight_dtype: str, compute_dtype: str
) -> Ceiling:
    """One prompt of `tokens` tokens in one step. KV is written in the compute dtype."""
    head = facts.embedding_parameters  # logits are computed for the last token only
    linear = 2.0 * ((_matmul_parameters(facts) - head) * tokens + head)
    attention = _attention_flops(facts, _mean_context(facts, tokens), tokens)
    written = kv_bytes_per_token(facts, compute_dtype) * tokens
    return _ceiling(
        device,
        flops=linear + attention,
        bytes_moved=_weights_read(facts, weight_dtype, tokens) + written,
        compute_dtype=compute_dtype,
    )


def decode_step(
    facts: ModelFacts,
    device: Device,
    batch: int,
    context_tokens: float,
    weight_dtype: str,
    kv_dtype: str,
    compute_dtype: str,
) -> Ceiling:
    """One new token for each of `batch` sequences with `context_tokens` behind them."""
    held = kv_tokens_held(facts, context_tokens)
    flops = 2.0 * _matmul_parameters(facts) * batch + _attention_flops(facts, held, batch)
    kv_read = kv_bytes_per_token(facts, kv_dtype) * held * batch
    return _ceiling(
        device,
        flops=flops,
        bytes_moved=_weights_read(facts, weight_dtype, batch) + kv_read,
        compute_dtype=compute_dtype,
    )


def peak_flops(device: Device, dtype: str) -> float:
    """Operations per second for a dtype, or for what the device runs it as. Raises BadInput."""
    name: str | None = canonical_dtype(dtype)
    while name is not None:
        if name in device.flops_per_s:
            return device.flops_per_s[name]
        name = _RUNS_AS.get(name)
    raise BadInput(
        f"{device.name}: неизвестна производительность для {dtype}",
        f"Известна для: {', '.join(device.flops_per_s)}",
    )


def _mean_context(facts: ModelFacts, tokens: int) -> float:
    """Tokens a prompt's token attends to under the causal mask, over its positions and layers."""
    full = tokens / 2
    window = facts.sliding_window
    if window is None or tokens <= window:
        return full
    share = facts.sliding_layers / facts.layers
    return (1 - share) * full + share * (window - window**2 / (2 * tokens))


def _matmul_parameters(facts: ModelFacts) -> int:
    """Weights one token is multiplied with: the input embedding is a lookup, the head is not."""
    lookup = 0 if facts.tied_embeddings else facts.embedding_parameters
    return facts.active_parameters - lookup


def _weights_read(facts: ModelFacts, dtype: str, tokens: float) -> float:
    """Bytes of weights that `tokens` tokens touch together, under uniform routing."""
    total = weights_bytes(facts, dtype)
    lookup_size = max(2.0, bytes_per_element(dtype))
    lookup = 0.0 if facts.tied_embeddings else facts.embedding_parameters * lookup_size
    if not facts.experts:
        return total - lookup
    inactive = facts.parameters - facts.active_parameters
    idle_share = 1 - facts.experts_per_token / facts.experts
    routed = inactive / idle_share if idle_share else 0.0
    untouched = routed * float(idle_share**tokens)
    return total - lookup - untouched * bytes_per_element(dtype)


def _attention_flops(facts: ModelFacts, context: float, queries: float) -> float:
    """Scores and weighted sum: 4 · heads · width · context for each query and layer."""
    if facts.attention is Attention.MLA:
        # Served with the projections absorbed: every head works on the latent itself.
        width = facts.kv_elements_per_token / facts.layers
    else:
        width = facts.head_dim
    return 4.0 * facts.layers * facts.heads * width * context * queries


def _ceiling(device: Device, *, flops: float, bytes_moved: float, compute_dtype: str) -> Ceiling:
    bandwidth_s = bytes_moved / device.bandwidth_bytes_per_s
    compute_s = flops / peak_flops(device, compute_dtype)
    return Ceiling(
        seconds=max(bandwidth_s, compute_s),
        bytes=bytes_moved,
        flops=flops,
        bound="compute" if compute_s > bandwidth_s else "memory-bandwidth",
        bandwidth_s=bandwidth_s,
        compute_s=compute_s,
    )
