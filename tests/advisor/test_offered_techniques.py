"""What the knowledge policy offers for known hardware: conditions and facts fit together."""

import pytest

from advisor.calibration import calibrate
from advisor.policies.knowledge import POLICY
from advisor.policy.base import View
from advisor.policy.facts import facts_of
from knowledge.cards import expand, load_cards
from knowledge.devices import require_gpu
from knowledge.known_models import require_architecture
from knowledge.types import (
    Budget,
    Candidate,
    ClosedLoop,
    EngineConfig,
    Hardware,
    Lengths,
    Metric,
    ModelSpec,
    Task,
    Workload,
)
from tests.advisor.simulated import HARDWARE
from tools.engines.base import Flag, FlagCatalog
from tools.quantizers import gguf

FLAGS = (
    "async-scheduling",
    "attention-backend",
    "compilation-config",
    "dtype",
    "enable-chunked-prefill",
    "enable-prefix-caching",
    "enforce-eager",
    "gpu-memory-utilization",
    "kv-cache-dtype",
    "kv-offloading-size",
    "max-model-len",
    "max-num-batched-tokens",
    "max-num-seqs",
    "performance-mode",
    "quantization",
    "scheduling-policy",
    "speculative-config",
    "stream-interval",
    "tensor-parallel-size",
)
CATALOG = FlagCatalog(
    engine="vllm", version="test", flags={name: Flag(name=name, kind="str") for name in FLAGS}
)


def _hardware(gpu: str) -> Hardware:
    if gpu == "cpu":
        return HARDWARE
    return HARDWARE.replace(device=require_gpu(gpu).device, host_memory_bytes=256 * 2**30)


def _offered(
    gpu: str, *, shared_prefix: int = 0, seconds: float = 7200, calibration=None
) -> dict[str, object]:
    architecture = require_architecture("llama-3.1-8b")
    facts = architecture.facts
    task = Task(
        model=ModelSpec(
            name=architecture.title,
            path="/nowhere",
            fingerprint="test",
            weights_bytes=2 * facts.parameters,
            facts=facts,
        ),
        hardware=_hardware(gpu),
        workload=Workload(
            name="test",
            arrival=ClosedLoop(concurrency=32),
            input_tokens=Lengths(low=512, high=1024),
            output_tokens=Lengths(low=64, high=256),
            shared_prefix_tokens=shared_prefix,
        ),
        engine="vllm",
        budget=Budget(seconds=seconds),
    )
    base = Candidate(config=EngineConfig(engine="vllm"))
    view = View(
        task=task,
        base=base,
        metric=Metric.OUTPUT_TOKENS_PER_S,
        slos=(),
        facts=facts_of(task, base, CATALOG, None) | {"calibration": calibration},
        regime="decode",
        catalog=CATALOG,
        trials=(),
        tested=(),
        calibration=calibrate(()),
        trial_s=60.0,
        seed=0,
    )
    return {hypothesis.technique: hypothesis for hypothesis in POLICY.ask(view)}


@pytest.mark.parametrize("gpu", ["cpu", "t4", "a100", "h100", "b200", "mi300x"])
def test_only_what_the_loop_can_apply_is_offered(gpu):
    cards = {card.name: card for card in load_cards()}
    offered = _offered(gpu, shared_prefix=2048)
    assert offered
    for name, hypothesis in offered.items():
        assert cards[name].can_be_tried
        assert set(hypothesis.change.flags) <= set(FLAGS)


def test_precision_follows_the_hardware():
    assert "fp8-weights" in _offered("h100")
    assert "fp8-weights" in _offered("b200")
    assert "fp8-weights" not in _offered("a100")
    assert "fp8-marlin" in _offered("a100")
    assert not {"fp8-weights", "fp8-marlin", "w4a16-gptq"} & set(_offered("cpu"))


def test_what_the_engine_does_anyway_is_not_tried():
    offered = _offered("h100", shared_prefix=4096)
    assert not {"prefix-caching", "async-scheduling", "chunked-prefill"} & set(offered)


def test_slow_calibration_needs_the_budget():
    assert "w4a16-gptq" in _offered("h100")
    assert "w4a16-gptq" not in _offered("h100", seconds=600)


def test_calibration_is_on_the_users_own_text_where_there_is_some():
    own = _offered("h100", calibration="ab" * 32)
    assert own["w4a16-gptq"].change.artifact.options["calibration"] == "ab" * 32
    assert "calibration" not in _offered("h100")["w4a16-gptq"].change.artifact.options
    assert "calibration" not in own["w8a8"].change.artifact.options  # it rounds, without text


def test_offloading_the_cache_needs_something_to_share():
    assert "kv-offload" in _offered("h100", shared_prefix=4096)
    assert "kv-offload" not in _offered("h100")


def test_on_an_h100_fp8_is_the_first_hypothesis():
    assert next(iter(_offered("h100"))) == "fp8-weights"


def test_what_is_only_remembered_is_marked_in_the_evidence():
    evidence = _offered("h100")["w4a16-gptq"].evidence
    assert any("по памяти" in source for source in evidence)


def test_llamacpp_is_offered_files_that_can_be_made_and_are_not_served_yet():
    card = next(card for card in load_cards() if card.name == "gguf")

    def labels(served: str | None, architecture: str, **facts) -> list[str]:
        model = {"quantization": None, "dummy_weights": False, "architecture": architecture}
        known = {"engine": "llamacpp", "artifact": served, "model": model | facts}
        return [change.artifact.scheme for _, change in expand(card, known)]

    for architecture in gguf.ARCHITECTURES:
        assert labels(None, architecture) == ["q8_0", "q6_k", "q4_k_m"]
    assert labels("q8_0", "LlamaForCausalLM") == ["q6_k", "q4_k_m"]
    assert labels(None, "GemmaForCausalLM") == []
    assert labels(None, "LlamaForCausalLM", dummy_weights=True) == []
    assert labels(None, "LlamaForCausalLM", quantization="awq") == []
