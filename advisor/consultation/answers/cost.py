"""What it costs: per million tokens, per month, per hour of a GPU, and how to pay less."""

from advisor.consultation.answers import _notes
from advisor.consultation.answers._common import (
    ask,
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
from advisor.consultation.setting import resolve
from advisor.consultation.writing import Draft
from knowledge.devices import CatalogDevice
from knowledge.gpu_prices import prices_for, typical_price

_COST = (
    r"сто[ия]т(?! ли| бы| включ| брать| переход| использ)|стоим|цен[аыуе]|почем(?!у)|почём|обойд|"
    r"cost|price|дорог|расцен|тариф|аренд|сколько"
    r" денег|сколько (плат|выйдет)|в деньгах|себестоим|\$ ?за|how much"
)
_MILLION = r"милл|млн|million|1m\b|mtok|лям|за токен|per token|токенов"


_REDUCE = (
    r"(сниз|уменьш|сократ|сэконом|удешев|дешевле)[^.?]{0,30}"
    r"(стоим|цен|затрат|расход|инференс|счет|обслужив)|reduce[^.?]*cost|меньше платить"
)
_PERIOD = r"месяц|month|(?<![а-я])год|year|сутк|недел"
_ASKED = r"сто[ия]т(?! ли)|цен|поч[её]м|cost|price|себестоим|обойд|how much"


EXAMPLES = (
    "сколько стоит миллион токенов модели на карта",
    "сколько в месяц выйдет держать модель на карта",
    "сколько стоит аренда карта",
    "сколько денег в год уйдет на # карта",
    "почем обойдется ответ",
    "цена за миллион токенов",
    "стоимость одного ответа вход # выход #",
    "сколько это стоит на юзера в месяц",
    "how much does it cost per million tokens",
    "сравни стоимость модели на # карта и на # карта",
)
PART = True


def score(question: Question) -> float:
    frame = question.frame
    if question.has(_REDUCE):
        return 8.3
    if not question.has(_COST) and not question.own.gpu_hour:
        return 0
    cases = (
        (question.has(r"(?<!п)окуп|выгодн|break.?even"), 5.0),
        (frame.gpu_hour and frame.tokens_per_s, 9.4),
        (_one_answer(question), 9.1),
        (frame.gpu_hour and question.has(_PERIOD), 8.8),
        (frame.gpus and question.has(_PERIOD), 8.8),
        (question.has(_MILLION) and question.has(_ASKED), 8.4),
        (frame.gpus and not question.has_model, 8.0),
    )
    return next((value for holds, value in cases if holds), 0.0)


def _one_answer(question: Question) -> bool:
    """The price of one request of a said length."""
    asked = question.has(
        r"(цен|стоим|сто[ия]т|cost|price)\w*[^.?]{0,15}(ответ|запрос|request|answer)"
    )
    return bool(asked and question.has_model and question.frame.output_tokens)


async def write(question: Question, draft: Draft) -> None:
    frame = question.frame
    if (
        question.has(r"(сниз|уменьш|сократ|сэконом|удешев|дешевле|меньше платить|reduce)")
        and not frame.tokens_per_s
    ):
        _reduce(question, draft)
    elif frame.gpu_hour and frame.tokens_per_s:
        _arithmetic(question, draft)
    elif (
        question.has(_PERIOD)
        and (frame.gpu_hour or frame.gpus)
        and not frame.tokens_per_day
        and not _one_answer(question)
    ):
        _rent(question, draft)
    elif question.has_model and frame.gpus:
        _forecast(question, draft)
    elif frame.gpus:
        _device(question, draft)
    else:
        ask(
            draft,
            "Для цены миллиона токенов нужны цена машины в час и скорость в ток/с — либо модель и"
            " GPU, тогда скорость я спрогнозирую. Какая модель, на какой GPU и почём час?",
            "I need the price per hour and the speed in tok/s, or the model and the GPU. Which are"
            " they?",
        )
        draft.work("цена 1M токенов = цена в час / (ток/с × 3600) × 10⁶")


def _arithmetic(question: Question, draft: Draft) -> None:
    frame = question.frame
    assert frame.gpu_hour
    assert frame.tokens_per_s
    count = frame.devices or 1
    each, sign = frame.gpu_hour.value, frame.gpu_hour.currency
    together = count > 1 and not question.has(
        r"(все|вместе|весь сервер|нода|узел|за всё|за все)\s*(стоит|по|за)?"
    )
    hourly = each * count if together else each
    share = frame.utilization or 1.0
    value = money.per_million(hourly, frame.tokens_per_s, share)
    draft.note_figure("per_million", value)
    draft.lead(
        f"**{draft.money(value, sign)} за 1M токенов.**",
        f"**{draft.money(value, sign)} per 1M tokens.**",
    )
    load = f" × {draft.num(share, 2)}" if share < 1 else ""
    draft.work(
        "цена в час / (ток/с × 3600) × 10⁶ ="
        f" {f'{count} × ' if together else ''}{draft.money(each, sign)} /"
        f" ({draft.num(frame.tokens_per_s, 0)}{load} × 3600) × 10⁶ = {draft.money(value, sign)}",
        "price per hour / (tok/s × 3600) × 10⁶ ="
        f" {f'{count} × ' if together else ''}{draft.money(each, sign)} /"
        f" ({frame.tokens_per_s:g}{load} × 3600) × 10⁶ = {draft.money(value, sign)}",
    )
    if share == 1.0:
        half = draft.money(value * 2, sign)
        draft.add(
            f"Это при загрузке 100 % круглые сутки. При загрузке 50 % выйдет {half}: простой"
            " оплачивается так же.",
            f"That is at 100 % load; at 50 % it is {half}.",
        )
        draft.assume("загрузка 100 %", "100 % load")
    draft.assume(
        "скорость — по выходным токенам, вход отдельно не оплачивается",
        "the speed counts output tokens",
    )
    draft.cite(draft.say("цена и скорость — с ваших слов", "price and speed as you gave them"))


def _rent(question: Question, draft: Draft) -> None:
    frame = question.frame
    count = frame.devices or 1
    if frame.gpu_hour:
        each, sign, said = frame.gpu_hour.value, frame.gpu_hour.currency, True
    else:
        price = typical_price(frame.gpus[0])
        if price is None or price.on_demand_usd_per_h is None:
            draft.lead(
                "Цены этой карты в каталоге нет; назовите цену часа.",
                "No price is known; give the price per hour.",
            )
            return
        each, sign, said = price.on_demand_usd_per_h, "$", False
        draft.cite(price.describe(question.services.today))
    days, hours = (
        (1, 24.0)
        if question.has(r"сутк|в день")
        else (
            (7, 168.0)
            if question.has(r"недел")
            else (365, 8760.0)
            if question.has(r"(?<![а-я])год|year")
            else (30, money.HOURS_PER_MONTH)
        )
    )
    total = each * count * hours
    period = {1: "сутки", 7: "неделю", 365: "год"}.get(days, "месяц")
    draft.note_figure("total", total)
    draft.lead(
        f"**{draft.money(total, sign)} за {period}** круглосуточной работы.",
        f"**{draft.money(total, sign)}** for {hours:.0f} hours.",
    )
    draft.work(
        f"{count} × {draft.money(each, sign)}/час × {draft.num(hours, 0)} ч ="
        f" {draft.money(total, sign)}",
        f"{count} × {draft.money(each, sign)}/h × {hours:.0f} h = {draft.money(total, sign)}",
    )
    _each(question, total, sign, period, draft)
    if days == 30:
        draft.assume("месяц — 730 часов (24 × 365 / 12)", "a month is 730 hours")
    if said:
        draft.cite(draft.say("цена — с ваших слов", "the price as you gave it"))


def _each(question: Question, total: float, sign: str, period: str, draft: Draft) -> None:
    """The share of one user, where it is asked for."""
    if not question.has(r"на (1 )?(юзера|пользовател|человек|клиент|сотрудник)|per user"):
        return
    setting = resolve(question.frame, context=4096)
    streams = question.frame.concurrency
    if streams is None and setting is not None and setting.gpu is not None:
        streams = room(setting).most
        draft.assume(
            f"пользователей столько, сколько помещается в память: {streams}",
            f"as many users as memory holds: {streams}",
        )
    if streams:
        draft.lead(
            f"На одного из {streams} — **{draft.money(total / streams, sign)}** за {period}.",
            f"For each of {streams}: **{draft.money(total / streams, sign)}**.",
        )


def _forecast(question: Question, draft: Draft) -> None:
    setting = resolve(question.frame, concurrency=64)
    assert setting is not None
    gpu = setting.gpu
    assert gpu is not None
    found = room(setting)
    if not found.loads:
        draft.lead(
            f"**Не влезает:** {setting.subject.title} в {setting.label} на"
            f" {devices(draft, gpu, setting.count)} (веса {draft.gib(found.weights_bytes)},"
            f" доступно {draft.gib(found.usable_bytes)}), поэтому и цены нет."
        )
        return
    frame = question.frame
    if frame.concurrency is None and found.most < setting.concurrency:
        draft.assume(
            f"одновременных запросов {found.most}: больше не держит память",
            f"{found.most} concurrent requests: memory holds no more",
        )
        setting = setting.change(
            concurrency=found.most,
            assumed=tuple(a for a in setting.assumed if "одновременных" not in a.ru),
        )
    seen = forecast(question, setting)
    if frame.gpu_hour:
        each, sign, source = (
            frame.gpu_hour.value,
            frame.gpu_hour.currency,
            draft.say("цена — с ваших слов", "the price as you gave it"),
        )
    else:
        price = typical_price(gpu.stem)
        if price is None or price.on_demand_usd_per_h is None:
            draft.lead(
                f"Цены {gpu.name} в каталоге нет: назовите цену часа. Скорость:"
                f" {draft.interval(seen.output_tokens_per_s, 'ток/с', 'tok/s')}"
                f" ({seen.speed_provenance.russian})."
            )
            return
        each, sign, source = price.on_demand_usd_per_h, "$", price.describe(question.services.today)
        if price.is_stale(question.services.today):
            draft.warn(
                f"Цена старше 90 дней ({price.provenance.date.isoformat()}): уточните её у"
                " провайдера.",
                "The price is older than 90 days.",
            )
    speed = seen.output_tokens_per_s
    value, low, high = (
        money.per_million(each * setting.count, s)
        for s in (speed.value, max(speed.high, 1e-9), max(speed.low, 1e-9))
    )
    draft.note_figure("per_million", value)
    draft.lead(
        f"**Около {draft.money(value, sign)} за 1M выходных токенов** (прогноз; 90 % интервал"
        f" {draft.money(low, sign)}–{draft.money(high, sign)}): {setting.subject.title} в"
        f" {setting.label} на {devices(draft, gpu, setting.count)} при"
        f" {setting.concurrency} одновременных запросах даёт"
        f" {draft.interval(speed, 'ток/с', 'tok/s')} ({seen.speed_provenance.russian}).",
        f"**About {draft.money(value, sign)} per 1M output tokens**"
        f" ({draft.provenance(seen.speed_provenance)}; 90 % interval"
        f" {draft.money(low, sign)}–{draft.money(high, sign)}) at"
        f" {draft.interval(speed, 'ток/с', 'tok/s')}.",
    )
    draft.work(
        f"{setting.count} × {draft.money(each, sign)}/час / ({draft.num(speed.value, 0)} ток/с ×"
        f" 3600) × 10⁶ = {draft.money(value, sign)}"
    )
    if _one_answer(question):
        one = each * setting.count / 3600 / speed.value * setting.output_tokens
        draft.note_figure("per_request", one)
        draft.lead(
            f"Один ответ (вход {draft.num(setting.input_tokens, 0)}, выход"
            f" {draft.num(setting.output_tokens, 0)}) — около"
            f" **{draft.num(one, 5)} {sign}**, тысяча — {draft.money(one * 1000, sign)}.",
            f"One answer: about {one:.5f} {sign}; a thousand: {draft.money(one * 1000, sign)}.",
        )
    draft.assume("загрузка 100 %: при меньшей цена растёт обратно пропорционально", "100 % load")
    assumptions(draft, setting)
    draft.cite(source)
    cite_setting(draft, setting)
    cite_prediction(draft, seen)
    offer_session(draft, question)


def _device(question: Question, draft: Draft) -> None:
    for gpu in question.gpus[:3]:
        _prices(gpu, question, draft)


def _prices(gpu: CatalogDevice, question: Question, draft: Draft) -> None:
    prices = prices_for(gpu.stem)
    if not prices:
        draft.lead(
            f"Цены {gpu.name} в каталоге нет. Дайте свою (файл цен или «$2/час»), и я посчитаю.",
            f"No price of {gpu.name} is known.",
        )
        return
    today = question.services.today
    known = [p for p in prices if p.on_demand_usd_per_h is not None]
    if known:
        values = [p.on_demand_usd_per_h or 0 for p in known]
        draft.lead(
            f"{gpu.name}: **от {draft.money(min(values))} до {draft.money(max(values))} в час**"
            " on-demand у провайдеров каталога (по состоянию на"
            f" {max(p.provenance.date for p in known).isoformat()}).",
            f"{gpu.name}: **{draft.money(min(values))} to {draft.money(max(values))} per hour** on"
            f" demand (as of {max(p.provenance.date for p in known).isoformat()}).",
        )
    rows = ["| Провайдер | on-demand, $/час | spot, $/час | Дата |", "| --- | --- | --- | --- |"]
    for price in prices:
        spot = draft.money(price.spot_usd_per_h) if price.spot_usd_per_h is not None else "—"
        demand = (
            draft.money(price.on_demand_usd_per_h) if price.on_demand_usd_per_h is not None else "—"
        )
        old = " (старше 90 дней)" if price.is_stale(today) else ""
        rows.append(
            f"| {price.provider} | {demand} | {spot} | {price.provenance.date.isoformat()}{old} |"
        )
        draft.cite(price.describe(today))
    draft.add("\n".join(rows))
    draft.add(
        "Цены меняются: перед решением проверьте у провайдера. Свою цену можно задать файлом, она"
        " важнее каталога."
    )


def _reduce(question: Question, draft: Draft) -> None:
    draft.lead(
        "**Цена токена = цена машины / (ток/с × загрузка)**, поэтому дешевле делают три вещи:"
        " больше токенов с той же карты, выше загрузка, дешевле час.",
        "**Price of a token = price of the machine / (tok/s × utilization)**: more tokens from the"
        " same card, higher utilization, a cheaper hour.",
    )
    _notes.write("cost-reduction", draft)
    if question.has_model and question.frame.gpus:
        _forecast(question, draft)
    draft.work(
        "цена 1M токенов = цена в час / (ток/с × загрузка × 3600) × 10⁶",
        "price of 1M tokens = price per hour / (tok/s × utilization × 3600) × 10⁶",
    )
