"""The three cases of an H100 and a 7B model, with times as they were seen on one."""

import pytest

from knowledge.devices import find_device
from knowledge.model_facts import facts_from_config
from knowledge.types import Part, PhaseProfile, StepProfile
from knowledge.verdicts import Precision, judge_phase, trust

FACTS = facts_from_config(
    {
        "architectures": ["MistralForCausalLM"], "model_type": "mistral", "hidden_size": 4096,
        "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 32768, "dtype": "bfloat16",
        "max_position_embeddings": 32768, "tie_word_embeddings": False,
    }
)  # fmt: skip
H100 = find_device("H100")
BF16 = Precision(weights="bfloat16", kv="bfloat16", compute="bfloat16")


def phase(name: str, gap_ms: float, prompt_tokens: float = 0, **parts: float) -> PhaseProfile:
    known = {Part(key): value for key, value in parts.items()} | {Part.HOST_GAP: gap_ms}
    return PhaseProfile(
        phase=name, steps=50, step_ms=sum(known.values()), parts_ms=known,
        prompt_tokens=prompt_tokens, sequences=0 if prompt_tokens else 1, top=(),
    )  # fmt: skip


def test_decode_of_the_default_is_bound_by_the_memory() -> None:
    found = judge_phase(
        phase("decode", 0.3, gemm=5.4, attention=0.4, other=0.2), FACTS, H100, BF16, 8000
    )
    assert found.bottleneck == "memory-bandwidth"
    assert found.bandwidth_share == pytest.approx(0.75, abs=0.05)
    assert found.compute_share < 0.01
    assert "пропускная способность памяти" in found.evidence[1]


def test_prefill_of_a_long_prompt_is_bound_by_compute() -> None:
    found = judge_phase(
        phase("prefill", 8, 8192, gemm=180, attention=30, other=10), FACTS, H100, BF16, 0
    )
    assert found.bottleneck == "compute"
    assert found.compute_share == pytest.approx(0.55, abs=0.06)
    assert found.bandwidth_share < 0.1


def test_without_graphs_the_host_holds_everything_up() -> None:
    found = judge_phase(phase("decode", 24, gemm=5.4, attention=0.5), FACTS, H100, BF16, 8000)
    assert found.bottleneck == "host"
    assert "24,00 мс из 29,90" in found.evidence[1].replace("\u202f", " ")


def test_a_card_without_requests_waits_for_work() -> None:
    quiet = phase("decode", 0.1, gemm=5.0, idle=20.0)
    assert judge_phase(quiet, FACTS, H100, BF16, 100).bottleneck == "scheduler"


def test_what_profiling_cost_is_said() -> None:
    profile = StepProfile(
        profiler="torch", timeline="kernels", phases=(), device_ms=95, host_ms=100,
        client_step_ms=6.6, undisturbed_step_ms=6.0,
    )  # fmt: skip
    adds_up, cost = trust(profile)
    assert "95,0 %" in adds_up
    assert "×1,10" in cost
