"""A change of engine: what it leaves behind, and who is offered it."""

from knowledge.cards import TechniqueCard, expand
from knowledge.types import Artifact, Candidate, Change, EngineConfig

W8A8 = Artifact(quantizer="q", scheme="w8a8")
TUNED = Candidate(
    config=EngineConfig(engine="vllm", flags={"max-num-seqs": 8}, env={"X": "1"}), artifact=W8A8
)
CARD = {
    "name": "sample",
    "title": "Пример",
    "kind": "choice",
    "text": "Что делает.",
    "topics": ["engine"],
    "changes": [{"engine": "llamacpp", "label": "вместо ${engine}", "swaps": True}],
    "effects": [{"regime": "any", "metric": "throughput", "low": 1.0, "high": 1.2}],
    "quality_risk": "low",
    "sources": [{"title": "doc", "date": "2026-11-23"}],
}


def test_flags_variables_and_artifact_stay_with_the_engine_they_are_for() -> None:
    moved = TUNED.apply(Change(engine="llamacpp", flags={"parallel": 8}))
    assert moved == Candidate(config=EngineConfig(engine="llamacpp", flags={"parallel": 8}))
    gguf = Artifact(quantizer="q", scheme="gguf-q8_0")
    assert TUNED.apply(Change(engine="llamacpp", artifact=gguf)).artifact == gguf
    assert TUNED.apply(Change(engine="vllm")) == TUNED
    assert TUNED.apply(Change(flags={"max-num-seqs": None})).artifact == W8A8


def test_values_without_the_new_fields_keep_their_ids() -> None:
    assert "engine" not in Change(flags={"a": 1}).model_dump()
    assert Change(engine="x").model_dump()["engine"] == "x"
    assert Change.model_validate(Change(engine="x").model_dump()) == Change(engine="x")


def test_a_swap_is_offered_where_the_session_may_move_there() -> None:
    card = TechniqueCard.model_validate(CARD)
    facts = {"engine": "vllm", "engines": frozenset({"llamacpp"})}
    assert expand(card, facts) == [("вместо vllm", Change(engine="llamacpp"))]
    assert expand(card, facts | {"engines": frozenset()}) == []
    assert expand(card, {"engine": "vllm"}) == []
    assert expand(card, {"engine": "llamacpp", "engines": frozenset({"llamacpp"})}) == []
