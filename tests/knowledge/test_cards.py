import re
from pathlib import Path

import pytest
import yaml

from knowledge.cards import TechniqueCard, applies, expand, load_cards
from knowledge.errors import BadInput
from knowledge.types import Artifact, Change

CARDS = load_cards()
CARD = {
    "name": "sample",
    "title": "Пример",
    "text": "Что делает.",
    "topics": ["cpu"],
    "applies": "hardware.cores > 1",
    "changes": [
        {
            "engine": "vllm",
            "label": "потоки 0-${hardware.cores - 1}",
            "env": {"BIND": "0-${hardware.cores - 1}", "SPACE": "${hardware.cores}"},
            "flags": {"max-num-seqs": "${hardware.cores * 2}", "dtype": None},
        },
        {
            "engine": "vllm",
            "label": "W8A8",
            "applies": "hardware.cores > 100",
            "artifact": {"quantizer": "q", "scheme": "w8a8", "options": {"n": "${hardware.cores}"}},
        },
        {"engine": "sglang", "label": "другой", "flags": {"x": 1}},
    ],
    "effects": [{"regime": "any", "metric": "throughput", "low": 1.0, "high": 1.2}],
    "quality_risk": "none",
    "sources": [{"title": "doc", "date": "2026-11-23"}],
}


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_card_is_written_for_russian_readers(card):
    assert re.search("[а-я]", card.title)
    assert re.search("[а-я]", card.text)


def test_the_cards_are_found_by_file_name():
    names = [card.name for card in CARDS]
    assert names == sorted(names)
    assert {"dtype-bfloat16", "max-num-seqs"} <= set(names)


def test_expand_evaluates_templates_and_picks_the_engine():
    card = TechniqueCard.model_validate(CARD)
    expanded = expand(card, {"engine": "vllm", "hardware": {"cores": 8}})
    assert expanded == [
        (
            "потоки 0-7",
            Change(flags={"max-num-seqs": 16, "dtype": None}, env={"BIND": "0-7", "SPACE": "8"}),
        )
    ]


def test_variants_have_conditions_of_their_own():
    card = TechniqueCard.model_validate(CARD)
    expanded = expand(card, {"engine": "vllm", "hardware": {"cores": 128}})
    assert expanded[1] == (
        "W8A8",
        Change(artifact=Artifact(quantizer="q", scheme="w8a8", options={"n": 128})),
    )


def test_a_card_that_does_not_apply_offers_nothing():
    card = TechniqueCard.model_validate(CARD)
    assert expand(card, {"engine": "vllm", "hardware": {"cores": 1}}) == []
    assert expand(card, {"engine": "tgi", "hardware": {"cores": 8}}) == []


