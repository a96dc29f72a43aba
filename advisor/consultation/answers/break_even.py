"""From which volume an own GPU beats an API, and when a tuning pays back."""

from advisor.consultation.answers._common import (
    ask,
    assumptions,
    cite_prediction,
    devices,
    forecast,
    usual_gpu,
)
from advisor.consultation.calculators import money
from advisor.consultation.calculators.capacity import USUAL_CARDS, Goals, best_point, fleet_for_rate
from advisor.consultation.calculators.memory import fewest
from advisor.consultation.question import Question
from advisor.consultation.setting import CHAT_INPUT, CHAT_OUTPUT, device_of, resolve
from advisor.consultation.writing import Draft
from knowledge.api_prices import api_price_in, api_prices
from knowledge.gpu_prices import typical_price
from knowledge.objectives import default_objectives

_THAN = r"дешевле|дороже|выгодн|чем|против|cheaper|than|сравн"

_PEAK = 3.0

EXAMPLES = (
    "с какого объема своя карта выгоднее api",
    "когда окупится своя карта против api",
    "стоит ли уходить с openai на свое железо",
    "за сколько окупится покупка карты против аренды",
    "выгодно ли свое железо",
    "сделай модель дешевле чем api за # за миллион",
)


def score(question: Question) -> float:
    asked = question.has(
        r"(?<!п)окуп|отоб[ьъ]|break.?even|payback|выгодн|с какого объ?ема|при каком"
        r" объ?[её]ме|дешевле.*api|api.*дешевле|своя.*api|api.*(сво[яей]|собств)|переходить с"
        r" api|отказаться от api"
    )
    frame = question.frame
    if question.has(r"спот|spot"):
        return 0
    if _daily(question) or _hosted(question):
        return 9.4 if question.has_model else 8.8
    if frame.per_million and question.has_model and not frame.gpu_hour and question.has(_THAN):
        return 8.8
    if not asked:
        return (
            8.7 if frame.gpu_hour and len(frame.per_million) == 1 and not frame.tokens_per_s else 0
        )
    if (frame.gpu_hour and frame.per_million) or (frame.hours and frame.shares):
        return 9.5
    return 7.5 if question.has(r"api|(?<!п)окуп|openai|апи") else 3


async def write(question: Question, draft: Draft) -> None:
    frame = question.frame
    if frame.hours and frame.shares and frame.gpu_hour:
        _tuning(question, draft)
        return
    if _hosted(question):
        _card_against(question, draft)
        return
    if _daily(question):
        _by_volume(question, draft)
        return
    if frame.per_million and question.has_model and not frame.gpu_hour:
        _model_against(question, draft)
        return
    if not (frame.gpu_hour and frame.per_million):
        ask(
            draft,
            "Какая цена API за 1M токенов и сколько стоит час своей GPU (и сколько ток/с она даёт)?"
            " Точка безубыточности: токенов в сутки = 24 × цена часа / цена API за 1M.",
            "What does the API charge per 1M tokens, and what does an hour of your GPU cost?",
        )
        return
    count = frame.devices or 1
    hour, api = frame.gpu_hour, frame.per_million[0]
    if hour.currency != api.currency:
        draft.lead(
            "Цены в разных валютах: назовите курс, и я сравню.",
            "The prices are in different currencies: give the rate.",
        )
        return
    tokens = money.break_even_tokens_per_day(hour.value * count, api.value)
    speed = tokens / 86400
    draft.note_figure("tokens_per_day", tokens)
    draft.lead(
        f"Своя GPU выгоднее **от {draft.num(tokens / 1e6, 1 if tokens < 1e8 else 0)} млн токенов в"
        f" сутки** (в среднем {draft.num(speed, 0)} ток/с круглые сутки,"
        f" {draft.num(tokens * 30 / 1e9, 2)} млрд в месяц).",
        f"Your own GPU wins **from {tokens / 1e6:.1f}M tokens a day** (an average of {speed:.0f}"
        " tok/s around the clock).",
    )
    draft.work(
        f"24 ч × {f'{count} × ' if count > 1 else ''}{draft.money(hour.value, hour.currency)} /"
        f" {draft.money(api.value, api.currency)} за 1M = {draft.num(tokens / 1e6, 1)} млн токенов"
        f" в сутки; / 86 400 с = {draft.num(speed, 0)} ток/с"
    )
    _can(question, speed, draft)
    draft.add(
        "В расчёте нет работы инженеров, простоя и запаса под пик: с ними точка сдвигается вверх."
        " Качество своей модели и модели API тоже нужно сравнить.",
        "Engineering time, idle hours and headroom are not counted.",
    )
    draft.cite(draft.say("цены — с ваших слов", "prices as you gave them"))


