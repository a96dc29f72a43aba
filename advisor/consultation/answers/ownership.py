"""A card that is bought: its hour, its electricity, and when buying beats renting."""

from advisor.consultation.answers._common import cite_gpu, cite_prediction, devices, forecast
from advisor.consultation.calculators import money
from advisor.consultation.question import Question
from advisor.consultation.setting import resolve
from advisor.consultation.writing import Draft
from knowledge.gpu_prices import typical_price

_POWER = r"электри|энерг|ватт|квт|kwh|свет[а]?\b|розетк|power"
_OVERHEAD = 1.5
"""Power of the host and cooling over that of the cards."""


EXAMPLES = (
    "за сколько окупится покупка карта за # против аренды по # в час",
    "сколько стоит миллион токенов на своей купленной карте",
    "сколько электричества ест # карта и сколько это денег",
    "купить или арендовать карта",
    "amortization of a bought gpu",
)
NEEDS = ("purchase_or_power",)
COVERS = ("cost",)
PART = True


def score(question: Question) -> float:
    frame = question.own
    if frame.purchase and question.frame.gpus:
        return 9.4
    if question.frame.gpus and question.has(_POWER) and (frame.kwh or question.has(r"сколько|как")):
        return 9.0
    return 0


async def write(question: Question, draft: Draft) -> None:
    frame = question.frame
    gpu, count = question.gpus[0], frame.devices or 1
    watts = (gpu.device.power_w or 300) * count
    if not frame.purchase:
        _electricity(question, watts, draft)
        cite_gpu(draft, gpu)
        return
    years = frame.years or 3.0
    if not frame.years:
        draft.assume("карта служит 3 года", "the card serves 3 years")
    price, sign = frame.purchase.value * count, frame.purchase.currency
    hourly = price / (years * 8760)
    draft.note_figure("per_hour", hourly)
    power = _power_per_hour(question, watts, sign, draft)
    total = hourly + power
    draft.lead(
        f"**Час своей {devices(draft, gpu, count)} — {draft.money(total, sign)}**: покупка"
        f" {draft.money(hourly, sign)}, электричество {draft.money(power, sign)}.",
        f"**An hour of your own {devices(draft, gpu, count)} costs {draft.money(total, sign)}**.",
    )
    draft.work(
        f"{draft.money(price, sign)} / ({draft.num(years, 1)} года × 8760 ч) ="
        f" {draft.money(hourly, sign)}/час при работе круглые сутки"
    )
    rent = frame.gpu_hour.value * count if frame.gpu_hour else _rent(question, draft)
    if rent and (frame.gpu_hour is None or frame.gpu_hour.currency == sign):
        _against_rent(price, power, rent, sign, draft)
    _per_million(question, total, sign, draft)
    draft.add(
        "Не учтены сервер, стойка, сеть, работа инженеров, простой и остаточная цена: обычно они"
        " добавляют к цене часа ещё 30–100 % (оценка).",
        "The host, the rack, engineers and idle time are not counted.",
    )
    draft.cite(draft.say("цена покупки — с ваших слов", "the purchase price as you gave it"))
    cite_gpu(draft, gpu)


def _rent(question: Question, draft: Draft) -> float | None:
    price = typical_price(question.frame.gpus[0])
    if price is None or price.on_demand_usd_per_h is None:
        return None
    draft.cite(price.describe(question.services.today))
    return price.on_demand_usd_per_h * (question.frame.devices or 1)


def _against_rent(price: float, power: float, rent: float, sign: str, draft: Draft) -> None:
    if rent <= power:
        draft.lead("Аренда дешевле одного электричества: покупка не окупится.")
        return
    hours = price / (rent - power)
    draft.note_figure("hours", hours)
    draft.lead(
        f"Против аренды по {draft.money(rent, sign)}/час покупка окупится через"
        f" **{draft.num(hours, 0)} ч работы**, это {draft.num(hours / money.HOURS_PER_MONTH, 1)}"
        " месяца круглосуточно и вдвое дольше при загрузке 50 %.",
        f"Against {draft.money(rent, sign)}/h it pays back in **{hours:.0f} h**.",
    )
    draft.work(
        f"{draft.money(price, sign)} / ({draft.money(rent, sign)} − {draft.money(power, sign)}) ="
        f" {draft.num(hours, 0)} ч"
    )


