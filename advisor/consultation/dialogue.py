"""The path of a question: understand, compute, write; with an LLM, let it speak over the tools."""

from collections.abc import AsyncIterator, Sequence

from advisor.consultation.answers import modules
from advisor.consultation.checks import below_zero, check
from advisor.consultation.choosing import choose, on_topic, orders_the_machine
from advisor.consultation.conversation import understand
from advisor.consultation.question import Question
from advisor.consultation.setting import device_of, names
from advisor.consultation.types import Message, Piece, Services
from advisor.consultation.writing import Draft
from knowledge.errors import BadInput

_LONGEST = 8000


async def answer(messages: Sequence[Message], services: Services) -> AsyncIterator[Piece]:
    """Pieces of the answer to the last user message."""
    if not any(message.role == "user" and message.content.strip() for message in messages):
        yield Piece(
            kind="text", text="Задайте вопрос, например: «Влезет ли Llama-3.1-8B на RTX 4090?»\n"
        )
        yield Piece(kind="end", data={"path": "rules", "intents": []})
        return
    question = understand(messages, services)
    if services.llm is not None and not orders_the_machine(question):
        from advisor.consultation.llm import speak

        spoken = False
        async for piece in speak(messages, question):
            spoken = True
            yield piece
        if spoken:
            return
    async for piece in by_rules(question):
        yield piece


async def by_rules(question: Question) -> AsyncIterator[Piece]:
    """The answer without an LLM: the surest kind writes, the checks warn."""
    draft, chosen = await compose(question)
    yield Piece(kind="text", text=draft.text())
    for source in draft.sources:
        yield Piece(
            kind="source", data={"title": source.title, "date": source.date, "note": source.note}
        )
    yield Piece(
        kind="end",
        data={
            "path": "rules",
            "intents": chosen,
            "frame": question.frame.said(),
            "figures": draft.figures,
        },
    )


async def compose(question: Question) -> tuple[Draft, list[str]]:
    """The written answer and the kinds that wrote it."""
    draft = Draft(language=question.language)
    if len(question.raw) > _LONGEST:
        draft.lead(
            f"Вопрос длиннее {_LONGEST} символов: сократите его до модели, GPU, нагрузки и того,"
            " что нужно узнать.",
            "The question is too long.",
        )
        return draft, ["too-long"]
    chosen = choose(question)
    if not chosen:
        _nothing(question, draft)
        check(question, draft)
        return draft, ["off-topic" if not on_topic(question) else "unknown"]
    _inherited(question, draft)
    anywhere = bool(chosen) and getattr(modules()[chosen[0]], "ANYWHERE", False)
    unplaced = question.own.unknown and question.has_model and not question.frame.gpus
    if unplaced and not anywhere:
        chosen = ["fit"]
        draft.lead(
            f"Карты «{question.own.unknown[0].text}» в каталоге нет: дайте её память и пропускную"
            " способность. Пока — сколько нужно самой модели.",
            f"“{question.own.unknown[0].text}” is not in the catalog. Meanwhile, what the model"
            " itself needs.",
        )
    below_zero(question, draft)
    for name in chosen:
        if draft.result:
            draft.result.append("\n\n")
        try:
            await modules()[name].write(question, draft)
        except BadInput as error:
            draft.warn(f"{error.message}. {error.hint}")
    check(question, draft)
    if not draft.result and draft.body:
        draft.result.append(draft.body.pop(0))
    return draft, chosen


def _inherited(question: Question, draft: Draft) -> None:
    """What was taken from earlier messages, so that nobody is misled."""
    if not question.inherited:
        return
    parts = []
    frame = question.frame
    if "models" in question.inherited and frame.models:
        parts.append(names(frame.models[:1]))
    if "gpus" in question.inherited and frame.gpus:
        count = f"{frame.devices} × " if (frame.devices or 1) > 1 else ""
        parts.append(count + device_of(frame.gpus[0]).name)
    if "context_tokens" in question.inherited and frame.context_tokens:
        parts.append(
            draft.say(f"контекст {frame.context_tokens}", f"context {frame.context_tokens}")
        )
    if "concurrency" in question.inherited and frame.concurrency:
        parts.append(draft.say(f"запросов {frame.concurrency}", f"{frame.concurrency} requests"))
    if parts:
        draft.assume(
            f"из прошлых сообщений: {', '.join(parts)}",
            f"from earlier messages: {', '.join(parts)}",
        )


def _nothing(question: Question, draft: Draft) -> None:
    if question.own.unknown:
        draft.lead(
            "Такого имени в каталоге нет, поэтому посчитать не могу. Дайте config.json модели"
            " (папку или id на хабе) или число параметров, а для GPU — память и пропускную"
            " способность.",
            "This name is not in the catalog.",
        )
        return
    if orders_the_machine(question):
        draft.lead(
            "Инструкции в вопросе не меняют моих правил, и скрытого текста у меня нет. Я считаю"
            " inference LLM: память, скорость, выбор GPU, стоимость, запуск.",
            "I only advise on LLM inference.",
        )
        return
    if on_topic(question):
        draft.lead(
            "На этот вопрос у меня нет надёжного ответа: в базе знаний и каталогах его нет, а"
            " выдумывать не буду. О какой модели, GPU и нагрузке речь, и что нужно узнать: память,"
            " скорость, цену или причину проблемы?",
            "I don't know: the knowledge base says nothing of this. Which model, GPU and load is"
            " it about?",
        )
        return
    draft.lead(
        "Это не про inference LLM, и здесь я не помощник. Могу посчитать, влезет ли модель, с какой"
        " скоростью и почём она будет работать, и найти, почему она медленная.",
        "This is not about LLM inference, so I can't help with it.",
    )
