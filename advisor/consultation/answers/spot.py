"""Spot instances: expected saving with interruptions."""

from advisor.consultation.answers import _notes
from advisor.consultation.calculators import money
from advisor.consultation.question import Question
from advisor.consultation.writing import Draft

EXAMPLES = (
    "выгодны ли spot инстансы",
    "спот дешевле на # % прерывают раз в # часов",
    "какая экономия от spot",
    "прерываемые машины для инференса",
)


def score(question: Question) -> float:
    return (
        9.3
        if question.has(
            r"спот|(?<![a-z])spot|preemptible|прерываем\w+ (машин|инстанс|вм)|прерываемые"
        )
        else 0
    )


async def write(question: Question, draft: Draft) -> None:
    frame = question.frame
    every, back = frame.hours, frame.minutes
    if every:
        discount = frame.shares[0] if frame.shares else 0.6
        minutes = back or 10.0
        found = money.spot(discount, every, minutes / 60)
        draft.note_figure("saving", found.saving)
        word = (
            "Да, выгодно" if found.saving > 0.15 else "Выгода мала" if found.saving > 0 else "Нет"
        )
        draft.lead(
            f"**{word}: ожидаемая экономия {draft.num(found.saving * 100, 1)} %** против on-demand"
            " с учётом прерываний.",
            f"**Expected saving {found.saving * 100:.1f} %**.",
        )
        draft.work(
            f"потеря времени: {draft.num(minutes, 0)} мин / ({draft.num(every, 1)} ч +"
            f" {draft.num(minutes, 0)} мин) = {draft.num(found.lost_share * 100, 1)} %; экономия ="
            f" 1 − (1 − {draft.num(discount * 100, 0)} %) / (1 −"
            f" {draft.num(found.lost_share * 100, 1)} %) = {draft.num(found.saving * 100, 1)} %"
        )
        if not frame.shares:
            draft.assume("spot дешевле on-demand на 60 %", "spot is 60 % cheaper")
        if not back:
            draft.assume("восстановление после прерывания 10 минут", "recovery takes 10 minutes")
    else:
        draft.lead(
            "**Да, если сервис переживает потерю машины**: spot обычно дешевле on-demand в"
            " полтора–три раза, но его отбирают с предупреждением от 30 секунд до 2 минут.",
            "**Yes, if the service survives losing a machine.**",
        )
    _notes.write("spot", draft)
    if not every:
        draft.offer(
            "Назовите скидку, как часто отбирают и сколько поднимается новая машина — посчитаю"
            " экономию."
        )
