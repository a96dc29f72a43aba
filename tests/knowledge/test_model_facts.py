"""Figures on paper: published parameter counts and those of transformers' own meta models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.errors import BadModel
from knowledge.model_facts import facts_from_config
from knowledge.types import Attention


@pytest.mark.parametrize(
    ("name", "parameters", "kv_elements"),
    [
        ("llama-3.1-8b", 8_030_261_248, 2 * 32 * 8 * 128),
        ("mistral-7b-v0.1", 7_241_732_096, 2 * 32 * 8 * 128),
        ("smollm2-135m", 134_515_008, 2 * 30 * 3 * 64),
        ("mixtral-8x7b", 46_702_792_704, 2 * 32 * 8 * 128),
        ("deepseek-v3", 671_026_404_352, 61 * (512 + 64)),
        ("deepseek-v2-lite", 15_706_484_224, 27 * (512 + 64)),
        ("gemma-2-9b", 9_241_705_984, 2 * 42 * 8 * 256),
        ("gemma-3-1b", 999_885_952, 2 * 26 * 1 * 256),
        ("qwen2.5-7b", 7_615_616_512, 2 * 28 * 4 * 128),
        ("qwen3-30b-a3b", 30_532_122_624, 2 * 48 * 4 * 128),
        ("falcon-7b", 6_921_720_704, 2 * 32 * 1 * 64),
        ("gpt2", 124_439_808, 2 * 12 * 12 * 64),
    ],
)
def test_parameters_and_kv_of_known_models(configs, name, parameters, kv_elements):
    facts = facts_from_config(configs[name])
    assert facts.parameters == parameters
    assert facts.kv_elements_per_token == kv_elements


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("mixtral-8x7b", 12.9),
        ("deepseek-v3", 37.6),
        ("qwen3-30b-a3b", 3.35),
        ("deepseek-v2-lite", 2.66),
        ("llama-3.1-8b", 8.03),
    ],
)
def test_active_parameters(configs, name, billions):
    facts = facts_from_config(configs[name])
    assert facts.active_parameters / 1e9 == pytest.approx(billions, rel=0.005)


def test_gpt_oss_counts_expert_biases_and_leaves_only_the_sinks_out(configs):
    facts = facts_from_config(configs["gpt-oss-20b"])
    assert facts.parameters == 20_914_757_184 - 24 * 64
    assert (facts.sliding_window, facts.sliding_layers) == (128, 12)
    assert facts.quantization == "mxfp4"


@pytest.mark.parametrize(
    ("name", "attention"),
    [
        ("gpt2", Attention.MHA),
        ("llama-3.1-8b", Attention.GQA),
        ("falcon-7b", Attention.MQA),
        ("gemma-3-1b", Attention.MQA),
        ("deepseek-v3", Attention.MLA),
    ],
)
def test_attention_kinds(configs, name, attention):
    assert facts_from_config(configs[name]).attention is attention


@pytest.mark.parametrize(
    ("name", "window", "layers"),
    [
        ("mistral-7b-v0.1", 4096, 32),
        ("gemma-2-9b", 4096, 21),
        ("gemma-3-1b", 512, 22),
        ("gemma-3-4b", 1024, 29),
        ("qwen2.5-7b", None, 0),
        ("llama-3.1-8b", None, 0),
    ],
)
def test_sliding_windows(configs, name, window, layers):
    facts = facts_from_config(configs[name])
    assert (facts.sliding_window, facts.sliding_layers) == (window, layers)


def test_a_window_as_long_as_the_context_is_none(configs):
    config = configs["mistral-7b-v0.1"] | {"sliding_window": 32768}
    assert facts_from_config(config).sliding_window is None


def test_qwen_with_its_window_switched_on(configs):
    config = configs["qwen2.5-7b"] | {"use_sliding_window": True, "max_window_layers": 20}
    assert facts_from_config(config).sliding_layers == 8


def test_linear_attention_layers_hold_no_kv(configs):
    types = ["linear_attention", "linear_attention", "linear_attention", "full_attention"] * 8
    facts = facts_from_config(configs["llama-3.1-8b"] | {"layer_types": types})
    assert facts.kv_elements_per_token == 2 * 8 * 8 * 128


def test_nested_text_config_gives_the_language_model(configs):
    facts = facts_from_config(configs["gemma-3-4b"])
    assert facts.architecture == "Gemma3ForConditionalGeneration"
    assert (facts.layers, facts.heads, facts.kv_heads, facts.head_dim) == (34, 8, 4, 256)
    assert facts.vocab_size == 262208
    assert facts.dtype == "bfloat16"
    assert facts.parameters / 1e9 == pytest.approx(3.88, rel=0.005)  # 4.30 with its vision tower


def test_tied_embeddings_are_counted_once(configs):
    config = configs["smollm2-135m"]
    untied = facts_from_config(config | {"tie_word_embeddings": False})
    tied = facts_from_config(config)
    assert untied.parameters - tied.parameters == tied.embedding_parameters == 49152 * 576


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ({"quant_method": "awq", "bits": 4}, "awq-int4"),
        ({"quant_method": "gptq", "bits": 8}, "gptq-int8"),
        ({"quant_method": "fp8"}, "fp8"),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "group_0": {"weights": {"num_bits": 8}, "input_activations": {"num_bits": 8}}
                },
            },
            "compressed-tensors-w8a8",
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "group_0": {"weights": {"num_bits": 4}, "input_activations": None}
                },
            },
            "compressed-tensors-w4a16",
        ),
    ],
)
def test_quantization_is_named(configs, section, name):
    config = configs["llama-3.1-8b"] | {"quantization_config": section}
    assert facts_from_config(config).quantization == name


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"hidden_size": None}, "hidden_size"),
        ({"hidden_size": "4096"}, "hidden_size"),
        ({"hidden_size": True}, "hidden_size"),
        ({"num_hidden_layers": 0}, "num_hidden_layers"),
        ({"num_key_value_heads": 7}, "num_attention_heads"),
        ({"num_attention_heads": 33, "num_key_value_heads": 33}, "hidden_size"),
        ({"intermediate_size": None}, "intermediate_size"),
        ({"architectures": ["BertForMaskedLM"]}, "BertForMaskedLM"),
        ({"is_encoder_decoder": True}, "LlamaForCausalLM"),
    ],
)
def test_a_config_that_cannot_be_used_says_why(configs, change, names):
    with pytest.raises(BadModel, match=names) as caught:
        facts_from_config(configs["llama-3.1-8b"] | change)
    assert caught.value.hint


def test_a_json_object_that_is_no_model():
    with pytest.raises(BadModel, match="model_type"):
        facts_from_config({"name": "left-pad"})


@given(
    layers=st.integers(1, 80),
    kv_heads=st.sampled_from([1, 2, 4, 8]),
    groups=st.sampled_from([1, 2, 4, 8]),
    head_dim=st.sampled_from([64, 128]),
    experts=st.sampled_from([0, 4, 16]),
)
def test_counts_grow_with_the_shape(layers, kv_heads, groups, head_dim, experts):
    heads = kv_heads * groups
    config = {
        "model_type": "llama",
        "hidden_size": heads * head_dim,
        "intermediate_size": 256,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": 1000,
        "num_local_experts": experts,
        "num_experts_per_tok": 2,
    }
    facts = facts_from_config(config)
    deeper = facts_from_config(config | {"num_hidden_layers": layers + 1})
    assert deeper.parameters > facts.parameters
    assert facts.kv_elements_per_token == 2 * layers * kv_heads * head_dim
    assert facts.active_parameters <= facts.parameters
    assert (facts.active_parameters == facts.parameters) == (experts == 0)
