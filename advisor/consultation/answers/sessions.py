"""How sessions stand and what they measured."""

from advisor.consultation.question import Question
from advisor.consultation.writing import Draft

EXAMPLES = (
    "какие сессии уже были",
    "как там мой прогон",
    "чем закончилась последняя сессия",
)


def score(question: Question) -> float:
    if question.has(
        r"(какие|список|покажи|все|мои|последн\w+|прошл\w+|мо[йя])\s*(\w+\s)?(сесси|прогон|замер|отч[её]т|результат|эксперимент)|как"
        r" там (мо|прогон|сесси|замер)|статус (сесси|прогон)|что (ты )?(намер|измер)\w*|сесси\w*"
        r" (уже )?был|session(s| status)|my (last )?(session|run)|как (моя|идет) сесси|ход сессии"
    ):
        return 9.4
    return 0


async def write(question: Question, draft: Draft) -> None:
    if question.services.sessions is None:
        draft.lead(
            "Хранилище сессий отсюда не видно. Список покажет `advisor sessions`, отчёт — `advisor"
            " report СЕССИЯ`.",
            "The store of sessions can't be seen from here: `advisor sessions` lists them.",
        )
        return
    found = list(await question.services.sessions.recent())
    if question.models:
        wanted = question.models[0]
        mine = [v for v in found if wanted.title.split()[0].lower() in v.model.lower()]
        found = mine or found
    if not found:
        draft.lead(
            "Ни одной сессии ещё не было. Первая: `advisor optimize demo` (SmolLM2-135M, работает и"
            " без GPU).",
            "There are no sessions yet: `advisor optimize demo` makes the first.",
        )
        return
    last = found[0]
    draft.lead(
        f"Последняя сессия — **{last.session}** ({last.started.isoformat()}): {last.model},"
        f" {last.engine}, нагрузка {last.workload}; состояние: {last.status}. {last.summary}",
        f"The last session is **{last.session}** ({last.started.isoformat()}): {last.model},"
        f" {last.engine}, {last.workload}; status: {last.status}.",
    )
    if len(found) > 1:
        rows = [
            "| Сессия | Дата | Модель | Нагрузка | Состояние |",
            "| --- | --- | --- | --- | --- |",
        ]
        rows += [
            f"| {v.session} | {v.started.isoformat()} | {v.model} | {v.workload} | {v.status} |"
            for v in found[:8]
        ]
        draft.add("\n".join(rows))
    draft.cite("сессия " + last.session, last.started.isoformat())
    draft.offer(
        f"Отчёт: `advisor report {last.session}`.", f"Its report: `advisor report {last.session}`."
    )
