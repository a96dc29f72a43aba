"""What fits: weights, KV cache per token and per sequence, and how many sequences at once."""

import math

from knowledge.dtypes import bytes_per_element, canonical_dtype, is_quantized
from knowledge.types import Attention, Frozen, ModelFacts

_GIB = 2**30
# Bytes of scales for each weight: NVFP4 has one byte for 16, GPTQ and AWQ 2.5 bytes for 128.
_SCALES = {"fp4": 1 / 16, "int4": 2.5 / 128}
# vLLM 0.26 on an H100 80GB, Llama-3.1-8B shape, bf16, its own log (2026-11-23): the driver's
# 79.65 GiB are 79.18 GiB for a process; 0.22 GiB outside torch; CUDA graphs take 0.98 GiB for
# batches up to 256 and 0.18 GiB up to 64.
_HIDDEN_SHARE = 0.006
_OUTSIDE_BYTES = 0.22 * _GIB
_GRAPHS_BYTES = 1.0 * _GIB
_NCCL_BYTES = 0.4 * _GIB
"""Buffers of the collectives where there are several GPUs (AIConfigurator's systems/*.yaml)."""


class MemoryFit(Frozen):
    """Whether a model with its KV cache fits, and what is left."""

    fits: bool
    """Weights, overhead and the KV cache of all asked sequences fit together."""
    weights_bytes: int
    kv_bytes_per_sequence: int
    kv_budget_bytes: int
    """What remains for the KV cache; 0 when the weights alone do not fit."""
    needed_bytes: int
    shortfall_bytes: int
    """How much is missing; 0 when it fits."""
    max_concurrency: int
    """Sequences of the asked length that fit at once."""


def weights_bytes(facts: ModelFacts, dtype: str) -> int:
    """Bytes of the weights in `dtype`.

    Quantizers of 8 bits and fewer leave the embedding and the head in 16 bits.
    """
    size = bytes_per_element(dtype)
    if not is_quantized(dtype):
        return int(facts.parameters * size)
    kept = facts.embedding_parameters * (1 if facts.tied_embeddings else 2)
    return int((facts.parameters - kept) * size + kept * 2)


def kv_bytes_per_token(facts: ModelFacts, kv_dtype: str) -> int:
    """Bytes that one token adds to the KV cache over all layers, before any window closes."""
    return int(facts.kv_elements_per_token * bytes_per_element(kv_dtype))


def kv_tokens_held(facts: ModelFacts, context_tokens: float) -> float:
    """Tokens whose KV a sequence holds, averaged over layers: windowed layers hold the window."""
    if facts.sliding_window is None:
        return context_tokens
    share = facts.sliding_layers / facts.layers
    return (1 - share) * context_tokens + share * min(context_tokens, facts.sliding_window)


def kv_bytes_per_sequence(facts: ModelFacts, kv_dtype: str, context_tokens: float) -> int:
    """Bytes of one sequence's KV cache at this context length."""
    return int(kv_bytes_per_token(facts, kv_dtype) * kv_tokens_held(facts, context_tokens))


def fit(
    facts: ModelFacts,
    *,
    memory_bytes: int,
    weight_dtype: str,
    kv_dtype: str,
    context_tokens: int,
    concurrency: int,
    overhead_bytes: int,
) -> MemoryFit:
    """Weights + overhead + KV of `concurrency` sequences of `context_tokens` against memory."""
    weights = weights_bytes(facts, weight_dtype)
    per_sequence = kv_bytes_per_sequence(facts, kv_dtype, context_tokens)
    budget = max(0, memory_bytes - weights - overhead_bytes)
    needed = weights + overhead_bytes + concurrency * per_sequence
    return MemoryFit(
        fits=needed <= memory_bytes,
        weights_bytes=weights,
        kv_bytes_per_sequence=per_sequence,
        kv_budget_bytes=budget,
        needed_bytes=needed,
        shortfall_bytes=max(0, needed - memory_bytes),
        max_concurrency=budget // max(1, per_sequence),
    )


