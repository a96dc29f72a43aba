import re
from pathlib import Path

import pytest
import yaml

from knowledge.cards import TechniqueCard, expand, load_cards
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
