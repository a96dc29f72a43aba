from knowledge.types import EngineConfig, GpuTelemetry, Telemetry, Workload
from tests.tools.quality.test_integrity import WORKLOAD
from tools.quality.gains import gain_checks

NGRAM = EngineConfig(engine="vllm", flags={"speculative-config": '{"method": "ngram"}'})
PLAIN = EngineConfig(engine="vllm")


def failing(
    workload: Workload = WORKLOAD, config: EngineConfig = PLAIN, **seen: object
) -> list[str]:
    telemetry = Telemetry.model_validate({"samples": 10} | seen)
    checks = gain_checks(workload, config, telemetry)
    return [c.name.split("(")[1].rstrip(")") for c in checks if not c.passed]


def hits(rate: float) -> dict[str, float]:
    return {"prefix_cache_hit_rate": rate}


def test_a_quiet_machine_and_real_text_pass() -> None:
    assert failing(config=NGRAM, engine=hits(0.02)) == []


def test_prompts_that_a_cache_knows_were_not_unseen() -> None:
    assert failing(engine=hits(0.6)) == ["unseen prompts"]


def test_a_shared_beginning_that_was_asked_for_is_no_cheat() -> None:
    shared = WORKLOAD.replace(shared_prefix_tokens=60)
    assert failing(shared, engine=hits(0.6)) == []
    assert failing(shared, engine=hits(0.9)) == ["unseen prompts"]
    assert failing(WORKLOAD.replace(trace_path="t.jsonl"), engine=hits(0.9)) == []


def test_speculation_on_random_tokens_is_no_gain() -> None:
    noise = WORKLOAD.replace(text="random")
    assert failing(noise, NGRAM) == ["natural text"]
    assert failing(noise, PLAIN) == []


def test_a_card_that_was_held_down_is_named() -> None:
    hot = GpuTelemetry(limited_by={"hw_thermal": 0.6, "sw_power_cap": 1.0})
    assert failing(gpus=(hot,)) == ["throttling"]
    busy = GpuTelemetry(limited_by={"hw_thermal": 0.05, "sw_power_cap": 1.0})
    assert failing(gpus=(busy,)) == []


def test_without_telemetry_nothing_is_held_against_it() -> None:
    checks = gain_checks(WORKLOAD, PLAIN, None)
    assert all(check.passed for check in checks)
    assert "не проверено" in checks[0].seen
