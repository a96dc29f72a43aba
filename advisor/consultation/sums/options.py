"""Several cards, each with its own price and speed: which is cheapest within the SLO."""

import re
from dataclasses import dataclass

from advisor.consultation.calculators.money import per_million
from advisor.consultation.question import Question
from advisor.consultation.sums.amounts import Amount, amounts
from advisor.consultation.understanding.frame import Currency
from advisor.consultation.understanding.reading import masked
from advisor.consultation.writing import Draft

_LIMIT = r"slo|sla|не больше|не выше|не более|до\s*$|максимум|предел|<|лимит"


@dataclass(frozen=True)
class Option:
    """A card with what was said of it; `tpot_ms` only where it was."""

    name: str
    price_h: float
    speed: float
    currency: Currency
    tpot_ms: float | None = None

    @property
    def cost(self) -> float:
        """Per 1M tokens."""
        return per_million(self.price_h, self.speed)


def compared(question: Question) -> list[Option]:
    """The options of a question; empty unless two cards at least have a price and a speed."""
    cards = [match.start() for match in re.finditer(r"⟦[GU]+⟧?", masked(question.raw))]
    named = [gpu.name for gpu in question.gpus]
    if len(named) < 2 or len(cards) < len(named):
        return []
    found = []
    numbers = amounts(question.raw)
    for k, name in enumerate(named):
        until = cards[k + 1] if k + 1 < len(cards) else 10**9
        inside = [one for one in numbers if cards[k] < one.start < until]
        option = _option(name, inside)
        if option:
            found.append(option)
    return found if len(found) >= 2 else []


def _option(name: str, inside: list[Amount]) -> Option | None:
    price = next((one for one in inside if one.unit in ("money/h", "money")), None)
    speed = next((one for one in inside if one.unit == "tok/s"), None)
    if price is None or speed is None:
        return None
    times = [one for one in inside if one.unit == "ms" and not one.led_by(_LIMIT)]
    return Option(name, price.value, speed.value, price.currency,
                  times[0].value if times else None)  # fmt: skip


def limit_ms(question: Question) -> float | None:
    """The TPOT that must not be exceeded."""
    limits = [one for one in amounts(question.raw) if one.unit == "ms" and one.near(_LIMIT)]
    return limits[-1].value if limits else None


def write(question: Question, draft: Draft) -> None:
    """The cheapest of those that keep the limit, and all of them in a table."""
    found, limit = compared(question), limit_ms(question)
    fit = [one for one in found if limit is None or one.tpot_ms is None or one.tpot_ms <= limit]
    out = [one for one in found if one not in fit]
    if not fit:
        draft.lead(f"**Ни одна из карт не держит TPOT {draft.ms(limit or 0)}.**",
                   f"**None of the cards holds a TPOT of {draft.ms(limit or 0)}.**")  # fmt: skip
    else:
        best = min(fit, key=lambda one: one.cost)
        draft.note_figure("per_million", best.cost)
        draft.lead(
            f"**Берите {best.name}: {draft.money(best.cost, best.currency)} за 1M токенов**,"
            f" дешевле всех{' из тех, что держат SLO' if limit else ''}.",
            f"**Take {best.name}: {draft.money(best.cost, best.currency)} per 1M tokens.**",
        )
    for one in out:
        draft.lead(
            f"{one.name} не подходит: TPOT {draft.ms(one.tpot_ms or 0)} выше"
            f" {draft.ms(limit or 0)}.",
            f"{one.name} misses the SLO.",
        )
    head = draft.say("| Карта | Час | Ток/с | За 1M токенов |", "| Card | Hour | Tok/s | Per 1M |")
    rows = [
        f"| {one.name} | {draft.money(one.price_h, one.currency)} | {draft.num(one.speed, 0)} |"
        f" {draft.money(one.cost, one.currency)} |"
        for one in sorted(found, key=lambda one: one.cost)
    ]
    draft.add("\n".join([head, "| --- | --- | --- | --- |", *rows]))
    for one in found:
        draft.work(
            f"{one.name}: {draft.money(one.price_h, one.currency)} / ({draft.num(one.speed, 0)}"
            f" ток/с × 3600) × 10⁶ = {draft.money(one.cost, one.currency)}"
        )
    draft.assume("загрузка 100 %", "100 % load")
    draft.cite(draft.say("цены и скорости — с ваших слов", "prices and speeds as you gave them"))
