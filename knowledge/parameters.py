"""Counting a decoder's parameters from the shapes that config.json gives."""

from dataclasses import dataclass

from knowledge.config_fields import ConfigFields
from knowledge.families import Family


@dataclass(frozen=True)
class Shape:
    """The dimensions that every count needs, in elements."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    max_position: int
    tied: bool


@dataclass(frozen=True)
class Experts:
    """The mixture-of-experts part; count 0 means a dense model."""

    count: int
    per_token: int
    width: int
    layers: int
    shared_width: int


@dataclass(frozen=True)
class ParameterCount:
    """Elements of all weights, and of those that one token passes through."""

    total: int
    active: int
    embedding: int
    """The input embedding table alone."""


def count_parameters(
    fields: ConfigFields, family: Family, shape: Shape, experts: Experts
) -> ParameterCount:
    """Exact for the usual families, within 0.1 % for the rest (head biases, attention sinks)."""
    norm = shape.hidden * (2 if family.norm_bias else 1)
    embedding = shape.vocab * shape.hidden
    outside = embedding * (1 if shape.tied else 2) + norm
    if family.extra_positions is not None:
        outside += (shape.max_position + family.extra_positions) * shape.hidden
    per_layer = _attention(fields, family, shape) + family.norms_per_layer * norm
    dense_width = fields.optional("intermediate_size_mlp") or shape.intermediate
    dense = (shape.layers - experts.layers) * _mlp(fields, family, shape.hidden, dense_width)
    common = outside + shape.layers * per_layer + dense
    one, fixed = _expert_layer(fields, family, shape, experts)
    common += experts.layers * fixed
    return ParameterCount(
        total=common + experts.layers * experts.count * one,
        active=common + experts.layers * experts.per_token * one,
        embedding=embedding,
    )


def read_experts(fields: ConfigFields, family: Family, layers: int, intermediate: int) -> Experts:
    """The experts of Mixtral, Qwen-MoE, DeepSeek, gpt-oss and Llama 4, under their own names."""
    count = fields.optional("num_local_experts", "n_routed_experts", "num_experts") or 0
    if count <= 1:
        return Experts(count=0, per_token=0, width=0, layers=0, shared_width=0)
    per_token = fields.required("num_experts_per_tok", "num_experts_per_token", "moe_top_k")
    width = fields.optional("moe_intermediate_size") or intermediate
    shared = fields.optional("shared_expert_intermediate_size")
    if shared is None:
        shared = width * (fields.optional("n_shared_experts") or family.shared_experts)
    return Experts(
        count=count,
        per_token=min(per_token, count),
        width=width,
        layers=_expert_layers(fields, layers),
        shared_width=shared,
    )


def _expert_layers(fields: ConfigFields, layers: int) -> int:
    first = fields.optional("first_k_dense_replace") or 0
    step = fields.optional("decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_freq")
    dense = fields.get("mlp_only_layers") or ()
    return sum(
        1
        for layer in range(layers)
        if layer >= first and layer not in dense and (layer + 1) % (step or 1) == 0
    )


def _attention(fields: ConfigFields, family: Family, shape: Shape) -> int:
    if fields.optional("kv_lora_rank"):
        return _latent_attention(fields, shape)
    q_width, kv_width = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    weights = 2 * shape.hidden * q_width + 2 * shape.hidden * kv_width
    all_biased = fields.flag("attention_bias")
    if all_biased or family.qkv_bias or fields.flag("add_qkv_bias"):
        weights += q_width + 2 * kv_width
    if all_biased or family.output_bias:
        weights += shape.hidden
    if family.qk_norm == "head":
        weights += 2 * shape.head_dim
    elif family.qk_norm == "full":
        weights += q_width + kv_width
    return weights


def _latent_attention(fields: ConfigFields, shape: Shape) -> int:
    """Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1)."""
    kv_rank = fields.required("kv_lora_rank")
    rope, nope = fields.required("qk_rope_head_dim"), fields.required("qk_nope_head_dim")
    value = fields.required("v_head_dim", default=shape.head_dim)
    q_rank = fields.optional("q_lora_rank")
    q_width = shape.heads * (nope + rope)
    query = shape.hidden * q_rank + q_rank + q_rank * q_width if q_rank else shape.hidden * q_width
    down = shape.hidden * (kv_rank + rope) + kv_rank
    up = kv_rank * shape.heads * (nope + value)
    return query + down + up + shape.heads * value * shape.hidden


def _mlp(fields: ConfigFields, family: Family, hidden: int, width: int) -> int:
    matrices = 3 if family.gated_mlp else 2
    biased = family.mlp_bias or fields.flag("mlp_bias")
    return matrices * hidden * width + ((matrices - 1) * width + hidden if biased else 0)


def _expert_layer(
    fields: ConfigFields, family: Family, shape: Shape, experts: Experts
) -> tuple[int, int]:
    """Parameters of one routed expert, and of the layer's router and shared experts."""
    if not experts.count:
        return 0, 0
    router = shape.hidden * experts.count + (experts.count if family.mlp_bias else 0)
    shared = 0
    if experts.shared_width:
        shared = _mlp(fields, family, shape.hidden, experts.shared_width)
    if fields.optional("shared_expert_intermediate_size"):
        shared += shape.hidden  # the gate of Qwen2-MoE's shared expert
    return _mlp(fields, family, shape.hidden, experts.width), router + shared
