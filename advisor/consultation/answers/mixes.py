"""Routing by complexity and caches: what a share of the traffic saves."""

from advisor.consultation.answers import _notes
from advisor.consultation.answers._common import devices, forecast
from advisor.consultation.calculators import money
from advisor.consultation.calculators.memory import fewest
from advisor.consultation.question import Question
from advisor.consultation.setting import device_of, resolve
from advisor.consultation.writing import Draft
from knowledge.gpu_prices import typical_price
from knowledge.known_models import Architecture

_CACHE = (
    r"(семантич\w+|semantic|hit.?rate|попадан\w+|кешир\w+ ответ|кэшир\w+ ответ|кеш\w* ответ|кэш\w*"
    r" ответ|кеша?\b.*(эконом|сэконом)|кэша?\b.*(эконом|сэконом))"
)
_PREFIX = r"prefix|префикс|kv[- ]?(?:cache|к[эе]ш)"
_ROUTE = (
    r"маршрут|routing|роутинг|роутер|каскад|cascade|router|остальные на|простые запросы|сложные"
    r" (запросы )?на"
)


EXAMPLES = (
    "сколько сэкономим если # % запросов слать на маленькую модель",
    "маршрутизация # % на модель остальные на модель",
    "экономия от кеша ответов при hit rate #",
    "каскад моделей сколько сэкономит",
    "если отправлять простые запросы на модель вместо модель",
)


def score(question: Question) -> float:
    frame = question.frame
    if _routed(question):
        return 9.4
    if question.has(_ROUTE):
        return 9.4 if frame.shares and len(frame.per_million) >= 2 else 8
    if question.has(_CACHE) and not question.has(_PREFIX):
        return 9.2 if frame.shares else 8.2
    return 0


def _routed(question: Question) -> bool:
    """A share of the requests goes to the smaller of two named models."""
    return bool(len(question.models) >= 2 and question.frame.shares)


async def write(question: Question, draft: Draft) -> None:
    frame = question.frame
    if _routed(question) and len(frame.per_million) < 2:
        _two_models(question, draft)
        _notes.write("routing", draft)
        return
    if question.has(_ROUTE):
        if frame.shares and len(frame.per_million) >= 2:
            share, (small, large) = frame.shares[0], frame.per_million[:2]
            value = share * small.value + (1 - share) * large.value
            saved = 1 - value / large.value
            sign = small.currency
            draft.note_figure("per_million", value)
            draft.lead(
                f"**Средняя цена — {draft.money(value, sign)} за 1M токенов**, на"
                f" {draft.num(saved * 100, 0)} % дешевле, чем всё на большой модели.",
                f"**{draft.money(value, sign)} per 1M tokens on average.**",
            )
            draft.work(
                f"{draft.num(share * 100, 0)} % × {draft.money(small.value, sign)} +"
                f" {draft.num((1 - share) * 100, 0)} % × {draft.money(large.value, sign)} ="
                f" {draft.money(value, sign)}"
            )
            draft.add(
                "Если роутер ошибается и запрос приходится повторять на большой модели, каждый"
                " процент таких повторов добавляет к цене 1 % цены большой модели. Долю ошибок"
                " измеряют на своей разметке."
            )
        _notes.write("routing", draft)
        return
    if frame.shares:
        share = frame.shares[0]
        if frame.budget_month:
            value, sign = frame.budget_month.value * share, frame.budget_month.currency
            draft.note_figure("saved", value)
            draft.lead(
                f"**Около {draft.money(value, sign)} в месяц**, верхняя оценка.",
                f"**About {draft.money(value, sign)} a month**, an upper bound.",
            )
            draft.work(
                f"{draft.money(frame.budget_month.value, sign)} × {draft.num(share * 100, 0)} % ="
                f" {draft.money(value, sign)}; минус сам кеш (эмбеддинги, хранилище) и ложные"
                " попадания"
            )
            draft.add(
                "Экономия превращается в деньги, только если после неё машин становится меньше."
            )
        else:
            draft.lead(
                f"При доле попаданий {draft.num(share * 100, 0)} % модель обслуживает лишь"
                f" {draft.num((1 - share) * 100, 0)} % запросов: столько же экономится её времени,"
                " если попадания — запросы средней длины."
            )
    _notes.write("semantic-cache", draft)


def _two_models(question: Question, draft: Draft) -> None:
    """Prices of both models from their predicted speed on the said or usual cards."""
    small, large = sorted(question.models[:2], key=lambda model: model.facts.active_parameters)
    share = question.frame.shares[0]
    prices = [_price_of(question, model, draft) for model in (small, large)]
    if None in prices:
        draft.lead("Цены этой карты в каталоге нет: назовите цену часа.", "No price is known.")
        return
    cheap, dear = (price or 0.0 for price in prices)
    value = share * cheap + (1 - share) * dear
    saved = 1 - value / dear
    draft.note_figure("saved", saved)
    draft.lead(
        f"**Около {draft.num(saved * 100, 0)} %** (расчёт по прогнозу скоростей): средняя цена"
        f" {draft.money(value)} за 1M выходных токенов вместо {draft.money(dear)}, если"
        f" {draft.num(share * 100, 0)} % запросов ответит {small.title}, а остальные"
        f" {large.title}.",
        f"**About {saved:.0%}**: {draft.money(value)} per 1M output tokens, not"
        f" {draft.money(dear)}.",
    )
    draft.work(
        f"{draft.num(share * 100, 0)} % × {draft.money(cheap)} +"
        f" {draft.num((1 - share) * 100, 0)} % ×"
        f" {draft.money(dear)} = {draft.money(value)}; экономия = 1 − {draft.money(value)} /"
        f" {draft.money(dear)} = {draft.num(saved * 100, 0)} %"
    )
    error = 0.05
    with_errors = value + error * dear
    draft.work(
        f"если {draft.num(error * 100, 0)} % всех запросов придётся повторить на большой:"
        f" {draft.money(value)} + {draft.num(error * 100, 0)} % × {draft.money(dear)} ="
        f" {draft.money(with_errors)}, экономия {draft.num((1 - with_errors / dear) * 100, 0)} %"
    )
    draft.add(
        "Экономия превращается в деньги, только когда освободившиеся карты большой модели отключают"
        " или занимают другим."
    )


def _price_of(question: Question, model: Architecture, draft: Draft) -> float | None:
    """USD per 1M output tokens at a usual load on the fewest cards that hold the model."""
    frame = question.frame.replace(models=(model.stem,), parameters=None)
    setting = resolve(frame, concurrency=32)
    assert setting is not None
    gpu = setting.gpu or device_of("h100-sxm")
    setting = setting.change(gpu=gpu)
    least = fewest(setting, setting.concurrency)
    setting = setting.change(count=least[0] if least else 8, tp=None, pp=None)
    price = typical_price(gpu.stem)
    said = question.frame.gpu_hour
    each = said.value if said else price.on_demand_usd_per_h if price else None
    if each is None:
        return None
    speed = forecast(question, setting).output_tokens_per_s
    value = money.per_million(each * setting.count, speed.value)
    draft.work(
        f"{model.title} в {setting.label} на {devices(draft, gpu, setting.count)} при"
        f" {setting.concurrency} одновременных: {draft.interval(speed, 'ток/с', 'tok/s')}"
        f" (прогноз), {draft.money(each * setting.count)}/час → {draft.money(value)} за 1M"
    )
    if not question.frame.gpus:
        draft.assume(f"карты {gpu.name}, наименьшее число, которое держит 32 запроса")
    if price and not said:
        draft.cite(price.describe(question.services.today))
    return value
