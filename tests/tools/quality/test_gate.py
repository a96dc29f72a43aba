"""The whole gate against served models with one fault each: every fault is caught and named."""

from typing import Any

import pytest

from knowledge.statistics import quality_verdict
from knowledge.types import IntegrityResult, QualityPlan, QualityResult, QualityVerdict
from tests.tools.quality.llm import END, LanguageServer, Model
from tools.load.target import Target
from tools.load.tokenizer import Tokenizer
from tools.quality.assess import assess
from tools.quality.integrity import with_quality

PLAN = QualityPlan(chunks=4, chunk_tokens=40, grow_to=8)


_REFERENCE: list[QualityResult] = []


async def seen(
    model: Model, words: Tokenizer, reference: QualityResult | None = None, **how: Any
) -> QualityResult:
    async with LanguageServer(model, words, **how) as server:
        return await assess(Target(server.url, "m"), PLAN, words, reference)


async def judged(
    model: Model, words: Tokenizer, **how: Any
) -> tuple[QualityVerdict, QualityResult, QualityResult]:
    if not _REFERENCE:
        _REFERENCE.append(await seen(Model(), words))
    reference = _REFERENCE[0]
    candidate = await seen(model, words, reference, **how)
    return quality_verdict(reference, candidate, PLAN, seed=0), reference, candidate


async def test_the_same_model_launched_again_passes_after_the_first_look(
    tokenizer: Tokenizer,
) -> None:
    verdict, reference, candidate = await judged(Model(), tokenizer)
    assert verdict.outcome == "non-inferior"
    assert verdict.findings == ()
    assert len(reference.chunk_ids) == 8
    assert len(candidate.chunk_ids) == 4


async def test_careful_rounding_passes(tokenizer: Tokenizer) -> None:
    verdict, _, _ = await judged(Model(noise=0.02), tokenizer)
    assert verdict.outcome == "non-inferior"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Model(noise=1.0), "KL"),
        (Model(seed=1), "KL"),
        (Model(stop=END + 1), "не кончаются"),
        (Model(template="[{role}] {content}\n"), "шаблон чата"),
        (Model(vocabulary_shift=1), "токенизатор"),
        (Model(forgets=True), "KV cache"),
    ],
    ids=["rough rounding", "another model", "stop token", "template", "tokenizer", "kv cache"],
)
async def test_a_fault_is_caught_and_named(model: Model, said: str, tokenizer: Tokenizer) -> None:
    verdict, _, _ = await judged(model, tokenizer)
    assert verdict.outcome == "worse"
    assert any(said in finding for finding in verdict.findings), verdict.findings


async def test_answers_out_of_a_cache_fail_quality_and_integrity(tokenizer: Tokenizer) -> None:
    verdict, reference, candidate = await judged(Model(), tokenizer, cached=True)
    assert any("кэш" in finding for finding in verdict.findings)
    checks = with_quality(IntegrityResult(checks=()), candidate, reference).checks
    failed = [check.name for check in checks if not check.passed]
    assert failed == ["Ответы порождает модель (replayed answers)"]


async def test_another_model_behind_the_same_name_fails_integrity(tokenizer: Tokenizer) -> None:
    _, reference, candidate = await judged(Model(seed=1), tokenizer)
    checks = with_quality(IntegrityResult(checks=()), candidate, reference).checks
    assert [c.name for c in checks if not c.passed] == ["Отпечаток модели (logit fingerprint)"]


async def test_an_honest_server_fails_no_check(tokenizer: Tokenizer) -> None:
    _, reference, candidate = await judged(Model(noise=0.02), tokenizer)
    checks = with_quality(IntegrityResult(checks=()), candidate, reference).checks
    assert all(check.passed for check in checks)
    assert not any("не проверено" in check.seen for check in checks)


async def test_an_open_question_grows_the_sample_and_then_says_unknown(
    tokenizer: Tokenizer,
) -> None:
    plan = PLAN.replace(floor=PLAN.floor.replace(margin_nats_per_token=1e-9))
    async with LanguageServer(Model(), tokenizer) as server:
        reference = await assess(Target(server.url, "m"), plan, tokenizer)
    async with LanguageServer(Model(noise=0.02), tokenizer) as server:
        candidate = await assess(Target(server.url, "m"), plan, tokenizer, reference)
    verdict = quality_verdict(reference, candidate, plan, seed=0)
    assert len(candidate.chunk_ids) == 8
    assert verdict.outcome == "unknown"
    assert verdict.power is not None
    assert verdict.power < 0.5


async def test_a_slow_reference_is_scored_and_asked_less_and_still_tells_a_fault(
    tokenizer: Tokenizer,
) -> None:
    plan = PLAN.replace(grow_s=1e-9, least=2)
    async with LanguageServer(Model(), tokenizer) as server:
        slow = await assess(Target(server.url, "m"), plan, tokenizer)
        whole = await assess(Target(server.url, "m"), plan.replace(grow_to=None), tokenizer)
    assert slow.answers
    assert whole.answers
    assert len(slow.chunk_ids) == len(whole.chunk_ids) == 4
    assert 1 < len(slow.answers.answers) < len(whole.answers.answers)
    chats = [{a.prompt_id for a in one.answers if a.chat} for one in (slow.answers, whole.answers)]
    assert chats[0] == chats[1] != set()
    assert slow.answers.regret_nats is None
    assert not slow.tasks
    assert whole.tasks
    async with LanguageServer(Model(), tokenizer) as server:
        same = await assess(Target(server.url, "m"), PLAN, tokenizer, slow)
    assert same.answers
    assert len(same.answers.answers) == len(whole.answers.answers)
    assert not quality_verdict(slow, same, PLAN, seed=0).findings
    async with LanguageServer(Model(noise=1.5), tokenizer) as server:
        broken = await assess(Target(server.url, "m"), PLAN, tokenizer, slow)
    assert quality_verdict(slow, broken, PLAN, seed=0).outcome == "worse"