def test_bfloat16_is_offered_where_it_runs_fast_and_is_not_set():
    card = next(card for card in CARDS if card.name == "dtype-bfloat16")
    facts = {
        "engine": "sim",
        "engine_flags": {"dtype"},
        "flags": {},
        "model": {"dtype": "float32", "quantization": None},
        "device": {"kind": "cpu"},
        "isa": ("avx512_bf16",),
    }
    assert [change.flags for _, change in expand(card, facts)] == [{"dtype": "bfloat16"}]
    assert expand(card, facts | {"isa": ("avx2",)}) == []
    assert expand(card, facts | {"flags": {"dtype": "half"}}) == []
    assert expand(card, facts | {"engine_flags": set()}) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "other"}, "не совпадает"),
        ({"applies": "hardware.cores >"}, "invalid syntax"),
        ({"applies": "open('x')"}, "not allowed"),
        ({"conflicts": ["no-such-card"]}, "no-such-card"),
        ({"unknown_key": 1}, "unknown_key"),
        ({"effects": [{"regime": "any", "metric": "ttft", "low": 2, "high": 1}]}, "upside down"),
        ({"changes": [{"engine": "vllm", "label": "пусто"}]}, "changes nothing"),
        ({"changes": [{"engine": "vllm", "label": "x", "flags": {"a": "${1 +}"}}]}, "syntax"),
    ],
)
def test_a_broken_card_is_named_with_its_reason(tmp_path: Path, change, reason):
    text = yaml.safe_dump(CARD | change, allow_unicode=True)
    (tmp_path / "sample.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=r"sample\.yaml") as caught:
        load_cards(tmp_path)
    assert reason in caught.value.message
    assert "\n" not in caught.value.message


def test_yaml_that_does_not_parse_is_named(tmp_path: Path):
    (tmp_path / "bad.yaml").write_text("name: [", encoding="utf-8")
    with pytest.raises(BadInput, match=r"bad\.yaml"):
        load_cards(tmp_path)


TOPICS_OF_THE_FIELD = {
    "ptq",
    "fp8-weights",
    "w8a8",
    "w8a8-gptq",
    "w4a16-gptq",
    "dtype-float16",
    "dtype-bfloat16",
    "awq",
    "gguf",
    "smoothquant",
    "bitsandbytes",
    "pruning-structured",
    "pruning-unstructured",
    "pruning-magnitude",
    "pruning-iterative",
    "lottery-ticket",
    "distillation-response",
    "distillation-features",
    "lora-inference",
    "tensor-decomposition",
    "weight-factorization",
    "flash-attention",
    "multi-query-attention",
    "grouped-query-attention",
    "sliding-window",
    "mla",
    "paged-attention",
    "continuous-batching",
    "dynamic-batching",
    "prefix-caching",
    "chunked-prefill",
    "speculation-ngram",
    "speculation-draft",
    "speculation-eagle",
    "speculation-mtp",
    "multi-lora",
    "disaggregation",
    "kv-cache-fp8",
    "kv-offload",
    "tensorrt-llm",
    "tgi",
    "triton",
    "sglang",
    "llama-cpp",
    "onnx-runtime",
    "tensor-parallel",
    "pipeline-parallel",
    "data-parallel",
    "expert-parallel",
    "cpu-offload",
    "gpu-choice",
    "streaming-sse",
    "request-coalescing",
    "priority-queue",
    "load-balancing",
    "timeouts",
    "circuit-breaker",
    "retries-backoff",
    "graceful-degradation",
    "warm-up",
    "safetensors",
    "out-of-memory",
    "memory-leaks",
    "spot-instances",
    "routing-complexity",
    "semantic-cache",
    "model-size",
    "monitoring",
    "alerts",
}


def test_the_field_is_covered():
    assert {card.name for card in CARDS} >= TOPICS_OF_THE_FIELD


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_card_says_when_how_and_how_to_check(card):
    for text in (card.text, card.helps, card.hurts, card.check):
        assert len(text) > 25
        assert re.search("[а-я]", text)
    assert card.how
    assert len(card.keywords) >= 3
    assert card.sources
    for source in card.sources:
        assert source.checked or "по памяти" in source.note


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_effects_are_told_once_and_what_is_measured_says_where(card):
    told = [(effect.regime, effect.metric, effect.case) for effect in card.effects]
    assert len(told) == len(set(told))
    for effect in card.effects:
        assert effect.basis == "estimated" or effect.note


def test_the_loop_is_offered_nothing_but_what_it_can_apply():
    for card in CARDS:
        if card.kind not in ("engine", "artifact"):  # but for a move to the engine it is about
            assert all(variant.swaps for variant in card.changes)
    practice = TechniqueCard.model_validate(CARD | {"changes": [], "kind": "deployment"})
    assert expand(practice, {"engine": "vllm", "hardware": {"cores": 8}}) == []
    with pytest.raises(ValueError, match="can't apply"):
        TechniqueCard.model_validate(CARD | {"kind": "deployment"})


def test_a_condition_about_an_unknown_fact_is_undecided():
    card = TechniqueCard.model_validate(CARD)
    assert applies(card, {"hardware": {"cores": 8}}) is True
    assert applies(card, {"hardware": {"cores": 1}}) is False
    assert applies(card, {}) is None


def _vllm_facts(capability: str) -> dict[str, object]:
    return {
        "engine": "vllm",
        "artifact": None,
        "flags": {},
        "model": {"quantization": None},
        "device": {"kind": "cuda", "compute_capability": capability},
    }


@pytest.mark.parametrize(
    ("capability", "offered"),
    [
        ("7.0", set()),
        ("7.5", {"fp8-marlin"}),
        ("8.0", {"fp8-marlin"}),
        ("8.9", {"fp8-weights"}),
        ("9.0", {"fp8-weights"}),
        ("10.0", {"fp8-weights"}),
        ("12.0", {"fp8-weights"}),
    ],
)
def test_fp8_follows_the_hardware(capability, offered):
    cards = [card for card in CARDS if card.name in ("fp8-weights", "fp8-marlin")]
    assert {card.name for card in cards if expand(card, _vllm_facts(capability))} == offered
