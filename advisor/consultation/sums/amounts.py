"""Every number of a question with its unit and the words around it."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from advisor.consultation.understanding.frame import Currency
from advisor.consultation.understanding.numbers import MULT, PER, SECOND, TOKENS, scale
from advisor.consultation.understanding.quantities import (
    CURRENCY,
    HOUR,
    MILLION,
    MONTH,
    currency_of,
)
from advisor.consultation.understanding.reading import masked
from knowledge.patterns import compiled

Unit = Literal[
    "money", "money/h", "money/day", "money/month", "money/million", "money/kwh",
    "tok/s", "tok", "tok/day", "req", "req/s", "req/min", "req/h", "req/day", "people", "streams",
    "h", "h/day", "min",
    "s", "ms", "days", "percent", "watt", "gb/s", "gb", "gpus", "replicas", "nodes",
    "factor", "bare",
]  # fmt: skip

_NUMBER = r"(?<![\w.,])(\d+(?:[.,]\d+)?)(?!\)\s)"
"""No «2)» of a list."""
_DAY = rf"{PER}(?:1\s*)?(?:сут\w*|день|дня|дн\b|day)(?![a-zа-я])"
_A_MONTH = rf"{PER}(?:1\s*)?(?:мес\w*|month)(?![a-zа-я])"
_PER_HOUR = rf"{PER}(?:1\s*)?(?:час\w*|ч|hour|h)(?![a-zа-я])"
_ITEMS = (
    r"(?:запрос\w*|документ\w*|промпт\w*|обращени\w*|сообщени\w*|диалог\w*|вопрос\w*|отзыв\w*|"
    r"тикет\w*|заявк\w*|обращени\w*|стат(?:ей|ьи)|"
    r"текст\w*|requests?|docs?|documents?|prompts?)(?![a-zа-я])"
)
_WORD = r"(?:[a-zа-я]+\s+)?"
_UNITS: tuple[tuple[Unit, str], ...] = (
    ("money", rf"{MULT}\s*{CURRENCY}"),
    ("tok/s", rf"{MULT}\s*{_WORD}(?:{TOKENS}{PER}{SECOND}|tps\b|t/s)"),
    ("tok", rf"{MULT}\s*{_WORD}{TOKENS}"),
    ("req/s", rf"{MULT}\s*(?:rps|qps|рпс|(?:запр\w*\.?|req\w*){PER}{SECOND})"),
    ("req", rf"{MULT}\s*{_WORD}{_ITEMS}"),
    ("streams", rf"{MULT}\s*{_WORD}(?:поток\w*|стрим\w*|streams?|слот\w*)(?![a-zа-я])"),
    ("people", rf"{MULT}\s*(?:сотрудник\w*|человек\w*|пользовател\w*|юзер\w*|users?)(?![a-zа-я])"),
    ("gb/s", r"()\s*(?:гб|gb|гигабайт\w*)\s*(?:/|в)\s*(?:с|s|сек\w*)(?![a-zа-я])"),
    ("gb", r"()\s*(?:гб|gb|гиг\w*|гиб|gib)(?![a-zа-я])"),
    ("percent", r"()\s*(?:%|процент\w*)"),
    ("ms", r"()\s*(?:мс|ms|миллисек\w*)(?![a-zа-я])"),
    ("min", r"()\s*(?:минут\w*|мин|min\w*)(?![a-zа-я])"),
    ("h", r"()\s*(?:час(?:а|ов)?|ч|h|hours?)(?![a-zа-я])"),
    ("s", r"()\s*(?:сек\w*|с|sec\w*|s)(?![a-zа-я])"),
    ("days", r"()\s*(?:рабочих\s+)?(?:дн(?:я|ей)?|суток|days?)(?![a-zа-я])"),
    ("watt", r"\s*(к)?(?:вт|w|ватт\w*)(?![a-zа-я])"),
    ("replicas", r"()\s*(?:реплик\w*|копи[йяи]\w*|инстанс\w*|replicas?)(?![a-zа-я])"),
    ("nodes", r"()\s*(?:нод\w*|узл\w*|сервер\w*|nodes?)(?![a-zа-я])"),
    ("factor", r"()\s*раза?(?![a-zа-я])"),
    ("gpus", r"()\s*(?:[xх×*-]\s*)?(?:⟦G|(?:карт\w*|gpu|гпу|штук\w*|шт\.?|видюх\w*)(?![a-zа-я]))"),
)
"""By what follows the number, in this order; group 1 is its multiplier."""
_TIMES = {"вдвое": 2.0, "втрое": 3.0, "вчетверо": 4.0, "впятеро": 5.0}
_AHEAD = re.compile(r"процент\w*\s+(\d+(?:[.,]\d+)?)(?!\s*(?:%|процент))")
_INVERTED = re.compile(
    r"(запросов|пользователей|юзеров|сотрудников|токенов)\s+"
    r"(\d+(?:[.,]\d+)?(?:\s*(?:тыс|млн|к)(?![а-я]))?)(?=\s*(?:[.?!,;]|$))"
)
"""«запросов 400 тыс»."""
_THOUSANDS = re.compile(r"(?<=\d)\s*т\.?\s?р\.?(?![a-zа-я])")


@dataclass(frozen=True)
class Amount:
    """One number. `before` and `after` reach to its neighbours, so no word is read twice."""

    value: float
    unit: Unit
    start: int
    end: int
    currency: Currency = "$"
    before: str = ""
    after: str = ""

    def near(self, pattern: str) -> bool:
        """Whether the words before it or just after it say so."""
        return bool(compiled(pattern).search(f"{self.before} # {self.after}"))

    def led_by(self, pattern: str) -> bool:
        """Whether the words before it say so."""
        return bool(compiled(pattern).search(self.before))


@lru_cache(maxsize=256)
def amounts(raw: str) -> tuple[Amount, ...]:
    """The numbers of a question, from left to right."""
    text = _even(masked(raw))
    found: list[Amount] = []
    for match in compiled(_NUMBER).finditer(text):
        if found and match.start() < found[-1].end:
            continue
        found.append(_amount(text, match))
    return tuple(_between(text, found, k) for k in range(len(found)))


def _even(text: str) -> str:
    """Numbers in words and inverted ones, in the place of the text that they stand in."""
    text = _THOUSANDS.sub(" тыс руб", text)
    text = _AHEAD.sub(r"\1 процентов", text)
    text = re.sub(r"(?<![\d.,])1\s?м(?![а-я])", "1 млн", text)
    text = re.sub(r"(?<=[а-яa-z] )секунд[уы]?(?![а-я])", "1 секунду", text)
    text = re.sub(r"гиг\w*\s+(\d+)(?!\d|[.,]\d|\s*(?:гб|gb|гиг))", r"\1 гиг", text)
    text = re.sub(
        r"(?<!\w)[xх×]\s?(\d+(?:[.,]\d+)?)(?=\s+(?:к|по|быстр|throughput))", r"в \1 раза", text
    )
    text = _INVERTED.sub(r"\2 \1", text)
    for word, value in _TIMES.items():
        text = re.sub(rf"(?<![а-я]){word}(?![а-я])", f"{value:g} раза", text)
    return text


def _amount(text: str, match: re.Match[str]) -> Amount:
    value = float(match[1].replace(",", "."))
    start, end = match.span()
    sign = re.search(r"[$€₽]\s*$", text[max(0, start - 2) : start])
    if sign:
        more = compiled(MULT).match(text, end)
        end = more.end() if more else end
        factor = scale(more[1]) if more and more[1] else 1.0
        of, end = _money_tail(text, end)
        return Amount(value * factor, of, start - len(sign[0]), end, currency_of(sign[0][0]))
    for unit, pattern in _UNITS:
        tail = compiled(pattern).match(text, end)
        if tail is not None:
            value *= 1000.0 if unit == "watt" and tail[1] else scale(tail[1]) if tail[1] else 1.0
            return _of_unit(text, Amount(value, unit, start, tail.end()), tail)
    bare = compiled(MULT).match(text, end)
    if bare and bare[1]:
        return Amount(value * scale(bare[1]), "bare", start, bare.end())
    return Amount(value, "bare", start, end)


def _of_unit(text: str, amount: Amount, tail: re.Match[str]) -> Amount:
    """The unit together with what follows it: per what money is, and how often a load."""
    if amount.unit == "money":
        cents = tail[2].startswith(("цент", "cent"))
        unit, end = _money_tail(text, amount.end)
        value = amount.value / 100 if cents else amount.value
        return replace(amount, value=value, unit=unit, end=end, currency=currency_of(tail[2]))
    if amount.unit == "gpus" and tail[0].endswith("⟦G"):
        return replace(amount, end=amount.end - 2)
    return _with_period(text, amount)


def _money_tail(text: str, end: int) -> tuple[Unit, int]:
    tails: tuple[tuple[Unit, str], ...] = (
        ("money/kwh", r"\s*(?:за|/|per)?\s*(?:1\s*)?(?:квт|kwh)[\w·-]*"),
        ("money/h", rf"{HOUR}\w*"),
        ("money/day", _DAY),
        ("money/month", MONTH),
        ("money/million", MILLION),
    )
    for unit, pattern in tails:
        tail = compiled(pattern).match(text, end)
        if tail:
            return unit, tail.end()
    return "money", end


def _with_period(text: str, amount: Amount) -> Amount:
    """«300к запросов в сутки», «6 часов в день», «22 дня в месяц»."""
    periods: tuple[tuple[str, float], ...] = (
        (_DAY, 1.0), (_A_MONTH, 1 / 30),
    )  # fmt: skip
    per_day: dict[Unit, Unit] = {"tok": "tok/day", "req": "req/day"}
    if amount.unit in per_day:
        for period, times in (("день|сутки", 1.0), ("месяц", 1 / 30)):
            ahead = compiled(rf"(?:в|за)\s+(?:1\s+)?(?:{period})(?:\s+если)?\s*$")
            if ahead.search(text[: amount.start]):
                unit = per_day[amount.unit]
                return replace(amount, unit=unit, value=amount.value * times)
        minute = compiled(rf"{PER}(?:1\s*)?мин\w*").match(text, amount.end)
        if minute and amount.unit == "req":
            return replace(amount, unit="req/min", end=minute.end())
        hour = compiled(_PER_HOUR).match(text, amount.end)
        if hour and amount.unit == "req":
            return replace(amount, unit="req/h", end=hour.end())
        for pattern, times in periods:
            tail = compiled(pattern).match(text, amount.end)
            if tail:
                unit = per_day[amount.unit]
                return replace(amount, unit=unit, value=amount.value * times, end=tail.end())
    if amount.unit == "h":
        tail = compiled(_DAY).match(text, amount.end)
        if tail:
            return replace(amount, unit="h/day", end=tail.end())
    return amount


def _between(text: str, found: list[Amount], k: int) -> Amount:
    one = found[k]
    left = found[k - 1].end if k else 0
    right = found[k + 1].start if k + 1 < len(found) else len(text)
    before = re.split(r"[.?!;\n](?:\s|$)", text[left : one.start])[-1]
    after = re.split(r"[.?!;\n]|,\s", text[one.end : right])[0]
    return replace(one, before=before[-90:], after=after[:45])
