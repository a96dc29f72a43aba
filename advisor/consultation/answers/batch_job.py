"""A job of a known size: how long it takes, or how many devices finish it in time."""

from math import ceil

from advisor.consultation.answers._common import (
    assumptions,
    cite_prediction,
    cite_setting,
    devices,
    needs_model,
    offer_session,
    usual_gpu,
)
from advisor.consultation.calculators.capacity import Goals, best_point
from advisor.consultation.calculators.memory import fewest
from advisor.consultation.question import Question
from advisor.consultation.setting import Setting, resolve
from advisor.consultation.writing import Draft
from knowledge.gpu_prices import typical_price

EXAMPLES = (
    "обработать # документов по # токенов сколько времени",
    "нужно обработать # млн токенов за ночь сколько карт",
    "оффлайн обработка # текстов на модели",
    "сколько займет прогон # документов через модель",
    "how long to process # documents",
)
NEEDS = ("job",)
COVERS = (
    "speed",
    "volume",
    "batching",
    "capacity",
)
PART = True


def score(question: Question) -> float:
    own = question.own
    if not (own.documents or own.tokens_total):
        return 0
    if question.has(r"api|(?<!п)окуп|выгодн") and not own.documents:
        return 0
    return 9.3 if question.has_model or own.hours else 7


async def write(question: Question, draft: Draft) -> None:
    frame = question.frame
    setting = resolve(frame)
    if setting is None:
        needs_model(draft)
        return
    if setting.gpu is None:
        setting = usual_gpu(setting, question, draft)
    if not frame.devices:
        least = fewest(setting.change(concurrency=1))
        setting = setting.change(count=least[0] if least else 1)
    point = best_point(setting, Goals())
    if point is None:
        draft.lead(
            f"{setting.subject.title} в {setting.label} на"
            f" {devices(draft, setting.card, setting.count)} не помещается.",
            "It does not fit.",
        )
        return
    requests = _requests(question, setting, draft)
    speed = point.seen.output_tokens_per_s
    rate = point.requests_per_s
    hours = requests / rate / 3600
    low, high = (requests * setting.output_tokens / s / 3600 for s in (speed.high, speed.low))
    where = devices(draft, setting.card, setting.count)
    draft.note_figure("hours", hours)
    draft.lead(
        f"На {where} это займёт около **{draft.num(hours, 1)} ч** (прогноз, 90 % интервал"
        f" {draft.num(low, 1)}–{draft.num(high, 1)} ч): {setting.subject.title} в {setting.label},"
        f" batch до **{point.streams}** одновременных, {draft.interval(speed, 'ток/с', 'tok/s')} на"
        f" выходе ({point.seen.speed_provenance.russian}).",
        f"On {where} it takes about **{hours:.1f} h** (90 % interval {low:.1f}–{high:.1f} h;"
        f" {draft.provenance(point.seen.speed_provenance)}).",
    )
    if frame.hours and question.has(r"за (?:1 )?ноч|overnight"):
        draft.assume(f"ночь — {draft.num(frame.hours, 0)} ч", f"a night is {frame.hours:g} hours")
    if frame.hours:
        count = max(1, ceil(hours / frame.hours))
        most = max(1, ceil(high / frame.hours))
        draft.note_figure("devices", count * setting.count)
        draft.lead(
            f"Чтобы уложиться в {draft.num(frame.hours, 0)} ч, нужно"
            f" **{devices(draft, setting.card, count * setting.count)}** (по медленному краю"
            f" интервала — {most * setting.count}).",
            f"For {frame.hours:g} h you need"
            f" **{devices(draft, setting.card, count * setting.count)}**.",
        )
    draft.work(
        f"{draft.num(requests, 0)} запросов × {setting.output_tokens} токенов ответа /"
        f" {draft.num(speed.value, 0)} ток/с = {draft.num(hours, 1)} ч; вход"
        f" {draft.num(setting.input_tokens, 0)} токенов уже учтён в скорости",
        f"{requests:.0f} requests × {setting.output_tokens} tokens / {speed.value:.0f} tok/s",
    )
    price = typical_price(setting.card.stem)
    if price and price.on_demand_usd_per_h is not None:
        total = hours * setting.count * price.on_demand_usd_per_h
        draft.add(
            f"Аренда на всю работу: около {draft.money(total)}"
            f" ({draft.money(price.on_demand_usd_per_h)}/час за карту).",
            f"Renting for the job: about {draft.money(total)}.",
        )
        draft.cite(price.describe(question.services.today))
    draft.add(
        "В пакетной работе задержка не важна, поэтому batch берут наибольший, какой держит память:"
        " `--max-num-seqs` выше, `--max-num-batched-tokens` 8192–16384, запросы подавать все сразу;"
        " общий системный промпт — с prefix caching. Квантование в FP8 и spot делают такую работу"
        " дешевле.",
        "Latency does not matter here: the largest batch that memory holds.",
    )
    assumptions(draft, setting, skip=("одновременных",))
    cite_setting(draft, setting)
    cite_prediction(draft, point.seen)
    offer_session(draft, question)


def _requests(question: Question, setting: Setting, draft: Draft) -> float:
    """Requests of the job; tokens are taken as the answers' if nothing else was said."""
    frame = question.frame
    if frame.documents:
        return frame.documents
    assert frame.tokens_total
    if question.has(r"входн|прочита|input|обработ|прожева|проанализ|классифиц"):
        draft.assume(
            f"{draft.num(frame.tokens_total / 1e6, 1)} млн токенов — это вход; ответов по"
            f" {setting.output_tokens} токенов на каждые {setting.input_tokens} входа",
            "the tokens are the input",
        )
        return frame.tokens_total / setting.input_tokens
    draft.assume("токены работы — это выход", "the tokens are the output")
    return frame.tokens_total / setting.output_tokens