class EngineMemory(Frozen):
    """One GPU of a deployment as a paged engine (vLLM, SGLang) divides its memory."""

    weights_bytes: int
    activations_bytes: int
    """Peak of the largest step: tokens of one batch through the widest layer, and the logits."""
    outside_bytes: int
    """Context, kernels and buffers of the collectives."""
    graphs_bytes: int
    """CUDA graphs; vLLM takes them beside the share it was given."""
    kv_budget_bytes: int
    """0 when the weights leave nothing."""
    kv_bytes_per_sequence: int
    """Of this GPU's share of the heads and layers."""
    kv_tokens: int
    """Tokens whose KV cache fits on one replica, as the engine's log counts them."""
    max_concurrency: int
    """Sequences of the asked length on one replica."""

    @property
    def fits(self) -> bool:
        """At least one sequence of the asked length."""
        return self.max_concurrency >= 1

    def used_bytes(self, sequences: float) -> float:
        """What so many sequences of a replica need; the engine itself reserves its whole share."""
        fixed = self.weights_bytes + self.activations_bytes + self.outside_bytes
        return fixed + self.graphs_bytes + sequences * self.kv_bytes_per_sequence


def engine_memory(  # noqa: PLR0913
    facts: ModelFacts,
    *,
    memory_bytes: int,
    weight_dtype: str,
    kv_dtype: str,
    context_tokens: int,
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    devices: int = 1,
    utilization: float = 0.9,
    batched_tokens: int = 8192,
    sequences: int = 256,
    graphs: bool = True,
) -> EngineMemory:
    """Memory of one GPU. `devices` share the experts; attention is split by tensor parallelism."""
    weights = served_weights_bytes(
        facts, weight_dtype, split=tensor_parallel * pipeline_parallel, devices=devices
    )
    activations = _activations(facts, tensor_parallel, batched_tokens, sequences)
    outside = _OUTSIDE_BYTES + (_NCCL_BYTES if devices > 1 else 0.0)
    share = memory_bytes * (1 - _HIDDEN_SHARE) * utilization
    budget = max(0, int(share - weights - activations - outside))
    heads = 1 if facts.attention is Attention.MLA else min(tensor_parallel, facts.kv_heads)
    split = heads * pipeline_parallel
    per_token = facts.kv_elements_per_token * bytes_per_element(kv_dtype) / split
    per_sequence = per_token * kv_tokens_held(facts, context_tokens)
    return EngineMemory(
        weights_bytes=int(weights),
        activations_bytes=int(activations),
        outside_bytes=int(outside),
        graphs_bytes=int(_GRAPHS_BYTES * min(sequences, 256) / 256) if graphs else 0,
        kv_budget_bytes=budget,
        kv_bytes_per_sequence=math.ceil(per_sequence),
        kv_tokens=int(budget / max(1.0, per_token)),
        max_concurrency=int(budget // max(1, math.ceil(per_sequence))),
    )


def served_weights_bytes(
    facts: ModelFacts, dtype: str, *, split: int = 1, devices: int = 1
) -> float:
    """Weights on one GPU, with the scales of 4-bit formats.

    Checkpoints in 4 bits of a mixture of experts quantize the experts only (gpt-oss, Kimi-K2).
    """
    size = bytes_per_element(dtype) + _SCALES.get(canonical_dtype(dtype), 0.0)
    kept = facts.embedding_parameters * (1 if facts.tied_embeddings else 2)
    routed = routed_parameters(facts)
    dense = facts.parameters - routed - kept
    dense_size = max(size, 2.0) if facts.experts and size < 1 else size
    kept_size = 2.0 if is_quantized(dtype) else size
    return (dense * dense_size + kept * kept_size) / split + routed * size / max(split, devices)


def routed_parameters(facts: ModelFacts) -> float:
    """Parameters of all routed experts."""
    if not facts.experts or facts.experts == facts.experts_per_token:
        return 0.0
    idle = 1 - facts.experts_per_token / facts.experts
    return (facts.parameters - facts.active_parameters) / idle


def _activations(facts: ModelFacts, split: int, tokens: int, sequences: int) -> float:
    """Bytes at the widest point: gate, up and their product, four vectors of the hidden size."""
    width = 3 * facts.intermediate_size / split + 4 * facts.hidden_size
    if facts.experts:
        width = 4 * facts.hidden_size + facts.experts_per_token * facts.hidden_size
    return tokens * width * 2 + sequences * facts.vocab_size / split * 6
