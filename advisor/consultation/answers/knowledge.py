"""What a technique or a term is, when it helps: cards and the playbook, by retrieval."""

import re
from collections.abc import Sequence

from advisor.consultation import retrieval
from advisor.consultation.answers import _notes
from advisor.consultation.question import Question
from advisor.consultation.writing import Draft
from knowledge.cards import Effect, TechniqueCard, load_cards

_ASK = (
    r"что так\w+|что значит|что за|объясни|расскаж|поясни|как работа|как устро|зачем|что"
    r" да[её]т|что это|это что|про что|what is|what are|what does|how does|explain|"
    r"когда|помож|стоит ли|нужн\w* ли|нужен ли|есть смысл|имеет смысл|как"
    r" (настро|дела|использ|обслуж|разда|монитор|сдела|правильн|орган|реализ|выбрать|"
    r"внедр|подключ|избеж|балансир)|какие"
    r" метрик|"
    r"what should|how to|how do|what to|что (монитор|отслеж|смотреть)|ускорит ли|даст"
    r" ли|вредит|польза|плюсы|минусы|отлича|разница|difference|можно ли|расскажи|что дел"
)
_REGIMES = {
    "prefill-bound": "когда предел — prefill",
    "decode-bound": "когда предел — decode",
    "kv-bound": "когда не хватает KV cache",
    "host-bound": "когда тормозит CPU",
    "any": "в любом режиме",
}
_METRICS = {"throughput": "throughput", "ttft": "TTFT", "tpot": "TPOT", "latency": "E2E"}
_RISKS = {"none": "нет", "low": "низкий", "medium": "средний", "high": "высокий"}


_NEARLY, _LIKE, _SAME = 0.4, 0.5, 0.75
"""Likeness to an example: enough where nothing else is, enough, and enough to come before a page
that the question names."""


_WELL_NAMED, _WORDS = 15.0, 5
"""A page that is named by a long word; in a longer question a short one («реплик») yields to an
example that is like the whole."""
_SURE = 6.0
"""A page that the question does not name answers it only from this score on."""

ANYWHERE = True


def score(question: Question) -> float:
    if question.own.unknown and not question.has(r"что так|what is|объясни"):
        return 0
    like = _likest(question)
    if like:
        return (
            6.0 + 4.0 * (like[1] - 0.4) - (3.0 if question.frame.gpus and question.has_model else 0)
        )
    if not retrieval.in_domain(question.text):
        return 0
    hits = retrieval.search(question.topic, 1)
    if not hits:
        return 0
    base = 6.4 if question.has(_ASK) else 4.1 if hits[0].exact else 2.4
    if hits[0].exact and question.has(_ASK):
        base = 7.4
    return base - (2.5 if question.has_model and question.frame.gpus else 0)


async def write(question: Question, draft: Draft) -> None:
    hits = retrieval.search(question.topic, 3)
    like = _likest(question)
    short = len(question.topic.split()) < _WORDS
    named = bool(hits) and hits[0].exact and (short or hits[0].score > _WELL_NAMED)
    if like and (like[1] >= _SAME or not named):
        note = retrieval.Hit("note", like[0], 100.0, exact=True)
        hits = (note, *[hit for hit in hits if hit.name != like[0]][:1])
    if not hits:
        draft.lead(
            "Об этом в базе знаний ничего нет, а выдумывать не буду.",
            "The knowledge base says nothing of this.",
        )
        return
    first = hits[0]
    if not first.exact and first.score < _SURE:
        like = _likest(question, _NEARLY)
        if like:
            _page(retrieval.Hit("note", like[0], 0.0, exact=False), {}, draft, lead=True)
            return
        _unsure(hits, draft)
        return
    cards = {card.name: card for card in load_cards()}
    _page(first, cards, draft, lead=True)
    if draft.language == "ru":
        for hit in hits[1:]:
            if hit.score > 0.5 * first.score:
                _brief(hit, cards, draft)
    draft.offer(
        "Помогает ли это на вашей модели и нагрузке, покажет измеренная сессия: `advisor optimize"
        " MODEL --workload chat`.",
        "Whether it helps on your model and load, a measured session shows: `advisor optimize"
        " MODEL`.",
    )


def _unsure(hits: Sequence[retrieval.Hit], draft: Draft) -> None:
    """Only a word or two in common: no answer, but what comes nearest."""
    cards = {card.name: card.title for card in load_cards()}
    notes = _notes.playbook()
    titles = [cards[hit.name] if hit.kind == "card" else notes[hit.name].title for hit in hits]
    near = "; ".join(f"«{title}»" for title in dict.fromkeys(titles))
    draft.lead(
        "**Надёжного ответа на этот вопрос у меня нет**, а выдумывать не буду. Ближайшее, о чём"
        f" могу рассказать: {near}. Спросите об этом или уточните вопрос: модель, карта, нагрузка"
        " и что нужно узнать — память, скорость, цену или причину проблемы?",
        "I have no reliable answer to this. Which model, card and load is it about, and what do"
        " you need: memory, speed, price or the cause of a problem?",
    )


