"""Two models side by side on one deployment, each in its format."""

from advisor.consultation.answers._common import (
    assumptions,
    cite_gpu,
    cite_model,
    cite_prediction,
    devices,
    forecast,
    offer_session,
    usual_gpu,
)
from advisor.consultation.calculators import money
from advisor.consultation.calculators.memory import fewest, room
from advisor.consultation.question import Question
from advisor.consultation.setting import Setting, resolve
from advisor.consultation.writing import Draft
from knowledge.gpu_prices import typical_price
from knowledge.types import ModelFacts

EXAMPLES = (
    "какую модель взять модель или модель на карта",
    "модель или модель что быстрее",
    "модель против модель",
    "сравни модель и модель",
    "модель fp8 или модель int4",
)
NEEDS = ("has_two_models",)
COVERS = ("fit", "speed", "precision", "gpu_choice")
_BUSY = 32
"""Concurrent requests of a usual load, where prices are compared."""
_OR = r"\bили\b|против|\bvs\b|\bor\b|сравн|лучше|быстрее|versus|compare|медленнее|дешевле"


def score(question: Question) -> float:
    if question.has(r"(?<![a-zа-я])(kv|кв)(?![a-zа-я])|маршрут|routing|остальн|сложн"):
        return 0
    if question.frame.shares or question.frame.per_million or len(question.frame.gpus) > 1:
        return 0
    if question.has(_OR):
        return 8.9
    return 8.0 if question.follow_up and question.has(r"скорост|памят|ttft|tpot|цен") else 0


async def write(question: Question, draft: Draft) -> None:
    schemes = question.frame.schemes
    paired = len(schemes) == len(question.models[:3])
    every = []
    for index, model in enumerate(question.models[:3]):
        frame = question.frame.replace(models=(model.stem,), parameters=None, model_guessed=())
        if paired:
            frame = frame.replace(weights=schemes[index], schemes=(schemes[index],))
        setting = resolve(frame)
        assert setting is not None
        if setting.gpu is None:
            setting = usual_gpu(setting, question, draft)
        every.append(setting)
        cite_model(draft, model)
    speeds: list[tuple[float, Setting]] = []
    rows = [_row(question, setting, draft, speeds) for setting in every]
    head = draft.say(
        "| Модель | Где | Веса | Влезает | Запросов в памяти | TTFT | TPOT | Всего |",
        "| Model | Where | Weights | Fits | Requests | TTFT | TPOT | Total |",
    )
    _lead(speeds, draft)
    _experts([setting.facts for setting in every], draft)
    if question.has(r"дешев|дорож|сто[ия]|цен[аыу]|эконом|деньг|cost|cheap|price"):
        _prices(question, every, draft)
    draft.add("\n".join([head, "| --- | --- | --- | --- | --- | --- | --- | --- |", *rows]))
    draft.add(
        "Скорости — прогноз с 90 % интервалом. Какая из них лучше отвечает, скажет только"
        " проверка на"
        " ваших задачах: большая модель в INT4 обычно сильнее меньшей в FP8 (по опубликованным"
        " работам), но медленнее и держит меньше запросов; начните с меньшей, которая проходит ваш"
        " тест.",
        "Speeds are predicted; quality must be tested on your tasks.",
    )
    assumptions(draft, every[0], skip=("веса", "модель "))
    cite_gpu(draft, every[0].gpu)
    offer_session(draft, question)


def _row(
    question: Question, setting: Setting, draft: Draft, speeds: list[tuple[float, Setting]]
) -> str:
    found = room(setting)
    where = devices(draft, setting.card, setting.count)
    title = f"{setting.subject.title}, {setting.label}"
    if not found.loads:
        least = fewest(setting)
        need = f"нет, нужно {least[0]}" if least else "нет"
        return f"| {title} | {where} | {draft.gib(found.weights_bytes)} | {need} | 0 | — | — | — |"
    seen = forecast(question, setting)
    speeds.append((seen.tpot_ms.value, setting))
    cite_prediction(draft, seen)
    return (
        f"| {title} | {where} | {draft.gib(found.weights_bytes)} | {draft.say('да', 'yes')} |"
        f" {found.most} | {draft.interval(seen.ttft_ms, 'мс', 'ms')} |"
        f" {draft.interval(seen.tpot_ms, 'мс', 'ms')} |"
        f" {draft.interval(seen.output_tokens_per_s, 'ток/с', 'tok/s')} |"
    )


def _prices(question: Question, every: list[Setting], draft: Draft) -> None:
    """The price of tokens of each under load, and how many times cheaper the cheapest is."""
    found = []
    for setting in every:
        price, most = typical_price(setting.card.stem), room(setting).most
        if price is None or price.on_demand_usd_per_h is None or not most:
            continue
        streams = min(_BUSY, most)
        speed = forecast(question, setting.change(concurrency=streams)).output_tokens_per_s.value
        value = money.per_million(price.on_demand_usd_per_h * setting.count, speed)
        found.append((value, setting, streams))
        draft.cite(price.describe(question.services.today))
    if len(found) < 2:
        return
    found.sort(key=lambda item: item[0])
    said = "; ".join(
        f"{setting.subject.title} на {devices(draft, setting.card, setting.count)} — около"
        f" {draft.money(value)} при {streams} одновременных"
        for value, setting, streams in found
    )
    draft.lead(
        f"**По цене — {found[0][1].subject.title}: дешевле в"
        f" {draft.num(found[-1][0] / found[0][0], 1)} раза** за 1M выходных токенов ({said};"
        " прогноз при полной загрузке).",
        f"**Cheaper: {found[0][1].subject.title}**, {found[-1][0] / found[0][0]:.1f} times per"
        " 1M output tokens (predicted).",
    )


def _experts(facts: list[ModelFacts], draft: Draft) -> None:
    """Why a mixture of experts is faster than a dense model of its size."""
    sparse = [one for one in facts if one.experts]
    if not sparse or len(sparse) == len(facts):
        return
    one = sparse[0]
    active = one.active_parameters or one.parameters
    draft.lead(
        f"Причина — MoE: на токен работают только {draft.num(active / 1e9, 1)} млрд активных"
        f" параметров из {draft.num(one.parameters / 1e9, 1)} (экспертов {one.experts_per_token} из"
        f" {one.experts}), их и читают из памяти; плотная модель читает все веса. В памяти всё"
        " равно лежат все эксперты, а при большом batch разные токены задействуют почти всех, и"
        " выигрыш на decode уменьшается.",
        f"A mixture of experts reads {active / 1e9:.1f}B of {one.parameters / 1e9:.1f}B parameters"
        " per token.",
    )


def _lead(speeds: list[tuple[float, Setting]], draft: Draft) -> None:
    if not speeds:
        draft.lead("**Ни одна из моделей там не помещается.**", "**None of them fits.**")
        return
    speeds.sort(key=lambda pair: pair[0])
    fast, best = speeds[0]
    if len(speeds) == 1:
        draft.lead(
            f"**Помещается только {best.subject.title} в {best.label}** (расчёт по памяти).",
            f"**Only {best.subject.title} in {best.label} fits.**",
        )
        return
    slow, other = speeds[-1]
    draft.lead(
        f"**По скорости — {best.subject.title} в {best.label}, она быстрее:** TPOT в"
        f" {draft.num(slow / fast, 2)} раза ниже, чем у {other.subject.title} в"
        f" {other.label} (прогноз).",
        f"**Faster: {best.subject.title} in {best.label}**, {slow / fast:.2f} times by TPOT"
        " (predicted).",
    )
