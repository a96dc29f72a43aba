"""Several models on one set of devices."""

from dataclasses import replace

from advisor.consultation.answers._common import assumptions, cite_gpu, cite_model, devices
from advisor.consultation.calculators.memory import Room, room
from advisor.consultation.question import Question
from advisor.consultation.setting import Setting, Subject, resolve, scaled
from advisor.consultation.writing import Draft
from knowledge.patterns import compiled

_TOGETHER = (
    r"(?<!\d)[2-9] (?:\w+ )?(модел|копи|экземпляр|llm)\w*|несколько (разных )?моделей|обе модели|"
    r"вместе с|рядом с|одновременно (держать|запустить|хост)|разн\w+ модел|хостить \d|"
    r"(two|several|both|\d) models"
)


EXAMPLES = (
    "влезут ли две модели на одну карту",
    "разместить несколько моделей на # карта",
    "хостить # разные модели на # картах",
    "запустить модель и модель вместе на карта",
    "can i host two models on one gpu",
)
NEEDS = (
    "has_model",
    "gpus",
)
COVERS = ("fit",)
PART = True


def score(question: Question) -> float:
    if not (question.frame.gpus and question.has_model and question.has(_TOGETHER)):
        return 0
    if question.has(r"какую модель|или"):
        return 0
    return 8.9


async def write(question: Question, draft: Draft) -> None:
    setting = resolve(question.frame, context=4096)
    assert setting is not None
    subjects = [Subject(m.title, m.facts, m) for m in question.models] or [setting.subject]
    small = _beside(question) if len(subjects) == 1 else None
    if small:
        subjects.append(small)
        draft.assume(
            f"{small.title}: {draft.num(small.facts.parameters / 1e9, 1)} млрд параметров,"
            " веса в 16 битах",
            f"{small.title}: {small.facts.parameters / 1e9:.1f}B parameters in 16 bits",
        )
    elif len(subjects) == 1:
        subjects *= _said(question)
    every = [setting.change(subject=one, count=1, tp=None, pp=None) for one in subjects]
    memories = [room(one) for one in every]
    whole = setting.card.device.memory_bytes * setting.count * setting.utilization
    needed = sum(found.needed(1) for found in memories)
    where = devices(draft, setting.card, setting.count)
    fits = needed <= whole
    draft.note_figure("needed_bytes", needed)
    draft.lead(
        f"**{'Влезают' if fits else 'Вместе не влезают'}:** {len(every)} моделям в"
        f" {setting.label} нужно {draft.gib(needed)} (веса"
        f" {draft.gib(sum(found.weights_bytes for found in memories))}, движки и по одному"
        f" запросу),"
        f" на {where} доступно {draft.gib(whole)}"
        + (
            f"; под KV cache остаётся {draft.gib(whole - needed)} на всех."
            if fits
            else f": не хватает {draft.gib(needed - whole)}."
        ),
        f"**{'They fit' if fits else 'They do not fit together'}:** {draft.gib(needed)} needed,"
        f" {draft.gib(whole)} available on {where}.",
    )
    _table(every, memories, setting, draft)
    draft.add(
        "Каждой модели — свой процесс vLLM со своей долей `--gpu-memory-utilization` (сумма"
        " долей на"
        " карте не больше 0,9) либо, лучше, своя карта: вычисления на общей карте не делятся"
        " поровну, и всплеск одной модели поднимет TTFT и TPOT другой. Изоляцию дают MIG или"
        " разные карты. Если модели нужны редко, помогает sleep mode или загрузка по запросу.",
        "Give each its own process and share of memory, or better its own card.",
    )
    assumptions(draft, setting, skip=("одновременных", "одна "))
    for one in subjects:
        cite_model(draft, one.known)
    cite_gpu(draft, setting.card)


_SMALL = (
    (r"bge[-_ ]?m3|bge[-_ ]?reranker[-\w]*|e5[-_ ]large|jina\w*", 0.57e9),
    (r"bge[-_ ]?large|gte[-_ ]large", 0.34e9),
    (r"bge[-_ ]?base|e5[-_ ]base|gte[-_ ]base", 0.11e9),
    (r"эмбед\w*|embed\w*|реранк\w*|rerank\w*", 0.57e9),
)
"""Embedders and rerankers by their names, and their parameters."""


def _beside(question: Question) -> Subject | None:
    """A small model of another kind beside the one of the catalog."""
    for words, parameters in _SMALL:
        match = compiled(rf"(?<![a-zа-я])(?:{words})").search(question.text)
        if match:
            return replace(
                scaled(parameters), title=match[0].upper() if "-" in match[0] else match[0]
            )
    return None


def _said(question: Question) -> int:
    import re

    match = re.search(r"(?<!\d)([2-9]) (?:\w+ )?(?:модел|копи|экземпляр|llm|models)", question.text)
    return int(match[1]) if match else 2


def _table(every: list[Setting], memories: list[Room], setting: Setting, draft: Draft) -> None:
    """Devices one by one: the largest model first, to the card with the most room."""
    card = setting.card.device.memory_bytes * setting.utilization
    free = [card] * setting.count
    rows = []
    pairs = sorted(zip(every, memories, strict=True), key=lambda pair: -pair[1].needed(1))
    for one, found in pairs:
        need = found.needed(1)
        count = next((n for n in (1, 2, 4, 8) if n * card >= need), 8)
        roomy = sorted(range(len(free)), key=lambda index: -free[index])[:count]
        placed = len(roomy) == count and all(free[i] >= need / count for i in roomy)
        if placed:
            for index in roomy:
                free[index] -= need / count
        cards = ", ".join(str(i + 1) for i in sorted(roomy)) if placed else "не помещается"
        rows.append(f"| {one.subject.title} | {draft.gib(found.weights_bytes)} | {cards} |")
    head = draft.say("| Модель | Веса | На картах |", "| Model | Weights | On cards |")
    draft.add("\n".join([head, "| --- | --- | --- |", *rows]))