def _daily(question: Question) -> bool:
    """A day's tokens, an own model and an API whose price is known or said."""
    frame = question.frame
    priced = frame.per_million or api_price_in(question.text)
    return bool(
        frame.tokens_per_day and question.has_model and priced and not frame.gpu_hour
    ) and question.has(_THAN + r"|api|апи|\bvs\b|или|openai")


def _hosted(question: Question) -> bool:
    """An API by name against a card, with no own model and no price of its own."""
    frame = question.frame
    if question.has_model or frame.per_million or frame.tokens_per_day:
        return False
    asked = question.has(_THAN + r"|(?<!п)окуп|безубыт") and question.has(
        r"сво|карт|желез|gpu|аренд"
    )
    return bool(asked and api_price_in(question.text))


def _card_against(question: Question, draft: Draft) -> None:
    """The volume from which an hour of a card costs less than the API, whatever model runs."""
    frame, api = question.frame, api_price_in(question.text)
    assert api is not None
    gpu = question.gpus[0] if question.gpus else device_of("h100-sxm")
    price = typical_price(gpu.stem)
    if price is None or price.on_demand_usd_per_h is None:
        draft.lead(f"Цены {gpu.name} в каталоге нет: назовите её.", "No price of it is known.")
        return
    hour = price.on_demand_usd_per_h * (frame.devices or 1)
    given, out = frame.input_tokens or CHAT_INPUT, frame.output_tokens or CHAT_OUTPUT
    mixed = api.mixed(given, out)
    tokens = hour * 24 / mixed * 1e6
    requests = tokens / (given + out)
    draft.note_figure("tokens_per_day", tokens)
    draft.lead(
        f"{devices(draft, gpu, frame.devices or 1)} за {draft.money(hour)}/час выгоднее"
        f" {api.title} **от {draft.num(tokens / 1e6, 0)} млн токенов в сутки**, это около"
        f" **{draft.num(requests, 0)} запросов в день** (вход {given}, выход {out}).",
        f"A card wins from {tokens / 1e6:.0f}M tokens ({requests:.0f} requests) a day.",
    )
    draft.work(
        f"24 × {draft.money(hour)} / {draft.money(mixed)} за 1M ="
        f" {draft.num(tokens / 1e6, 0)} млн токенов; {api.title}: вход {draft.money(api.input)},"
        f" выход {draft.money(api.output)}, в среднем {draft.money(mixed)}"
    )
    draft.add(
        f"Это {draft.num(tokens / 86400, 0)} ток/с входа и выхода круглосуточно: проверьте, что"
        " ваша модель столько успевает (назовите её, и я посчитаю), и что её качества хватает."
        " Работа инженеров, простой и запас сдвигают точку вверх."
    )
    if not question.gpus:
        draft.assume(f"карта не названа: {gpu.name}", f"no card was named: {gpu.name}")
    listed = api_prices().provenance[0]
    draft.cite(listed.title, listed.date.isoformat())
    draft.cite(price.describe(question.services.today))