def _likest(question: Question, least: float = _LIKE) -> tuple[str, float] | None:
    """The page of terms and choices with an example like the question."""
    pages = _notes.playbook()
    near = [
        (name.removeprefix("note:"), likeness)
        for name, likeness in question.near.items()
        if name.startswith("note:") and pages[name.removeprefix("note:")].kind != "diagnosis"
    ]
    name, likeness = max(near, key=lambda pair: pair[1], default=("", 0.0))
    return (name, likeness) if likeness >= least else None


def _brief(hit: retrieval.Hit, cards: dict[str, TechniqueCard], draft: Draft) -> None:
    """A neighbouring page in one paragraph."""
    if hit.kind == "note":
        note = _notes.playbook()[hit.name]
        draft.add(f"**Рядом: {note.title}.** {note.text.strip()}")
    else:
        draft.add(f"**Рядом: {cards[hit.name].title}.** {cards[hit.name].text.strip()}")
        draft.cite(
            cards[hit.name].sources[0].title,
            cards[hit.name].sources[0].date.isoformat(),
            cards[hit.name].sources[0].note,
        )


def _page(hit: retrieval.Hit, cards: dict[str, TechniqueCard], draft: Draft, *, lead: bool) -> None:
    if hit.kind == "note":
        note = _notes.playbook()[hit.name]
        if draft.language == "en":
            _notes.write(hit.name, draft)
            return
        (draft.lead if lead else draft.add)(f"**{note.title}.**")
        _notes.write(hit.name, draft)
        return
    card = cards[hit.name]
    if draft.language == "en":
        _english(card, draft)
        return
    (draft.lead if lead else draft.add)(f"**{card.title}.** {card.text.strip()}")
    card_facts(card, draft)


def card_facts(card: TechniqueCard, draft: Draft) -> None:
    """Flags, expected effects with where they come from, risk and sources of a card."""
    if card.helps:
        draft.add(f"**Когда помогает.** {card.helps.strip()}")
    if card.hurts:
        draft.add(f"**Когда мешает и чего стоит.** {card.hurts.strip()}")
    steps = [f"- {step.where}: {_code(step.do)}" for step in card.how]
    flags = _flags(card) if not steps else ""
    if steps:
        draft.add("\n".join(["**Как включить**", "", *steps]))
    elif flags:
        draft.add(f"**Как включить:** {flags}.")
    lines = [_effect(effect, draft) for effect in card.effects[:4]]
    if lines:
        known = "прогноз по источникам, здесь не измерено" if not card.verified_on else "прогноз"
        draft.add(
            f"**Ожидаемый эффект** ({known}): {'; '.join(lines)}. Риск для качества:"
            f" {_RISKS[card.quality_risk]}."
        )
    if card.check:
        draft.add(f"**Как проверить.** {card.check.strip()}")
    for seen in card.verified_on[:2]:
        draft.add(
            f"**Измерено здесь** {seen.date.isoformat()}: {seen.model}, {seen.hardware},"
            f" {seen.engine}, {seen.workload}: {seen.result}."
        )
    for source in card.sources[:3]:
        draft.cite(source.title, source.date.isoformat(), source.note)


def _code(step: str) -> str:
    """Flags and snippets as code, sentences as they are."""
    return step if re.search(r"[а-яё]{4}", step) else f"`{step}`"


def _flags(card: TechniqueCard) -> str:
    shown = []
    for variant in card.changes[:3]:
        parts = [
            f"--{name} {value}".strip() if value is not True else f"--{name}"
            for name, value in variant.flags.items()
            if "${" not in str(value)
        ]
        if parts:
            shown.append(f"`{' '.join(parts)}` ({variant.engine})")
        elif variant.label and "${" not in variant.label:
            shown.append(f"{variant.label} ({variant.engine})")
    return ", ".join(shown)


def _effect(effect: Effect, draft: Draft) -> str:
    return (
        f"{_METRICS[effect.metric]} ×{draft.num(effect.low, 2)}…{draft.num(effect.high, 2)}"
        f" {effect.case or _REGIMES[effect.regime]}"
    )


def _english(card: TechniqueCard, draft: Draft) -> None:
    """The cards are Russian; their facts have no language."""
    effects = "; ".join(f"{e.metric} ×{e.low:g}…{e.high:g} ({e.regime})" for e in card.effects[:4])
    draft.lead(f"**{card.name.replace('-', ' ')}** (the card's text is in Russian only).")
    flags = ", ".join(
        f"`--{k} {v}` ({variant.engine})"
        for variant in card.changes[:3]
        for k, v in variant.flags.items()
    )
    draft.add(
        f"Flags: {flags or '—'}. Expected effect (predicted from the sources, not measured here):"
        f" {effects}. Quality risk: {card.quality_risk}."
    )
    for source in card.sources[:3]:
        draft.cite(source.title, source.date.isoformat())
