import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.devices import find_device
from knowledge.errors import BadInput
from knowledge.model_facts import facts_from_config
from knowledge.roofline import decode_step, peak_flops, prefill

BF16 = {"weight_dtype": "bfloat16", "compute_dtype": "bfloat16"}


def test_decode_of_llama_on_h100_on_paper(configs):
    facts = facts_from_config(configs["llama-3.1-8b"])
    step = decode_step(facts, find_device("h100"), 1, 1000, kv_dtype="bfloat16", **BF16)
    # All weights but the input embedding, and 1000 tokens of KV.
    read = 2 * (8_030_261_248 - 128256 * 4096) + 1000 * 131072
    assert step.bytes == pytest.approx(read)
    assert step.seconds == pytest.approx(read / 3.35e12)
    assert step.bound == "memory-bandwidth"
    attention = 4 * 32 * 32 * 128 * 1000
    assert step.flops == pytest.approx(2 * (8_030_261_248 - 128256 * 4096) + attention)


def test_prefill_of_llama_on_h100_is_bound_by_compute(configs):
    facts = facts_from_config(configs["llama-3.1-8b"])
    step = prefill(facts, find_device("h100"), 8192, **BF16)
    table = 128256 * 4096
    linear = 2 * (8_030_261_248 - 2 * table) * 8192 + 2 * table
    attention = 4 * 32 * 32 * 128 * 8192 * 8192 / 2
    assert step.flops == pytest.approx(linear + attention)
    assert step.bound == "compute"
    assert step.seconds == pytest.approx(step.flops / 989.4e12)


def test_tied_embeddings_are_read_as_the_head(configs):
    facts = facts_from_config(configs["smollm2-135m"])
    step = decode_step(
        facts, find_device("l4"), 1, 0, weight_dtype="float32", kv_dtype="float32",
        compute_dtype="float32",
    )  # fmt: skip
    assert step.bytes == 4 * 134_515_008


def test_one_token_reads_its_experts_and_a_big_batch_reads_them_all(configs):
    facts = facts_from_config(configs["mixtral-8x7b"])
    device = find_device("h200")
    table = 2 * 32000 * 4096
    one = decode_step(facts, device, 1, 0, kv_dtype="bfloat16", **BF16)
    assert one.bytes == pytest.approx(2 * facts.active_parameters - table)
    many = decode_step(facts, device, 256, 0, kv_dtype="bfloat16", **BF16)
    assert many.bytes == pytest.approx(2 * facts.parameters - table)
    assert many.flops == pytest.approx(256 * one.flops)


def test_a_window_caps_what_decode_reads_and_prefill_computes(configs):
    windowed = facts_from_config(configs["mistral-7b-v0.1"])
    full = facts_from_config(configs["mistral-7b-v0.1"] | {"sliding_window": None})
    device = find_device("a100")
    far = decode_step(windowed, device, 4, 16384, kv_dtype="bfloat16", **BF16)
    near = decode_step(windowed, device, 4, 4096, kv_dtype="bfloat16", **BF16)
    assert far == near
    saved = (
        prefill(full, device, 16384, **BF16).flops - prefill(windowed, device, 16384, **BF16).flops
    )
    # Mean context 8192 without the window, 4096 - 4096²/32768 = 3584 with it.
    assert saved == pytest.approx(4 * 32 * 32 * 128 * (8192 - 3584) * 16384)


def test_latent_attention_reads_576_elements_a_layer(configs):
    facts = facts_from_config(configs["deepseek-v3"])
    device = find_device("h200")
    short = decode_step(facts, device, 1, 0, kv_dtype="bfloat16", **BF16)
    long = decode_step(facts, device, 1, 1000, kv_dtype="bfloat16", **BF16)
    assert long.bytes - short.bytes == pytest.approx(1000 * 61 * 576 * 2)


def test_what_a_device_cannot_compute_runs_wider():
    t4 = find_device("t4")
    assert peak_flops(t4, "bfloat16") == t4.flops_per_s["float32"]
    a100 = find_device("a100")
    assert peak_flops(a100, "fp8") == a100.flops_per_s["bfloat16"]
    assert peak_flops(a100, "w8a8") == a100.flops_per_s["int8"]
    with pytest.raises(BadInput, match="float32"):
        peak_flops(t4.replace(flops_per_s={"int8": 1e12}), "float32")


@given(batch=st.integers(1, 512), context=st.integers(0, 32768))
def test_decode_never_gets_cheaper_with_more_work(batch, context):
    facts = facts_from_config(
        {
            "model_type": "mixtral",
            "hidden_size": 1024,
            "intermediate_size": 2048,
            "num_hidden_layers": 8,
            "num_attention_heads": 16,
            "num_key_value_heads": 4,
            "num_local_experts": 8,
            "num_experts_per_tok": 2,
            "vocab_size": 32000,
        }
    )
    device = find_device("l40s")
    step = decode_step(facts, device, batch, context, kv_dtype="bfloat16", **BF16)
    more = decode_step(facts, device, batch + 1, context + 1, kv_dtype="bfloat16", **BF16)
    assert more.bytes > step.bytes
    assert more.flops > step.flops
    assert step.seconds == max(step.bandwidth_s, step.compute_s)
    smaller = decode_step(
        facts, device, batch, context, weight_dtype="int8", kv_dtype="fp8", compute_dtype="bfloat16"
    )
    assert smaller.bytes < step.bytes