def _by_volume(question: Question, draft: Draft) -> None:
    """A day on the API against a day of the cheapest cards that carry it."""
    frame, api = question.frame, api_price_in(question.text)
    setting = resolve(frame)
    assert setting is not None
    assert frame.tokens_per_day
    if frame.per_million:
        mixed, name = frame.per_million[0].value, draft.say("API (ваша цена)", "API")
    else:
        assert api is not None
        mixed, name = api.mixed(setting.input_tokens, setting.output_tokens), api.title
    length = setting.input_tokens + setting.output_tokens
    rate = frame.tokens_per_day / length / 86400
    goals = Goals(tpot_ms=default_objectives(setting.facts).band.tpot_ms.high)
    cards = [setting.card.stem] if setting.gpu else list(USUAL_CARDS)
    found = []
    for stem in cards:
        fleet = fleet_for_rate(setting.change(gpu=device_of(stem)), rate * _PEAK, goals)
        price = typical_price(stem)
        if fleet and price and price.on_demand_usd_per_h is not None:
            found.append((price.on_demand_usd_per_h * fleet.devices * 24, fleet, price))
    if not found:
        draft.lead(
            "Ни одна карта каталога эту нагрузку по прогнозу не держит.", "No card holds it."
        )
        return
    own, fleet, price = min(found, key=lambda item: item[0])
    there = frame.tokens_per_day / 1e6 * mixed
    least = own / mixed
    where = devices(draft, fleet.point.setting.card, fleet.devices)
    word = "API дешевле" if there < own else "своё железо дешевле"
    draft.note_figure("api_per_day", there)
    draft.note_figure("own_per_day", own)
    draft.lead(
        f"**По прогнозу {word}:** {draft.num(frame.tokens_per_day / 1e6, 1)} млн токенов в сутки —"
        f" это {draft.money(there)} в день через {name} (в среднем {draft.money(mixed)} за 1M входа"
        f" и выхода вместе) против {draft.money(own)} в день за {where}, которые держат"
        f" {setting.subject.title} в {setting.label} круглые сутки.",
        f"**{'The API is cheaper' if there < own else 'Own hardware is cheaper'}:**"
        f" {draft.money(there)} against {draft.money(own)} a day.",
    )
    draft.add(
        f"Своё железо за эти деньги выгоднее от **{draft.num(least, 0)} млн токенов в сутки**, если"
        " оно столько успевает. В пользу своего железа — приватность, своя модель,"
        " лимиты; против — работа инженеров, простой ночью и запас на отказ. Качество малой модели"
        " и модели API сравните на своих задачах: они не равны."
    )
    draft.work(
        f"API: {draft.num(frame.tokens_per_day / 1e6, 1)} млн × {draft.money(mixed)} ="
        f" {draft.money(there)}; своё: {fleet.devices} ×"
        f" {draft.money(own / 24 / fleet.devices)} × 24 ч = {draft.money(own)}; безубыточность:"
        f" {draft.money(own)} / {draft.money(mixed)} за 1M = {draft.num(least, 0)} млн токенов в"
        " сутки"
    )
    draft.assume("пик втрое выше среднего за сутки", "the peak is three times the mean")
    if not frame.per_million:
        listed = api_prices().provenance[0]
        draft.cite(listed.title, listed.date.isoformat())
    draft.cite(price.describe(question.services.today))
    assumptions(draft, setting, skip=("одновременных",))
    cite_prediction(draft, fleet.point.seen)


