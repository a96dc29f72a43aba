import pytest

from knowledge.errors import BadInput
from knowledge.known_models import (
    architectures_in,
    find_architecture,
    known_architectures,
    require_architecture,
)

ALL = known_architectures().values()


def test_there_are_enough():
    assert len(ALL) >= 60


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.stem)
def test_our_count_agrees_with_the_published_one(entry):
    ours = entry.facts.parameters + entry.beyond_parameters
    assert ours == pytest.approx(entry.published_parameters, rel=0.012)


@pytest.mark.parametrize(
    "entry", [entry for entry in ALL if entry.published_active], ids=lambda entry: entry.stem
)
def test_active_parameters_agree_with_the_published_ones(entry):
    """Cards round to whole billions, and some leave the embedding out."""
    facts = entry.facts
    assert entry.is_moe
    counts = (facts.active_parameters, facts.active_parameters - facts.embedding_parameters)
    published = entry.published_active
    assert any(count == pytest.approx(published, rel=0.04, abs=0.9e9) for count in counts)


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.stem)
def test_every_model_says_where_it_comes_from(entry):
    assert entry.provenance
    assert entry.licence
    assert "/" in entry.hub
    for name in (entry.stem, entry.hub, entry.title):
        match = find_architecture(name)
        assert entry.stem in (match.found.stem, *match.others)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("70b", "llama-3.3-70b"),
        ("llama 3.1 8b", "llama-3.1-8b"),
        ("Meta-Llama-3.1-70B", "llama-3.1-70b"),
        ("mistral", "mistral-7b"),
        ("мистраль 7b", "mistral-7b"),
        ("qwen2.5-72b", "qwen2.5-72b"),
        ("квен 72б", "qwen2.5-72b"),
        ("deepseek v3", "deepseek-v3"),
        ("дипсик", "deepseek-v3"),
        ("gpt-oss-120b", "gpt-oss-120b"),
        ("13b", "llama-2-13b"),
        ("mixtral 8x7b", "mixtral-8x7b"),
        ("гемма 27b", "gemma-3-27b"),
        ("Qwen/Qwen3-32B", "qwen3-32b"),
        ("yandexgpt", "yandexgpt-5-lite-8b"),
        ("lama 3.1 8b", "llama-3.1-8b"),
    ],
)
def test_models_are_found_by_what_people_call_them(name, stem):
    assert find_architecture(name).found.stem == stem


def test_a_bare_size_tells_what_else_it_may_be():
    match = find_architecture("8b")
    assert match.found.stem == "llama-3.1-8b"
    assert "qwen3-8b" in match.others


def test_models_within_a_sentence():
    found = architectures_in("что быстрее: Llama 3.1 8B или mistral-7b на 4090?")
    assert [mention.match.found.stem for mention in found] == ["llama-3.1-8b", "mistral-7b"]


def test_an_unknown_model_gets_the_nearest():
    with pytest.raises(BadInput, match="qwen") as caught:
        require_architecture("qwen9-999b")
    assert "config.json" in caught.value.hint


def test_facts_of_windows_and_latents():
    models = known_architectures()
    assert models["gpt-oss-120b"].facts.sliding_layers == 18
    assert models["deepseek-v3"].facts.kv_elements_per_token == 61 * 576
    assert models["mistral-7b"].facts.sliding_window is None
    assert models["llama-3.3-70b"].gated
    assert not models["mistral-7b"].gated