def _power_per_hour(question: Question, watts: float, sign: str, draft: Draft) -> float:
    kwh = question.frame.kwh
    each = kwh.value if kwh and kwh.currency == sign else {"$": 0.10, "₽": 7.0, "€": 0.2}[sign]
    if not kwh:
        draft.assume(
            f"электричество {draft.money(each, sign)} за кВт·ч", f"{each:g} {sign} per kWh"
        )
    value = watts / 1000 * _OVERHEAD * each
    draft.work(
        f"электричество: {draft.num(watts, 0)} Вт × {draft.num(_OVERHEAD, 1)} (сервер и охлаждение)"
        f" × {draft.money(each, sign)}/кВт·ч = {draft.money(value, sign)}/час"
    )
    return value


def _per_million(question: Question, hourly: float, sign: str, draft: Draft) -> None:
    frame = question.frame
    speed = frame.tokens_per_s
    if speed:
        value = money.per_million(hourly, speed)
        draft.lead(f"1M токенов при {draft.num(speed, 0)} ток/с — {draft.money(value, sign)}.")
        return
    setting = resolve(frame, concurrency=64)
    if setting is None:
        draft.offer(
            "Назовите модель или скорость в ток/с — посчитаю цену 1M токенов: цена часа / (ток/с ×"
            " 3600) × 10⁶.",
            "Name the model or tok/s for the price of 1M tokens.",
        )
        draft.work(
            f"1M токенов: {draft.money(hourly, sign)} / (ток/с × 3600) × 10⁶; например, при 1 000"
            f" ток/с — {draft.money(money.per_million(hourly, 1000), sign)}"
        )
        return
    seen = forecast(question, setting)
    value = money.per_million(hourly, seen.output_tokens_per_s.value)
    draft.note_figure("per_million", value)
    draft.lead(
        f"1M выходных токенов {setting.subject.title} при 64 одновременных — около"
        f" {draft.money(value, sign)}"
        f" ({draft.interval(seen.output_tokens_per_s, 'ток/с', 'tok/s')},"
        f" {seen.speed_provenance.russian}).",
        f"1M output tokens: about {draft.money(value, sign)}.",
    )
    cite_prediction(draft, seen)


def _electricity(question: Question, watts: float, draft: Draft) -> None:
    gpu, count = question.gpus[0], question.frame.devices or 1
    whole = watts * _OVERHEAD
    month = whole / 1000 * money.HOURS_PER_MONTH
    draft.note_figure("kwh_month", month)
    kwh = question.frame.kwh
    cost = f", **{draft.money(month * kwh.value, kwh.currency)} в месяц**" if kwh else ""
    draft.lead(
        f"{devices(draft, gpu, count)} — до **{draft.num(watts / 1000, 2)} кВт** по паспорту,"
        f" с сервером и охлаждением около {draft.num(whole / 1000, 2)} кВт: за месяц под полной"
        f" нагрузкой {draft.num(month, 0)} кВт·ч{cost}.",
        f"{devices(draft, gpu, count)}: up to **{watts / 1000:.2f} kW**, about"
        f" {whole / 1000:.2f} kW with host and cooling.",
    )
    draft.work(
        f"{count} × {draft.num(watts / count, 0)} Вт × {draft.num(_OVERHEAD, 1)} × 730 ч ="
        f" {draft.num(month, 0)} кВт·ч"
        + (
            f" × {draft.money(kwh.value, kwh.currency)} ="
            f" {draft.money(month * kwh.value, kwh.currency)}"
            if kwh
            else ""
        )
    )
    draft.assume(
        f"сервер и охлаждение добавляют {round((_OVERHEAD - 1) * 100)} %; нагрузка полная, на деле"
        " decode потребляет меньше паспортного",
        "host and cooling add 50 %",
    )
