"""Something is slow or fails: likely causes, how to check each, what to do."""

import re
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
    r"(?<![a-z])error|exception|traceback|failed|не старт|не запуска|почему|медлен|"
    r"тормоз|висн|виси[тш]|рвутся|рв[её]т|сполза|молчит|тишина|пада[ею]т|валит|ругает|жечь|"
    r"проблем|пада[ею]т|упал|просел|скач|дерга|растет|раст[её]т|вырос|долго|что"
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
    if _better_named(question, note):
        return 6.5
    if question.has(_TROUBLE) or likeness > _SAME:
        return 9.1
    return 7.9 if likeness > _ALIKE else 6.3


def _better_named(question: Question, note: Note) -> bool:
    """Whether a page of terms and choices is named at greater length than this symptom."""
    longest = max((len(m[0]) for p in note.match if (m := compiled(p).search(question.text))),
                  default=0)  # fmt: skip
    return any(
        len(found[0]) > longest + 8
        for page in _notes.playbook().values()
        if page.kind != "diagnosis"
        for pattern in page.match
        if (found := compiled(pattern).search(question.text))
    )


_FINE = re.compile(
    r"(?<![a-zа-я])(?:ttft|tpot|itl|e2e|latency|задержка|throughput)\s*(?:при этом|у нас|же|-)?\s*"
    r"(?:в норме|в порядке|нормальн\w*|нормальный|ок\b|ok\b|хорош\w*|стабил\w*|ровн\w*|fine|good|"
    r"не (?:мен|раст|страд|скач)\w+)"
)
"""«itl нормальный»: said to be no trouble."""


async def write(question: Question, draft: Draft) -> None:
    note = _matching(question)
    assert note is not None
    draft.lead(
        f"**{note.title}.**" if draft.language == "ru" else f"**{note.title}.** (details below)"
    )
    _longest(question, draft)
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
    text = _FINE.sub(" ", question.text)
    for note in _notes.playbook().values():
        if note.kind != "diagnosis":
            continue
        for pattern in note.match:
            found = compiled(pattern).search(text)
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


_HELD = re.compile(r"stored in (?:the )?kv cache\D{0,4}(\d{3,})")
_ESTIMATED = re.compile(r"estimated maximum model length is (\d{3,})")
_ASKED = re.compile(r"max(?:imum)?[ _](?:seq|model)[ _]len(?:gth)?\D{0,12}(\d{3,})")


def _longest(question: Question, draft: Draft) -> None:
    """vLLM's message that the context exceeds the KV cache holds both figures: read them."""
    asked = _ASKED.search(question.text)
    held = _ESTIMATED.search(question.text) or _HELD.search(question.text)
    if not asked or not held:
        return
    holds, wanted = int(held[1]), int(asked[1])
    if not 0 < holds < wanted:
        return
    rounded = holds // 1024 * 1024 or holds
    draft.lead(
        f"В KV cache помещается {draft.num(holds, 0)} токенов, а контекст задан"
        f" {draft.num(wanted, 0)}: **поставьте `--max-model-len {rounded}`** (не больше {holds})."
        f" Если нужен именно такой контекст, KV cache должен вырасти в"
        f" {draft.num(wanted / holds, 1)} раза: `--gpu-memory-utilization` выше,"
        " `--kv-cache-dtype fp8` (вдвое), квантованные веса или больше карт (TP).",
        f"The KV cache holds {holds} tokens, {wanted} were asked: set --max-model-len {rounded}.",
    )


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