def _model_against(question: Question, draft: Draft) -> None:
    """The predicted price of an own deployment against the price of an API."""
    setting = resolve(question.frame)
    assert setting is not None
    if setting.gpu is None:
        setting = usual_gpu(setting, question, draft)
    elif not question.frame.devices:
        least = fewest(setting)
        setting = setting.change(count=least[0] if least else 1)
    point = best_point(setting, Goals(tpot_ms=default_objectives(setting.facts).band.tpot_ms.high))
    price = typical_price(setting.card.stem)
    if point is None or price is None or price.on_demand_usd_per_h is None:
        draft.lead("Для сравнения нужны цена часа и карта, на которой модель держит нагрузку.")
        return
    hourly, api = price.on_demand_usd_per_h * setting.count, question.frame.per_million[0]
    speed = point.seen.output_tokens_per_s
    value, high, low = (money.per_million(hourly, s) for s in (speed.value, speed.low, speed.high))
    volume = money.break_even_tokens_per_day(hourly, api.value)
    draft.note_figure("per_million", value)
    word = "дешевле" if value < api.value else "не дешевле"
    draft.lead(
        f"**По прогнозу {word}:** {setting.subject.title} в {setting.label} на"
        f" {devices(draft, setting.card, setting.count)} при {point.streams} одновременных —"
        f" около {draft.money(value)} за 1M выходных токенов (90 % интервал"
        f" {draft.money(low)}–{draft.money(high)}) при полной загрузке, API —"
        f" {draft.money(api.value, api.currency)}.",
        f"Own: about {draft.money(value)} per 1M against {draft.money(api.value, api.currency)}.",
    )
    draft.work(
        f"{draft.money(hourly)}/час / ({draft.num(speed.value, 0)} ток/с × 3600) × 10⁶ ="
        f" {draft.money(value)}; безубыточность: 24 × {draft.money(hourly)} /"
        f" {draft.money(api.value)} = {draft.num(volume / 1e6, 0)} млн токенов в сутки, то есть"
        f" {draft.num(volume / 86400, 0)} ток/с круглосуточно"
    )
    draft.add(
        "Дешевле делают: FP8 вместо 16 бит, больший batch, карта дешевле за ток/с, spot, загрузка"
        " ближе к 100 %, меньшая модель для простых запросов. Вход API считает отдельно, а своя"
        " карта тратит на него время: при длинном входе сравните и его."
    )
    draft.cite(price.describe(question.services.today))
    assumptions(draft, setting, skip=("одновременных",))
    cite_prediction(draft, point.seen)


def _can(question: Question, speed: float, draft: Draft) -> None:
    """Whether the device can reach that speed at all."""
    setting = resolve(question.frame, concurrency=64)
    if setting is None or setting.gpu is None:
        draft.add(
            f"Проверьте, что карта вообще даёт {draft.num(speed, 0)} ток/с на вашей модели:"
            " назовите модель, и я спрогнозирую скорость."
        )
        return
    seen = forecast(question, setting)
    word = (
        "с запасом"
        if seen.output_tokens_per_s.low > speed
        else "не хватит"
        if seen.output_tokens_per_s.high < speed
        else "на грани"
    )
    draft.add(
        f"{setting.subject.title} на этой карте даёт"
        f" {draft.interval(seen.output_tokens_per_s, 'ток/с', 'tok/s')} при {setting.concurrency}"
        f" запросах ({seen.speed_provenance.russian}): {word}."
    )


def _tuning(question: Question, draft: Draft) -> None:
    frame = question.frame
    assert frame.gpu_hour
    assert frame.hours
    speedup = 1 + frame.shares[0]
    cost = frame.hours * frame.gpu_hour.value
    hours = money.payback_hours(cost, frame.gpu_hour.value, speedup)
    saved = 1 - 1 / speedup
    sign = frame.gpu_hour.currency
    draft.note_figure("hours", hours)
    draft.lead(
        f"**Окупится через {draft.num(hours, 1)} ч** работы под той же нагрузкой.",
        f"**It pays back in {hours:.1f} h.**",
    )
    draft.work(
        f"затраты: {draft.num(frame.hours, 1)} ч × {draft.money(frame.gpu_hour.value, sign)} ="
        f" {draft.money(cost, sign)}; экономия: {draft.money(frame.gpu_hour.value, sign)} × (1 − 1"
        f" / {draft.num(speedup, 2)}) = {draft.money(frame.gpu_hour.value * saved, sign)} в час;"
        f" срок: {draft.num(hours, 1)} ч"
    )
    draft.add(
        f"Экономия {draft.num(saved * 100, 0)} % наступает, только если освободившиеся машины"
        " действительно отключают или загружают; сам выигрыш должен быть измерен на вашей"
        " нагрузке, а не взят из прогноза."
    )
    draft.cite(draft.say("числа — с ваших слов", "figures as you gave them"))
