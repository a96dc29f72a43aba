"""Two techniques, methods or engines side by side."""

from advisor.consultation import retrieval
from advisor.consultation.answers import _notes
from advisor.consultation.answers._common import assumptions, cite_setting, devices
from advisor.consultation.answers.knowledge import card_facts
from advisor.consultation.calculators.memory import room
from advisor.consultation.question import Question
from advisor.consultation.setting import resolve
from advisor.consultation.writing import Draft
from knowledge.cards import load_cards
from knowledge.patterns import compiled
from knowledge.support import known_engines

EXAMPLES = (
    "vllm или sglang",
    "что быстрее vllm или tensorrt-llm",
    "awq или gptq",
    "vllm против tgi",
    "чем отличается vllm от llama.cpp",
)


ANYWHERE = True


def score(question: Question) -> float:
    if _note(question):
        return 7.6 if question.frame.gpus and "int8" in question.frame.schemes else 8.8
    if len(question.frame.engines) >= 2 and question.has(
        r"или|vs|против|лучше|быстрее|сравн|отлич|а не|or\b|than"
    ):
        return 8.3
    return 0


async def write(question: Question, draft: Draft) -> None:
    name = _note(question)
    if name:
        note = _notes.playbook()[name]
        draft.lead(f"**{note.title}.**")
        _notes.write(name, draft)
    elif question.frame.engines:
        note = _notes.playbook()["engines"]
        draft.lead(f"**{note.title}.**", f"**{note.en}**")
        _notes.write("engines", draft)
    _fit(question, draft)
    compared = name is None or name == "engines" or len(question.own.engines) > 1
    for engine in question.frame.engines[:3] if compared else ():
        record = known_engines().get(engine)
        if record is None:
            continue
        state = {
            "active": "развивается",
            "maintenance": "только поддержка",
            "archived": "в архиве",
        }[record.state]
        schemes = ", ".join(scheme.name for scheme in record.schemes[:9])
        draft.add(
            f"**{record.title}** ({state}; по документации версии {record.version}): {record.note}"
            f" Форматы: {schemes}. Оборудование: {', '.join(record.hardware)}."
        )
        draft.cite(record.provenance[0].describe())
    if question.frame.engines and compared:
        draft.add(
            "Какой быстрее именно у вас, заранее не известно: разница между ними меняется от версии"
            " к версии и зависит от модели и нагрузки, поэтому решает замер на ваших запросах."
        )
        draft.offer(
            "Измерить на своей машине: `advisor optimize MODEL --engine vllm`, уже работающий"
            " сервер любого движка — `advisor bench URL`."
        )
    if not name and not question.frame.engines:
        cards = {card.name: card for card in load_cards()}
        for hit in retrieval.search(question.text, 2):
            if hit.kind == "card":
                draft.add(f"**{cards[hit.name].title}.** {cards[hit.name].text}")
                card_facts(cards[hit.name], draft)


def _fit(question: Question, draft: Draft) -> None:
    """Where a deployment was named, whether it holds the model at all."""
    setting = resolve(question.frame)
    if setting is None or setting.gpu is None:
        return
    found = room(setting)
    where = devices(draft, setting.gpu, setting.count)
    size = (
        f"{setting.subject.title} в {setting.label}: веса {draft.gib(found.weights_bytes)},"
        f" доступно на {where} {draft.gib(found.usable_bytes)}"
    )
    draft.add(
        f"{size}: **{'влезает' if found.loads else 'не влезает'}**, запросов по"
        f" {draft.num(setting.context_tokens, 0)} токенов — {found.most}."
    )
    cite_setting(draft, setting)
    assumptions(draft, setting, skip=("одновременных",))


def _note(question: Question) -> str | None:
    if question.has(r"команд|флаг"):
        return None
    found = [
        (len(match[0]), note.name)
        for note in _notes.playbook().values()
        if note.kind == "choice"
        for pattern in note.match
        for match in [compiled(pattern).search(question.text)]
        if match
    ]
    return max(found)[1] if found else None
