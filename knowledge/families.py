"""What a model family does that its config.json does not say."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Family:
    """Traits of a model_type. The defaults describe Llama and everything built like it."""

    gated_mlp: bool = True
    """Three MLP matrices (gate, up, down) instead of two."""
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    norms_per_layer: int = 2
    norm_bias: bool = False
    qk_norm: Literal["none", "head", "full"] = "none"
    """Norms of Q and K: over one head's width, or over all heads together."""
    tied: bool = False
    """Whether a missing tie_word_embeddings means tied."""
    extra_positions: int | None = None
    """Learned positions have max_position rows and so many more; None: none are learned."""
    window_pattern: int | None = None
    """Every so manyth layer sees everything, the others the sliding window; None: no layer does."""
    window_needs_switch: bool = False
    """sliding_window counts only with use_sliding_window: true."""
    multi_query: bool | None = None
    """The default of the family's own multi_query field; None: the field is not its own."""
    shared_experts: int = 0


_GPT2 = Family(
    gated_mlp=False,
    qkv_bias=True,
    output_bias=True,
    mlp_bias=True,
    norm_bias=True,
    tied=True,
    extra_positions=0,
)

# From transformers 5.23 (models/*/modeling_*.py); counts checked against its meta-device models.
_FAMILIES: dict[str, Family] = {
    "gpt2": _GPT2,
    "gpt_bigcode": Family(
        gated_mlp=False,
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        norm_bias=True,
        tied=True,
        extra_positions=0,
        multi_query=True,
    ),
    "opt": Family(
        gated_mlp=False,
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        norm_bias=True,
        tied=True,
        extra_positions=2,
    ),
    "gpt_neox": Family(
        gated_mlp=False, qkv_bias=True, output_bias=True, mlp_bias=True, norm_bias=True
    ),
    "phi": Family(
        gated_mlp=False,
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        norms_per_layer=1,
        norm_bias=True,
    ),
    "phi3": Family(),
    "phi4": Family(),
    "falcon": Family(
        gated_mlp=False, norms_per_layer=1, norm_bias=True, tied=True, multi_query=True
    ),
    "bloom": Family(
        gated_mlp=False, qkv_bias=True, output_bias=True, mlp_bias=True, norm_bias=True, tied=True
    ),
    "starcoder2": Family(
        gated_mlp=False, qkv_bias=True, output_bias=True, mlp_bias=True, norm_bias=True, tied=True
    ),
    "qwen2": Family(qkv_bias=True, window_needs_switch=True),
    "qwen3": Family(qk_norm="head", window_needs_switch=True),
    "gemma": Family(tied=True),
    "gemma2": Family(norms_per_layer=4, tied=True, window_pattern=2),
    "gemma3": Family(norms_per_layer=4, qk_norm="head", tied=True, window_pattern=6),
    "gpt_oss": Family(qkv_bias=True, output_bias=True, mlp_bias=True, window_pattern=2),
    "cohere": Family(norms_per_layer=1, tied=True),
    "cohere2": Family(norms_per_layer=1, tied=True, window_pattern=4),
    "olmo2": Family(qk_norm="full"),
    "olmo3": Family(qk_norm="full", window_pattern=4),
    "olmoe": Family(qk_norm="full"),
    "llama4": Family(shared_experts=1),
    "chatglm": Family(qkv_bias=True),
}


def family_of(model_type: str) -> Family:
    """Traits by model_type: the longest known name it starts with (qwen3_moe is a qwen3)."""
    known = [name for name in _FAMILIES if model_type == name or model_type.startswith(name)]
    return _FAMILIES[max(known, key=len)] if known else Family()
