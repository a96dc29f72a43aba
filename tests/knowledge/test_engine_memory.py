"""The account of a GPU's memory against what vLLM itself wrote in its log."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.memory import engine_memory, routed_parameters, served_weights_bytes
from knowledge.model_facts import facts_from_config
from knowledge.types import ModelFacts

GIB = 2**30
H100_BYTES = 85_520_809_984  # what the driver reports
WITHIN = 0.05
SHAPES = Path(__file__).parents[2] / "bench" / "shapes"

# vLLM 0.26.0 on one H100 80GB HBM3, Llama-3.1-8B shape, its own log (2026-11-23): "Model loading
# took", "Available KV cache memory", "GPU KV cache size"; 0.92 of the memory, by default.
H100_LOG = [
    # dtype, batched tokens, sequences, weights GiB, KV cache GiB, KV cache tokens
    ("bfloat16", 8192, 256, 15.0, 56.51, 462_944),
    ("fp8", 8192, 256, 8.51, 63.26, 518_240),
    ("bfloat16", 2048, 64, 15.0, 57.37, 470_000),
]
# vLLM 0.32 on a CPU, SmolLM2-135M, VLLM_CPU_KVCACHE_SPACE=4: "CPU KV cache size: 186,368 tokens".
CPU_TOKENS, CPU_SPACE = 186_368, 4 * GIB


def llama(configs: dict[str, dict[str, Any]]) -> ModelFacts:
    return facts_from_config(configs["llama-3.1-8b"])


@pytest.mark.parametrize(
    ("dtype", "batched", "sequences", "weights_gib", "kv_gib", "kv_tokens"), H100_LOG
)
def test_within_five_percent_of_vllm_on_an_h100(
    dtype: str,
    batched: int,
    sequences: int,
    weights_gib: float,
    kv_gib: float,
    kv_tokens: int,
    configs: dict[str, dict[str, Any]],
) -> None:
    found = engine_memory(
        llama(configs), memory_bytes=H100_BYTES, weight_dtype=dtype, kv_dtype="bfloat16",
        context_tokens=16_384, utilization=0.92, batched_tokens=batched, sequences=sequences,
    )  # fmt: skip
    assert found.weights_bytes == pytest.approx(weights_gib * GIB, rel=WITHIN)
    assert found.kv_budget_bytes == pytest.approx(kv_gib * GIB, rel=WITHIN)
    assert found.kv_tokens == pytest.approx(kv_tokens, rel=WITHIN)
    assert found.max_concurrency == pytest.approx(kv_tokens // 16_384, rel=WITHIN)


def test_within_five_percent_on_a_shape_measured_after_the_formula_was_fixed() -> None:
    """Mistral-7B, the same engine and card (2026-11-25): 13.51 GiB, 58.19 GiB, 476,672 tokens."""
    config = json.loads((SHAPES / "mistral-7b-v0.3" / "config.json").read_text())
    found = engine_memory(
        facts_from_config(config), memory_bytes=H100_BYTES, weight_dtype="bfloat16",
        kv_dtype="bfloat16", context_tokens=32_768, utilization=0.92,
    )  # fmt: skip
    assert found.weights_bytes == pytest.approx(13.51 * GIB, rel=WITHIN)
    assert found.kv_budget_bytes == pytest.approx(58.19 * GIB, rel=WITHIN)
    assert found.kv_tokens == pytest.approx(476_672, rel=WITHIN)
    assert found.max_concurrency == 14


def test_the_demo_models_kv_cache_is_exact(configs: dict[str, dict[str, Any]]) -> None:
    facts = facts_from_config(configs["smollm2-135m"])
    per_token = 2 * facts.kv_elements_per_token
    assert CPU_SPACE // per_token // 128 * 128 == CPU_TOKENS


def test_tensor_parallelism_divides_heads_no_further_than_there_are(
    configs: dict[str, dict[str, Any]],
) -> None:
    facts = llama(configs)

    def per_sequence(tp: int) -> int:
        return engine_memory(
            facts, memory_bytes=H100_BYTES, weight_dtype="bfloat16", kv_dtype="bfloat16",
            context_tokens=1024, tensor_parallel=tp, devices=tp,
        ).kv_bytes_per_sequence  # fmt: skip

    assert per_sequence(8) * 8 == per_sequence(1)
    assert per_sequence(16) == per_sequence(8)  # eight KV heads


def test_4_bit_checkpoints_of_experts_keep_the_rest_wide(
    configs: dict[str, dict[str, Any]],
) -> None:
    facts = facts_from_config(configs["mixtral-8x7b"])
    routed = routed_parameters(facts)
    assert 0.9 * facts.parameters < routed < facts.parameters
    four, sixteen = (served_weights_bytes(facts, name) for name in ("int4", "bfloat16"))
    rest = (facts.parameters - routed) * 2
    assert four - rest == pytest.approx(routed * (0.5 + 2.5 / 128))
    assert sixteen == facts.parameters * 2


@given(tp=st.sampled_from([1, 2, 4, 8]), context=st.integers(16, 100_000))
def test_what_is_promised_fits_the_share(tp: int, context: int) -> None:
    facts = facts_from_config(
        {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336,
         "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
         "vocab_size": 128256}
    )  # fmt: skip
    found = engine_memory(
        facts, memory_bytes=H100_BYTES, weight_dtype="fp8", kv_dtype="fp8",
        context_tokens=context, tensor_parallel=tp, devices=tp,
    )  # fmt: skip
    used = found.used_bytes(found.max_concurrency) - found.graphs_bytes
    assert used <= H100_BYTES * 0.9
    assert used + found.kv_bytes_per_sequence > H100_BYTES * 0.9 * 0.99
