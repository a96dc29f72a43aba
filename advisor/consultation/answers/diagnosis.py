"""Something is slow or fails: likely causes, how to check each, what to do."""

from math import ceil

from advisor.consultation.answers import _notes
from advisor.consultation.answers._common import (
    assumptions,
    cite_prediction,
    cite_setting,
    forecast,
)
from advisor.consultation.answers._notes import Note
from advisor.consultation.calculators import speed
from advisor.consultation.calculators.memory import room
from advisor.consultation.question import Question
from advisor.consultation.setting import resolve
from advisor.consultation.writing import Draft
from knowledge.patterns import compiled

_TROUBLE = (
    r"почему|медлен|тормоз|проблем|пада[ею]т|упал|просел|скач|дерга|растет|раст[её]т|вырос|долго|что"
    r" делать|в ч[её]м дело|как (поднять|ускорить|снизить|уменьшить|лечить|исправить|починить)|куда"
    r" (копать|смотреть)|с чего начать|ошибк|зависа|обрыва|out of"
    r" memory|oom|хуже|плохо|ненормальн|why|slow|crash|стало|ждем|ждут|жду"
)


ANYWHERE = True


def score(question: Question) -> float:
    note = _matching(question)
    if note is None:
        return 0
    likeness = question.near.get(f"note:{note.name}", 0.0)
    return 9.1 if question.has(_TROUBLE) or likeness > _ALIKE else 6.3


async def write(question: Question, draft: Draft) -> None:
    note = _matching(question)
    assert note is not None
    draft.lead(
        f"**{note.title}.**" if draft.language == "ru" else f"**{note.title}.** (details below)"
    )
    _numbers(question, draft)
    _fewer(question, draft)
    _notes.write(note.name, draft)
    draft.offer(
        "Если сервер уже работает, `advisor bench URL` измерит TTFT, TPOT и очередь, и станет"
        " видно, какая из причин ваша.",
        "`advisor bench URL` measures TTFT, TPOT and the queue of a running server.",
    )


_PLANNED = 0.7
_LIKE, _ALIKE, _SAME = 0.4, 0.5, 0.7
"""Likeness to an example: enough with a word of trouble, enough without, beats any pattern."""


def _matching(question: Question) -> Note | None:
    """The page whose pattern is found, the longest match; else the one with the likest example."""
    best: tuple[int, Note] | None = None
    for note in _notes.playbook().values():
        if note.kind != "diagnosis":
            continue
        for pattern in note.match:
            found = compiled(pattern).search(question.text)
            if found and (best is None or len(found[0]) > best[0]):
                best = (len(found[0]), note)
    pages = _notes.playbook()
    near = [
        (likeness, pages[name.removeprefix("note:")])
        for name, likeness in question.near.items()
        if name.startswith("note:") and pages[name.removeprefix("note:")].kind == "diagnosis"
    ]
    likest = max(near, key=lambda pair: pair[0], default=None)
    if best and not (likest and likest[0] > _SAME):
        return best[1]
    needed = _LIKE if question.has(_TROUBLE) else _ALIKE
    return likest[1] if likest and likest[0] >= needed else None


def _fewer(question: Question, draft: Draft) -> None:
    """Idle cards: how many would carry the same work."""
    used, count = question.frame.utilization, question.frame.devices
    if (
        not used
        or not count
        or count < 2
        or not question.has(r"уменьш|убрать|сократ|хватит|меньше")
    ):
        return
    enough = max(1, ceil(count * used / _PLANNED))
    draft.lead(
        f"По средней загрузке хватило бы **{enough} из {count}** (расчёт: {count} ×"
        f" {draft.num(used * 100, 0)} % / {draft.num(_PLANNED * 100, 0)} %), если и в пик"
        f" загрузка не"
        " выше и модель помещается в меньшее число карт: проверьте загрузку в пиковый час, очередь"
        " и KV cache, а «утилизация» nvidia-smi — это доля времени, а не мощности.",
        f"By the mean load **{enough} of {count}** would do, if the peak is no higher.",
    )


def _numbers(question: Question, draft: Draft) -> None:
    """Where the deployment is named, what physics and the predictor say of the figure."""
    setting = resolve(question.frame)
    if setting is None or setting.gpu is None:
        return
    found = room(setting)
    if not found.loads:
        draft.warn(
            f"{setting.subject.title} в {setting.label} на {setting.count} × {setting.gpu.name} не"
            f" влезает: веса {draft.gib(found.weights_bytes)}, доступно"
            f" {draft.gib(found.usable_bytes)}."
        )
        return
    seen, least = forecast(question, setting), speed.floor(setting)
    bound = (
        f" Предел roofline: TPOT {draft.ms(least.tpot_ms)}, TTFT {draft.ms(least.ttft_ms)}."
        if least
        else ""
    )
    draft.add(
        f"Для сравнения, ожидается ({seen.speed_provenance.russian}, 90 % интервал): TTFT"
        f" {draft.interval(seen.ttft_ms, 'мс', 'ms')}, TPOT"
        f" {draft.interval(seen.tpot_ms, 'мс', 'ms')}.{bound}"
    )
    for name, said, figure in (
        ("TPOT", question.frame.tpot_ms, seen.tpot_ms),
        ("TTFT", question.frame.ttft_ms, seen.ttft_ms),
    ):
        if said:
            draft.add(
                f"Ваш {name} {draft.ms(said)} — "
                + (
                    "выше верха интервала: есть что исправлять."
                    if said > figure.high
                    else (
                        "в ожидаемых пределах: ускорит только другая точность, железо или"
                        " спекулятивное декодирование."
                        if said >= figure.low
                        else "лучше прогноза."
                    )
                )
            )
    assumptions(draft, setting)
    cite_setting(draft, setting)
    cite_prediction(draft, seen)
