"""A volume per day to tokens per second, and whether a deployment makes it."""

from math import ceil

from advisor.consultation.answers._common import (
    assumptions,
    cite_prediction,
    cite_setting,
    devices,
    forecast,
    offer_session,
)
from advisor.consultation.calculators import money
from advisor.consultation.calculators.memory import room
from advisor.consultation.question import Question
from advisor.consultation.setting import CHAT_OUTPUT, resolve
from advisor.consultation.writing import Draft
from knowledge.gpu_prices import typical_price

_PEAK = 3.0


EXAMPLES = (
    "сколько токенов в секунду нужно на # токенов в сутки",
    "хватит ли карта на # млн токенов в день",
    "# запросов в день какая нужна скорость",
)
COVERS = ("speed", "cost", "capacity")
PART = True


def score(question: Question) -> float:
    frame = question.frame
    if question.own.tokens_per_day or question.own.requests_per_day:
        return 8.9 if not question.has(r"(?<!п)окуп|выгодн") else 5
    return 4 if frame.tokens_per_day and question.follow_up else 0


async def write(question: Question, draft: Draft) -> None:
    frame = question.frame
    per_day = frame.tokens_per_day
    if per_day is None:
        assert frame.requests_per_day is not None
        each = frame.output_tokens or CHAT_OUTPUT
        if not frame.output_tokens:
            draft.assume(f"ответ {each} токенов", f"{each} tokens per answer")
        per_day = frame.requests_per_day * each
        draft.work(
            f"{draft.num(frame.requests_per_day, 0)} запросов в сутки"
            f" ({draft.num(frame.requests_per_day / 86400, 3)} в секунду) × {each} токенов ="
            f" {draft.num(per_day / 1e6, 2)} млн токенов в сутки"
        )
    mean = per_day / 86400
    draft.note_figure("tokens_per_s", mean)
    draft.lead(
        f"Это в среднем **{draft.num(mean, 1 if mean < 1000 else 0)} ток/с**; под пик закладывайте"
        f" в {draft.num(_PEAK, 0)} раза больше, {draft.num(mean * _PEAK, 0)} ток/с.",
        f"That is **{draft.num(mean, 1 if mean < 1000 else 0)} tok/s** on average; plan for"
        f" {mean * _PEAK:.0f} at peak.",
    )
    draft.work(
        f"{draft.num(per_day / 1e6, 2)} млн токенов в сутки / 86 400 с = {draft.num(mean, 1)}"
        " ток/с",
        f"{per_day / 1e6:.2f}M tokens a day / 86,400 s = {mean:.1f} tok/s",
    )
    draft.assume(
        "пик втрое выше среднего; ночью и днём по-разному — возьмите свой график",
        "the peak is three times the mean",
    )
    setting = resolve(frame, concurrency=32)
    if setting is None or setting.gpu is None:
        draft.offer(
            "Назовите модель и GPU — скажу, сколько карт нужно и сколько это стоит.",
            "Name the model and the GPU, and I'll size it.",
        )
        return
    found = room(setting)
    where = devices(draft, setting.gpu, setting.count)
    if not found.loads:
        draft.lead(
            f"**Но {setting.subject.title} в {setting.label} на {where} не влезает**: веса"
            f" {draft.gib(found.weights_bytes)}, доступно {draft.gib(found.usable_bytes)}."
        )
        return
    streams = max(1, min(setting.concurrency, found.most))
    seen = forecast(question, setting.change(concurrency=streams))
    speed = seen.output_tokens_per_s
    copies = max(1, ceil(mean * _PEAK / speed.value))
    enough = (
        "**хватит с запасом**"
        if speed.low >= mean * _PEAK
        else "**на среднее хватит, на пик — на грани**"
        if speed.value >= mean
        else "**не хватит**"
    )
    peak, average = speed.value >= mean * _PEAK, speed.value >= mean
    word = "enough" if peak else "tight" if average else "not enough"
    draft.lead(
        f"{setting.subject.title} в {setting.label} на {where} при {streams} одновременных запросах"
        f" даёт {draft.interval(speed, 'ток/с', 'tok/s')} ({seen.speed_provenance.russian}, 90 %"
        f" интервал): {enough}" + (f", нужно реплик: {copies}." if copies > 1 else "."),
        f"{setting.subject.title} on {where} gives {draft.interval(speed, 'ток/с', 'tok/s')}"
        f" ({draft.provenance(seen.speed_provenance)}):"
        f" {word}.",
    )
    price = typical_price(setting.gpu.stem)
    if price and price.on_demand_usd_per_h is not None:
        month = price.on_demand_usd_per_h * setting.count * copies * money.HOURS_PER_MONTH
        draft.add(
            f"Круглосуточная аренда: около {draft.money(month)} в месяц"
            f" ({draft.money(price.on_demand_usd_per_h)}/час за карту,"
            f" {price.provenance.date.isoformat()})."
        )
        draft.cite(price.describe(question.services.today))
    assumptions(draft, setting)
    cite_setting(draft, setting)
    cite_prediction(draft, seen)
    offer_session(draft, question)
