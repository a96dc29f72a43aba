"""Sums with the user's own figures: bills, break-even, payback, cards for a load, jobs, spot."""

from advisor.consultation.question import Question
from advisor.consultation.sums import options
from advisor.consultation.sums.asked import PHRASES, Target, targets
from advisor.consultation.sums.relations import Found, follow
from advisor.consultation.sums.said import Said, read
from advisor.consultation.writing import Draft

EXAMPLES = ()
COVERS = ("cost", "volume", "batch_job", "ownership", "capacity")
PART = True

_MONEY = {
    "price_h", "price_card_h", "price_day", "price_month", "opex_month", "purchase", "kwh",
    "power_h", "bill_day", "bill_month", "bill_year", "bill_full", "saving", "saved_day",
    "saved_month", "api_in", "api_out", "api_price", "api_day", "api_month", "own_month",
    "cost_million", "cost_request", "saved_by_speed", "job_cost", "spot_h",
    "on_demand_h", "spot_real_h", "claimed_month",
}  # fmt: skip
_SPEEDS = {
    "tps_mean", "tps_peak", "tps_wanted", "tps_card", "tps_replica", "tps_total", "prefill_tps",
    "decode_tps", "even_tps", "stream_tps",
}  # fmt: skip
_LATENCIES = {"ttft_s", "e2e_s", "tpot_s"}
_UNITS: tuple[tuple[set[str], float, str, str, int], ...] = (
    ({"hours_day", "hours_month", "deadline_h", "interrupted_h"}, 1, "ч", "h", 0),
    ({"job_h", "restart_h"}, 1, "ч", "h", 2),
    ({"saving_share", "saved_share", "spot_saving", "spot_lost"}, 100, "%", "%", 1),
    (
        {"tokens_day", "tokens_total", "even_tokens_day", "even_tokens_month", "tokens_in_total"},
        1e-6,
        "млн токенов",
        "M tokens",
        1,
    ),
    ({"payback_months"}, 1, "мес", "months", 1),
    ({"payback_days"}, 1, "дней", "days", 0),
    ({"watts"}, 1, "Вт", "W", 0),
    ({"period_s"}, 1, "с", "s", 0),
)
"""Names, what they are multiplied by to be shown, the unit in both languages, decimals."""
_USUAL = {
    "utilization": ("загрузка 100 %: при меньшей миллион дороже обратно пропорционально",
                    "100 % load"),
    "headroom": ("карты загружены полностью; запас под всплески добавьте", "no headroom"),
    "hours_month": ("месяц — 730 часов (24 × 365 / 12), круглые сутки", "a month is 730 hours"),
}  # fmt: skip
_TIMES = {
    "ttft_s", "e2e_s", "tpot_s", "in_flight", "rps_most", "replicas_needed", "tps_total", "rps",
}  # fmt: skip
_REFINED = {"fx", "cost_request", "utilization", "tps_card", "headroom"}
_EFFORT = {"cost_million", "tps_mean"}
"""Other answers say these as well, and more beside them where a model is named."""


def score(question: Question) -> float:
    return 9.9 if options.compared(question) or _mine(question) else 0


def _mine(question: Question) -> bool:
    """Whether something asked follows from the user's own figures, and nothing was unclear."""
    said, _, asked = _reckoned(question)
    names, own = {target.name for target in asked}, set(said.values)
    if not asked or said.unclear:
        return False
    if names <= _TIMES:
        placed = question.has_model or question.frame.gpus
        return not placed and not question.has(r"почему|медлен|тормоз|что делать")
    if "stream_tps" in names:
        return True
    if names <= _EFFORT and not question.follow_up and not own & _REFINED:
        return False
    return bool(own & (_MONEY | _SPEEDS | {"peak_factor", "tokens_total"}))


