import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.dtypes import bytes_per_element, canonical_dtype, is_quantized
from knowledge.errors import BadInput
from knowledge.memory import fit, kv_bytes_per_sequence, kv_bytes_per_token, weights_bytes
from knowledge.model_facts import facts_from_config

GIB = 1024**3


@pytest.mark.parametrize(
    ("dtype", "size"),
    [("bfloat16", 2), ("torch.float32", 4), ("FP16", 2), ("fp8_e4m3", 1), ("int4", 0.5)],
)
def test_bytes_per_element(dtype, size):
    assert bytes_per_element(dtype) == size


def test_an_unknown_dtype_names_the_nearest():
    with pytest.raises(BadInput, match="bfloat16"):
        canonical_dtype("bfloat61")
    assert is_quantized("w8a8")
    assert not is_quantized("bf16")


def test_llama_on_paper(configs):
    facts = facts_from_config(configs["llama-3.1-8b"])
    assert kv_bytes_per_token(facts, "bfloat16") == 131072
    assert kv_bytes_per_token(facts, "fp8") == 65536
    assert weights_bytes(facts, "bfloat16") == 2 * 8_030_261_248


def test_quantizers_leave_embedding_and_head_in_16_bits(configs):
    untied = facts_from_config(configs["llama-3.1-8b"])
    tables = 2 * 128256 * 4096
    assert weights_bytes(untied, "int8") == (8_030_261_248 - tables) + 2 * tables
    tied = facts_from_config(configs["smollm2-135m"])
    table = 49152 * 576
    assert weights_bytes(tied, "int4") == (134_515_008 - table) / 2 + 2 * table


def test_windowed_layers_hold_only_their_window(configs):
    mistral = facts_from_config(configs["mistral-7b-v0.1"])
    assert kv_bytes_per_sequence(mistral, "bfloat16", 16384) == 131072 * 4096
    gemma = facts_from_config(configs["gemma-2-9b"])
    per_layer = 2 * 8 * 256 * 2
    assert kv_bytes_per_sequence(gemma, "bfloat16", 8192) == per_layer * 21 * (8192 + 4096)


def test_fit_of_llama_on_24_gib(configs):
    facts = facts_from_config(configs["llama-3.1-8b"])
    asked = {
        "memory_bytes": 24 * GIB,
        "weight_dtype": "bfloat16",
        "kv_dtype": "bfloat16",
        "context_tokens": 8192,
        "overhead_bytes": GIB,
    }
    # 24 - 14.96 - 1 = 8.04 GiB for sequences of 1 GiB each.
    eight = fit(facts, **asked, concurrency=8)
    assert eight.fits
    assert eight.max_concurrency == 8
    assert eight.shortfall_bytes == 0
    nine = fit(facts, **asked, concurrency=9)
    assert not nine.fits
    assert nine.shortfall_bytes == nine.needed_bytes - 24 * GIB > 0


def test_weights_that_do_not_fit_leave_no_room_for_kv(configs):
    facts = facts_from_config(configs["mixtral-8x7b"])
    result = fit(
        facts,
        memory_bytes=80 * GIB,
        weight_dtype="bfloat16",
        kv_dtype="bfloat16",
        context_tokens=1024,
        concurrency=1,
        overhead_bytes=0,
    )
    assert (result.fits, result.kv_budget_bytes, result.max_concurrency) == (False, 0, 0)


@given(
    memory=st.integers(0, 200 * GIB), context=st.integers(1, 100_000), streams=st.integers(1, 99)
)
def test_what_is_said_to_fit_does(memory, context, streams):
    facts = facts_from_config(
        {
            "model_type": "llama",
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "vocab_size": 128256,
        }
    )
    result = fit(
        facts,
        memory_bytes=memory,
        weight_dtype="bfloat16",
        kv_dtype="bfloat16",
        context_tokens=context,
        concurrency=streams,
        overhead_bytes=GIB,
    )
    assert result.fits == (streams <= result.max_concurrency)
    assert result.fits == (result.shortfall_bytes == 0)
