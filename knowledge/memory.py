"""What fits: weights, KV cache per token and per sequence, and how many sequences at once."""

from knowledge.dtypes import bytes_per_element, is_quantized
from knowledge.types import Frozen, ModelFacts


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