def _reckoned(question: Question) -> tuple[Said, Found, list[Target]]:
    """What was said, what follows, and what of the asked was reckoned. Nothing where a part of
    the question stays open that only this answer could close."""
    said = read(question.raw, question.history if question.follow_up else ())
    found = follow(said.values)
    asked = [target for target in targets(question) if target.name in found.by]
    kept = [t for t in asked if not any(t.name in o.companions for o in asked)]
    return said, found, kept


async def write(question: Question, draft: Draft) -> None:
    if options.compared(question):
        options.write(question, draft)
        return
    said, found, asked = _reckoned(question)
    shown = {name: _shown(name, value, said, draft) for name, value in found.values.items()}
    _claim(found, shown, draft)
    _verdict(found, asked, draft)
    for target in asked:
        names = [target.name, *(n for n in target.companions if n in found.values)]
        parts = [draft.say(*PHRASES[name]).format(**shown) for name in names]
        text = "; ".join(parts)
        draft.lead(f"{text[0].upper()}{text[1:]}.")
        for name in names:
            draft.note_figure(name, found.values[name])
            for step in found.path(name):
                how = found.by[step].how
                usual = {k: _shown(k, v, said, draft) for k, v in found.assumed.items()}
                if how:
                    draft.work(how.format(**{**usual, **shown}))
    used = {step for t in asked for name in (t.name, *t.companions) for step in found.path(name)}
    for name in sorted({k for step in used for k in found.by[step].usual} & set(found.assumed)):
        if name in _USUAL:
            draft.assume(*_USUAL[name])
    cards = found.values.get("cards", 1.0)
    if said.each_is_guessed and cards > 1 and "price_h" in used:
        draft.assume(
            f"цена часа — за одну карту; если за все {cards:.0f}, разделите на {cards:.0f}",
            "the price is that of one card",
        )
    draft.cite(draft.say("числа — с ваших слов", "the figures as you gave them"))


def _claim(found: Found, shown: dict[str, str], draft: Draft) -> None:
    """«получил 2000 в месяц, верно?»"""
    claimed, real = found.values.get("claimed_month"), found.values.get("bill_month")
    if claimed is None or real is None:
        return
    if abs(claimed / real - 1) <= 0.03:
        draft.lead("**Да, сходится.**", "**Yes, that is right.**")
    else:
        draft.lead(
            f"**Нет, не сходится:** выходит {shown['bill_month']}, а не {shown['claimed_month']}.",
            f"**No:** it is {shown['bill_month']}, not {shown['claimed_month']}.",
        )


def _verdict(found: Found, asked: list[Target], draft: Draft) -> None:
    """Which of the two is cheaper."""
    if not any(target.name == "api_month" for target in asked):
        return
    api, own = found.values["api_month"], found.values.get("own_month")
    if own is None:
        return
    times = draft.num(max(api, own) / min(api, own), 1)
    if api < own:
        draft.lead(f"**API дешевле в {times} раза.**", f"**The API is {times} times cheaper.**")
    else:
        draft.lead(f"**Своя машина дешевле в {times} раза, чем API,** если она столько успевает.",
                   f"**The own machine is {times} times cheaper.**")  # fmt: skip
    draft.add(
        "Здесь нет работы инженеров, простоя и запаса под пик: с ними своя машина дороже. Качество"
        " своей модели и модели API сравните на своих задачах.",
        "Engineering time and headroom are not counted.",
    )


def _shown(name: str, value: float, said: Said, draft: Draft) -> str:
    """The value with its unit."""
    if name in _MONEY:
        return draft.money(value, said.currency)
    if name.endswith("_fx"):
        return draft.money(value, "₽")
    if name in _LATENCIES:
        return draft.ms(value * 1000)
    for names, factor, ru, en, digits in _UNITS:
        if name in names:
            return draft.unit(value * factor, ru, en, digits)
    if name in _SPEEDS:
        return draft.unit(value, "ток/с", "tok/s", 0 if value >= 100 else 1)
    return draft.num(value, 0 if value == int(value) else 2)
