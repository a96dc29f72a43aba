"""What config.json says of a model: sizes, attention, KV cache, experts."""

from collections.abc import Mapping

from knowledge.config_fields import ConfigFields
from knowledge.errors import BadModel
from knowledge.families import Family, family_of
from knowledge.parameters import Shape, count_parameters, read_experts
from knowledge.types import Attention, ModelFacts

_NOT_GENERATIVE = (
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
)
_WITH_KV = ("full_attention", "sliding_attention", "chunked_attention")


def facts_from_config(config: Mapping[str, object]) -> ModelFacts:
    """Facts of the language model (vision and audio towers left out). Raises BadModel."""
    fields = ConfigFields(config)
    architecture = _architecture(fields)
    family = family_of(fields.family)
    shape = _shape(fields, family)
    experts = read_experts(fields, family, shape.layers, shape.intermediate)
    parameters = count_parameters(fields, family, shape, experts)
    window, sliding_layers = _sliding(fields, family, shape)
    return ModelFacts(
        architecture=architecture,
        layers=shape.layers,
        hidden_size=shape.hidden,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        intermediate_size=shape.intermediate,
        vocab_size=shape.vocab,
        tied_embeddings=shape.tied,
        attention=_attention_kind(fields, shape),
        parameters=parameters.total,
        active_parameters=parameters.active,
        embedding_parameters=parameters.embedding,
        kv_elements_per_token=_kv_elements(fields, shape),
        sliding_window=window,
        sliding_layers=sliding_layers,
        experts=experts.count,
        experts_per_token=experts.per_token,
        max_position=shape.max_position,
        dtype=_dtype(fields),
        quantization=_quantization(fields),
    )


def _architecture(fields: ConfigFields) -> str:
    names = fields.strings("architectures")
    architecture = names[0] if names else fields.family
    if not architecture:
        raise BadModel(
            "config.json: нет ни architectures, ни model_type, это не модель",
            "Дайте папку модели в формате Hugging Face",
        )
    if fields.flag("is_encoder_decoder") or architecture.endswith(_NOT_GENERATIVE):
        raise BadModel(
            f"{architecture} не порождает текст слева направо",
            "Нужна модель вида decoder-only, например …ForCausalLM",
        )
    return architecture


def _shape(fields: ConfigFields, family: Family) -> Shape:
    hidden = fields.required("hidden_size", "n_embd", "d_model")
    heads = fields.required("num_attention_heads", "n_head", "n_heads")
    kv_heads = _kv_heads(fields, family, heads)
    if heads % kv_heads:
        raise BadModel(
            f"config.json: num_attention_heads = {heads} не делится на число KV heads = {kv_heads}",
            "Файл повреждён или правлен вручную: возьмите исходный",
        )
    return Shape(
        layers=fields.required("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=_head_dim(fields, hidden, heads),
        intermediate=fields.required(
            "intermediate_size",
            "n_inner",
            "ffn_dim",
            "ffn_hidden_size",
            "moe_intermediate_size",
            default=None if family.gated_mlp else 4 * hidden,
        ),
        vocab=fields.required("vocab_size", "padded_vocab_size"),
        max_position=fields.required(
            "max_position_embeddings", "n_positions", "seq_length", "max_seq_len", default=2048
        ),
        tied=fields.flag("tie_word_embeddings", family.tied),
    )


def _kv_heads(fields: ConfigFields, family: Family, heads: int) -> int:
    # Falcon-7B writes num_kv_heads: 71 beside multi_query: true, and the latter holds.
    if family.multi_query is not None and not fields.flag("new_decoder_architecture"):
        return 1 if fields.flag("multi_query", family.multi_query) else heads
    return fields.required(
        "num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num", default=heads
    )


def _head_dim(fields: ConfigFields, hidden: int, heads: int) -> int:
    if fields.optional("kv_lora_rank"):
        return fields.required("qk_nope_head_dim") + fields.required("qk_rope_head_dim")
    explicit = fields.optional("head_dim", "kv_channels")
    if explicit is None and hidden % heads:
        raise BadModel(
            f"config.json: hidden_size = {hidden} не делится на num_attention_heads = {heads}",
            "Добавьте head_dim или возьмите исходный файл",
        )
    return explicit or hidden // heads


def _attention_kind(fields: ConfigFields, shape: Shape) -> Attention:
    if fields.optional("kv_lora_rank"):
        return Attention.MLA
    if shape.kv_heads == shape.heads:
        return Attention.MHA
    return Attention.MQA if shape.kv_heads == 1 else Attention.GQA


def _kv_elements(fields: ConfigFields, shape: Shape) -> int:
    """Layers with linear attention keep a state of fixed size instead and add nothing."""
    types = fields.strings("layer_types")
    layers = sum(kind in _WITH_KV for kind in types) if types else shape.layers
    rank = fields.optional("kv_lora_rank")
    if rank:
        # The latent vector and the rotary key are shared by all heads (arXiv 2405.04434).
        return layers * (rank + fields.required("qk_rope_head_dim"))
    return layers * 2 * shape.kv_heads * shape.head_dim


def _sliding(fields: ConfigFields, family: Family, shape: Shape) -> tuple[int | None, int]:
    """The window in tokens and how many layers see only it."""
    window = fields.optional("sliding_window", "attention_chunk_size")
    if not window or window >= shape.max_position:
        return None, 0
    types = fields.strings("layer_types")
    if types:
        count = sum(kind in ("sliding_attention", "chunked_attention") for kind in types)
    elif not fields.flag("use_sliding_window", not family.window_needs_switch):
        count = 0
    elif family.window_needs_switch:
        count = max(0, shape.layers - (fields.optional("max_window_layers") or 0))
    else:
        pattern = fields.optional("sliding_window_pattern", "_sliding_window_pattern")
        pattern = pattern or family.window_pattern
        count = shape.layers - (shape.layers // pattern if pattern else 0)
    return (window, count) if count else (None, 0)


def _dtype(fields: ConfigFields) -> str:
    """The checkpoint's dtype; transformers saves float32 when it says nothing."""
    value = fields.get("dtype") or fields.get("torch_dtype") or "float32"
    return str(value).removeprefix("torch.")


def _quantization(fields: ConfigFields) -> str | None:
    """The checkpoint's quantization, e.g. "fp8", "awq-int4", "compressed-tensors-w8a8"."""
    section = fields.section("quantization_config")
    method = section.get("quant_method")
    if not method:
        return None
    if section.get("bits"):
        return f"{method}-int{section['bits']}"
    groups = section.get("config_groups")
    if isinstance(groups, Mapping) and groups:
        first = next(iter(groups.values()))
        weights = (first.get("weights") or {}).get("num_bits")
        inputs = (first.get("input_activations") or {}).get("num_bits", 16)
        if weights:
            return f"{method}-w{weights}a{inputs}"
    return str(method)
