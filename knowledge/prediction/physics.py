"""Times of one deployment at the roofline, split over its GPUs: what the learned part starts from.

Counts follow knowledge/roofline.py; the split over GPUs follows Megatron-LM (arXiv 1909.08053):
tensor parallelism divides weights and heads and adds two all-reduces a layer, data-parallel
attention copies the attention weights, experts are divided over all GPUs.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

from knowledge.devices import catalog
from knowledge.dtypes import bytes_per_element, canonical_dtype, is_quantized
from knowledge.errors import BadInput
from knowledge.memory import kv_tokens_held, routed_parameters
from knowledge.prediction.types import Layout
from knowledge.roofline import peak_flops
from knowledge.types import Attention, Device, ModelFacts

_PCIE_BYTES_PER_S = 6.4e10
_SCALE_BYTES = 1 / 16  # a scale of one byte for every 16 weights of a 4-bit format
_RESERVE_BYTES = 4e9  # activations, CUDA graphs, NCCL; knowledge/memory.py has the finer account


@dataclass(frozen=True)
class Point:
    """One deployment under one load of so many requests in flight."""

    facts: ModelFacts
    device: Device
    layout: Layout
    engine: str
    weight_dtype: str
    kv_dtype: str
    input_tokens: float
    output_tokens: float
    concurrency: float
    utilization: float = 0.9


@dataclass(frozen=True)
class Terms:
    """Seconds at the ceilings: one decode step, and one prompt."""

    weights_s: float
    kv_s: float
    compute_s: float
    comm_s: float
    prefill_s: float
    prefill_comm_s: float
    interference_s: float
    """Prompt work of other requests that falls on one decode step, by conservation of work."""
    batch: float
    """Requests of one replica."""
    capacity: float
    """Requests whose KV cache fits, over all replicas, with a rough reserve."""


def terms(point: Point) -> Terms:
    """The roofline of a deployment. Raises BadInput for a dtype nobody knows."""
    facts, layout, device = point.facts, point.layout, point.device
    batch = max(1.0, point.concurrency / layout.dp)
    context = point.input_tokens + point.output_tokens / 2
    dense, routed, head = _weights(facts, point.weight_dtype)
    touched = _touched(facts, point.concurrency)
    attention_split = layout.tp * layout.pp
    own_weights = (dense + head) / attention_split + routed / layout.devices
    kv_split = layout.pp * (
        1 if facts.attention is Attention.MLA else min(layout.tp, facts.kv_heads)
    )
    per_token = facts.kv_elements_per_token * bytes_per_element(point.kv_dtype)
    held = kv_tokens_held(facts, context)
    peak, wide = _peak(device, point.weight_dtype), _peak(device, "bfloat16")
    active = facts.active_parameters - facts.embedding_parameters
    link = _link(device)
    width = (
        facts.kv_elements_per_token / facts.layers
        if facts.attention is Attention.MLA
        else facts.head_dim
    )
    per_pair = 4.0 * _kv_layers(facts) * facts.heads / layout.tp
    prompt = point.input_tokens
    linear_s = 2 * active / layout.devices / peak
    prefill_s = (
        linear_s * prompt
        + per_pair * facts.head_dim * prompt * kv_tokens_held(facts, prompt / 2) / wide
    )
    volume = 2 * facts.layers * facts.hidden_size * 2 * 2 * (layout.tp - 1) / layout.tp / link
    room = device.memory_bytes * point.utilization - own_weights - _RESERVE_BYTES
    sequence = per_token * kv_tokens_held(facts, prompt + point.output_tokens) / kv_split
    interference = (
        max(0.0, point.concurrency - 1) / point.output_tokens * (prefill_s + volume * prompt)
    )
    return Terms(
        weights_s=((dense + head) / layout.tp + routed * touched / layout.devices)
        / device.bandwidth_bytes_per_s,
        kv_s=per_token * held * batch / kv_split / device.bandwidth_bytes_per_s,
        compute_s=linear_s * point.concurrency + per_pair * width * held * batch / wide,
        comm_s=volume * batch,
        prefill_s=prefill_s,
        prefill_comm_s=volume * prompt,
        interference_s=interference,
        batch=batch,
        capacity=max(room, 1e9) / max(1.0, sequence) * layout.dp,
    )


def _weights(facts: ModelFacts, dtype: str) -> tuple[float, float, float]:
    """Bytes of the layers without routed experts, of those experts, and of the head."""
    routed = routed_parameters(facts)
    embedding = facts.embedding_parameters
    dense = facts.parameters - routed - embedding * (1 if facts.tied_embeddings else 2)
    size = _size(dtype)
    # Checkpoints in 4 bits quantize the experts and leave the rest (gpt-oss, Kimi-K2).
    dense_size = max(size, 1.0) if facts.experts else size
    return dense * dense_size, routed * size, embedding * 2.0


def _size(dtype: str) -> float:
    size = bytes_per_element(dtype)
    return size + _SCALE_BYTES if is_quantized(dtype) and size < 1 else size


def _touched(facts: ModelFacts, tokens: float) -> float:
    """Share of the experts that so many tokens reach, under uniform routing."""
    if not facts.experts:
        return 1.0
    return 1.0 - float((1 - facts.experts_per_token / facts.experts) ** tokens)


def _kv_layers(facts: ModelFacts) -> float:
    """Layers with an attention of growing cost; linear attention has none."""
    if facts.attention is Attention.MLA:
        return facts.layers
    return facts.kv_elements_per_token / (2 * facts.kv_heads * facts.head_dim)


def _peak(device: Device, weight_dtype: str) -> float:
    """Ceiling of the matrix products: 4-bit integers are unpacked to 16 bits before them."""
    name = canonical_dtype(weight_dtype)
    try:
        return peak_flops(device, "bfloat16" if name == "int4" else name)
    except BadInput:
        return max(device.flops_per_s.values())


@lru_cache(maxsize=256)
def _link_by_name(name: str) -> float:
    """Bytes per second in one direction."""
    found = [entry.link_bytes_per_s for entry in catalog("gpu") if entry.name == name]
    return found[0] / 2 if found and found[0] else _PCIE_BYTES_PER_S / 2


def _link(device: Device) -> float:
    return _link_by_name(device.name)


def log(value: float) -> float:
    """A logarithm that lives with zero."""
    return math.log(max(value, 1e-9))
