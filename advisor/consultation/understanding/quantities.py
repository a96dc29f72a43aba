"""Loads, lengths, times, money and shares of a question."""

import re
from typing import Any

from advisor.consultation.understanding.frame import Currency, Money
from advisor.consultation.understanding.numbers import (
    MULT,
    NUM,
    PER,
    SECOND,
    TOKENS,
    Found,
    Reader,
    scale,
    token_count,
)
from knowledge.patterns import compiled

CURRENCY = (
    r"(\$|€|₽|долл?\w*|бакс\w*|usd|дол\b|евро|eur\b|руб\w*|rub\b|р\.|р(?![a-zа-я])|цент\w*|"
    r"cents?\b|тугрик\w*)"
)
HOUR = rf"(?:{PER}|\s)(?:1\s*)?(?:gpu[- ]?)?(?:час|ч(?![a-zа-я])|h(?:ou)?rs?\b|hour|h\b)"
MONTH = r"(?:\s*(?:/|в|за|per|a)\s*)(?:мес\w*|month|mo\b)"
MILLION = (
    r"\s*(?:/|за|per|на|a)?\s*(?:каждый\s*)?(?:1\s*)?(?:млн|миллион\w*|m(?:illion)?\b|лям\w*|"
    r"mtok\w*|1m)"
)
_WORKERS = (
    r"(?:параллельн\w+|паралельн\w+|одновременн\w+|активн\w+|concurrent|parallel|simultaneous|живых)?\s*"
    r"(?:пользовател\w*|юзер\w*|человек\w*|клиент\w*|оператор\w*|сотрудник\w*|users?|people|"
    r"поток\w*|стрим\w*|streams?|сесси\w*|диалог\w*|чат\w*|sessions?|запрос\w*|requests?|reqs?|"
    r"соединени\w*|разработчик\w*|агент\w*|clients?|последовательност\w*|sequences?|промпт\w*|студент\w*)(?![a-zа-я])"
)
_DURATION = (
    r"(мс|ms|миллисек\w*|минут\w*|мин|min(?:ute)?s?|час(?:а|ов)?|ч|h(?:ours?)?|hrs?|сек\.?|"
    r"секунд\w*|sec(?:ond)?s?|с|s)(?![a-zа-я])"
)
_TTFT = r"(?:ttft|тт?фт|перв\w+ токен\w*|first token|time to first|до первого)"
_TPOT = r"(?:tpot|itl|inter-?token|на токен|между токен\w*|per token|time per output|пауз\w*)"
_E2E = (
    r"(?:e2e|end.to.end|весь ответ|ответ целиком|полн\w+"
    r" ответ\w*|ответ\b|выполня\w*|обработ\w*|latency|задержк\w*|латентн\w*|длится|висит|запрос\b)"
)
Values = dict[str, Any]


def read(reader: Reader) -> Values:
    """Fields of the frame; what was understood is hidden in the reader."""
    values: Values = {}
    for step in _STEPS:
        step(reader, values)
    return values


def _slashes(reader: Reader, values: Values) -> None:
    """«1024/256», "1024 in / 256 out"."""
    pattern = (
        rf"{NUM}\s*(к|k)?\s*(?:in|на"
        r" вход\w*|вход\w*|input)?\s*/\s*(\d+)\s*(к|k)?(?:\s*(?:out|выход\w*|output))?(?![\w])"
    )
    for found in reader.pick(pattern, lambda f: f.value >= 16 or bool(f.groups[1])):
        _, k_in, out, k_out = found.groups
        values["input_tokens"] = token_count(found.value, k_in)
        values["output_tokens"] = token_count(float(out or 0), k_out)


def _money(reader: Reader, values: Values) -> None:
    tail = f"(?P<tail>{HOUR}|{MONTH}|{MILLION})?"
    after = rf"{NUM}{MULT}\s*{CURRENCY}{tail}"
    before = rf"(?<!\w)[$€₽]\s*(\d+(?:[.,]\d+)?){MULT}(){tail}"
    hourly = bool(compiled(r"час|hour|/ ?h\b|/ ?ч\b").search(reader.text))
    millions = bool(compiled(r"милл|млн|1m\b|million|mtok").search(reader.text))
    for match in sorted(
        [*compiled(after).finditer(reader.text), *compiled(before).finditer(reader.text)],
        key=lambda match: match.start(),
    ):
        if "·" in reader.text[match.start() : match.end()]:
            continue
        word = match[3] or match[0][0]
        value = float(match[1].replace(",", "."))
        role = match["tail"] or (" за млн" if millions and not hourly else "")
        if match[2]:
            value *= scale(match[2])
        if word.startswith(("цент", "cent")):
            value /= 100
        money = Money(value=value, currency=currency_of(word))
        context = reader.text[max(0, match.start() - 45) : match.start()]
        _place(money, role, context, reader.text[match.end() : match.end() + 30], values)
        reader.hide(*match.span())


def _place(money: Money, tail: str, before: str, after: str, values: Values) -> None:
    if compiled(r"\s*(?:за|/|per)?\s*(?:1\s*)?(?:квт|kwh)").match(after):
        role = "kwh"
    elif (
        money.value >= 500
        and compiled(
            r"купи|покуп|куплен|приобре|за карту|капекс|capex|buy|purchase|"
            r"бюджет\w* на (?:желез|сервер|карт|видеокарт)|на (?:желез|видеокарт|покупку)"
        ).search(before + after)
        and not compiled(rf"{HOUR}|{MONTH}").search(tail)
    ):
        role = "purchase"
    elif compiled(HOUR).search(tail) or compiled(r" за (?:карту|gpu|штуку) в час").match(after):
        role = "hour"
    elif compiled(MONTH).search(tail):
        role = "month"
    elif (
        compiled(r"млн|милл|mill|лям|1m|mtok|\bm\b").search(tail)
        or compiled(r"(миллион|млн|1m|mtok|лям|api|апи)[^·]{0,40}$").search(before)
        or compiled(r"\s*(?:за|/|per)\s*(?:1\s*)?(?:миллион|млн|m)").match(after)
    ):
        role = "million"
    elif compiled(r"месяц|month|мес\b").search(after[:18] + before[-22:]):
        role = "month"
    elif compiled(r"час|hour|gpu|карт|аренд|по $|⟦|стоит|бюджет").search(before + after[:12]):
        role = "hour"
    else:
        role = "million" if money.value < 1 and money.currency == "$" else "hour"
    if role in ("kwh", "purchase"):
        values[role] = money
    elif role == "hour":
        values.setdefault("gpu_hour", money)
    elif role == "month":
        values.setdefault("budget_month", money)
    else:
        values["per_million"] = (*values.get("per_million", ()), money)


def currency_of(word: str) -> Currency:
    """The currency of a word or a sign; dollars where it is no other."""
    if word.startswith(("₽", "руб", "rub", "р")):
        return "₽"
    return "€" if word.startswith(("€", "евро", "eur")) else "$"


def _speeds(reader: Reader, values: Values) -> None:
    per_second = rf"{NUM}{MULT}\s*(?:выходн\w+ |output )?(?:{TOKENS}{PER}{SECOND}|tps\b|t/s|ток/с)"
    for found in reader.take(per_second, mult=True):
        near = found.before[-25:] + found.after[:32]
        alone = re.search(
            r"(?:на|для) (?:1 )?(?:пользоват|поток|юзер|человек|запрос|стрим)|per"
            r" (?:user|stream|request)|каждо",
            near,
        )
        values["user_tokens_per_s" if alone else "tokens_per_s"] = found.value
    for found in reader.take(
        rf"{NUM}{MULT}\s*(?:rps|qps|рпс|(?:запр\w*\.?|req\w*){PER}{SECOND})", mult=True
    ):
        values["requests_per_s"] = found.value
    if "requests_per_s" not in values:
        ahead = (
            r"(?<![a-zа-я])(?:rps|qps|рпс)\s*(?:=|:|около|до|в|примерно|порядка|~)?"
            r"\s*(\d+(?:[.,]\d+)?)(?![\w%])"
        )
        for found in reader.take(ahead):
            values["requests_per_s"] = found.value


_MINUTE = r"минут\w*|мин|min\w*"
_ITEMS = r"(?:запрос\w*|request\w*|reqs?|обращени\w*|сообщени\w*|диалог\w*|документ\w*|вопрос\w*)"
_PERIODS = (
    (r"сут\w*|день|дня|дн\b|ежедневн\w*|day|daily|24 ?ч", 1.0),
    (r"час|ч|hour|h", 24.0),
    (_MINUTE, 1440.0),
    (r"мес\w*|month", 1 / 30),
    (r"недел\w*|week", 1 / 7),
)


def _volumes(reader: Reader, values: Values) -> None:
    for words, per_day in _PERIODS:
        period = rf"(?:{PER}|\s)(?:1\s*)?(?:{words})(?![a-zа-я])"
        for found in reader.take(rf"{NUM}{MULT}\s*{TOKENS}{period}", mult=True):
            values["tokens_per_day"] = found.value * per_day
        for found in reader.take(
            rf"{NUM}{MULT}\s*{_ITEMS}{period}",
            mult=True,
        ):
            if words == _MINUTE:
                values["requests_per_s"] = found.value / 60
            else:
                values["requests_per_day"] = found.value * per_day
        people = rf"{NUM}{MULT}\s*(?:пользовател\w*|юзер\w*|человек|клиент\w*|users?){period}"
        for found in reader.take(people, mult=True):
            each = reader.first(rf"(?:по|кажд\w+|each)[^·.?!\d]{{0,12}}?(\d+)\s*{_ITEMS}")
            values["requests_per_day"] = found.value * per_day * (each.value if each else 1)
        ahead = rf"(?:{PER}|^|\s)(?:{words})(?![a-zа-я])[^·.?!,]{{0,20}}?\s{NUM}{MULT}\s*{TOKENS}"
        for found in reader.take(ahead, mult=True):
            values["tokens_per_day"] = found.value * per_day
    _job(reader, values)


_NIGHT_H = 8.0
"""«за ночь»: a usual night, in hours."""


def _job(reader: Reader, values: Values) -> None:
    """A job of a known size without a period: «50 млн токенов за ночь», «миллион документов»."""
    large = rf"{NUM}\s*(млн\.?|миллион\w*|млрд\.?|миллиард\w*|лям\w*|mln|million|billion|bn)"
    if "tokens_per_day" not in values and not _priced(reader.text):
        for found in reader.pick(
            rf"{large}\s*{TOKENS}(?!\s*(?:контекст|context))", lambda f: f.value > 0, mult=True
        ):
            values["tokens_total"] = found.value
    for found in reader.pick(
        rf"{NUM}{MULT}\s*(?:документ\w*|текст\w*|стат(?:ей|ьи)|отзыв\w*|документов|docs|documents)",
        lambda f: f.value >= 100,
        mult=True,
    ):
        values["documents"] = found.value
        each = rf"[^.?!;]{{0,20}}?\sпо\s+{NUM}{MULT}\s*{TOKENS}"
        length = reader.first(rf"(?:·\s?)+{each}", mult=True) if found.after else None
        if length:
            values["input_tokens"] = token_count(length.value, length.groups[1])
    for found in reader.pick(
        rf"{large}\s*(?:запрос\w*|requests?)", lambda f: f.value >= 0.1, mult=True
    ):
        values.setdefault("documents", found.value)
    if values.get("documents") or values.get("tokens_total"):
        night = compiled(r"за (?:1 )?ноч|overnight").search(reader.text)
        if night:
            values["hours"] = _NIGHT_H
            reader.hide(*night.span())
    for found in reader.take(rf"{NUM}\s*(?:гбит\w*|гигабит\w*|gbit\w*|gbps)"):
        values["gbit_per_s"] = found.value
    for found in reader.take(rf"{NUM}\s*(?:год(?:а|ов)?|лет|years?)(?![a-zа-я])"):
        values["years"] = found.value


def _priced(text: str) -> bool:
    return bool(
        compiled(r"сто[ия]|цен|cost|price|почем(?!у)|руб|\$|себестоим|обойд|дешев|дорож").search(
            text
        )
    )


def _shares(reader: Reader, values: Values) -> None:
    for found in reader.take(rf"{NUM}\s*(?:%|процент\w*|percent|pct)"):
        near = found.before[-40:] + found.after[:25]
        if compiled(r"загру[зж]|утилиз|utili").search(near) and not compiled(
            r"кеш|кэш|cache|спот|spot"
        ).search(near):
            values["utilization"] = found.value / 100
        else:
            values["shares"] = (*values.get("shares", ()), found.value / 100)


def _durations(reader: Reader, values: Values) -> None:
    bare = (
        rf"(?:ttft|tpot|itl)\s*(?:=|:|около|is|of|~|в)?\s*(\d+(?:[.,]\d+)?)(?![\w%]|[.,]\d|"
        rf"\s*{_DURATION})"
    )
    for match in list(compiled(bare).finditer(reader.text)):
        values["ttft_ms" if match[0].startswith("ttft") else "tpot_ms"] = float(
            match[1].replace(",", ".")
        )
        reader.hide(*match.span(1))
    for found in reader.take(rf"{NUM}\s*{_DURATION}"):
        unit = found.groups[1] or ""
        ms = found.value * _ms(unit)
        role = _role(found)
        if role:
            values[role] = ms
        elif unit.startswith(("час", "ч", "h")):
            values["hours"] = found.value
        elif unit.startswith(("мин", "min")) and not unit.startswith("мил"):
            values["minutes"] = found.value
        else:
            values.setdefault("e2e_ms", ms)


def _ms(unit: str) -> float:
    if unit.startswith(("мс", "ms", "мил")):
        return 1.0
    if unit.startswith(("мин", "min")):
        return 6e4
    return 3.6e6 if unit.startswith(("ч", "h")) else 1e3


def _role(found: Found) -> str | None:
    """The nearest name of a latency before the number in its clause, then after it."""
    unit = found.groups[1] or ""
    roles = (("ttft_ms", _TTFT), ("tpot_ms", _TPOT), ("e2e_ms", _E2E))
    long = unit.startswith(("час", "ч", "h", "мин", "min"))
    if long and not compiled(r"ttft|e2e").search(found.before[-20:]):
        return None
    clause = re.split(r"[;·]|, (?=[a-zа-я])", found.before)[-1]
    best = [(m.end(), name) for name, words in roles for m in compiled(words).finditer(clause)]
    if best:
        return max(best)[1]
    tail = re.split(r"[;,·]", found.after)[0]
    ahead = [
        (m.start(), name) for name, words in roles for m in [compiled(words).search(tail)] if m
    ]
    if ahead and min(ahead)[0] <= 22:
        return min(ahead)[1]
    wide = [
        (m.end(), name) for name, words in roles for m in compiled(words).finditer(found.before)
    ]
    return max(wide)[1] if wide else None


def _counts_streams(found: Found) -> bool:
    """A whole number of users, and no «на 1 юзера», which says per what, not how many."""
    whole = found.value >= 1 and found.value == int(found.value)
    return whole and not (
        found.value == 1 and compiled(r"(?:на|per|каждо\w+)\s*$").search(found.before)
    )


_OFTEN = (
    r"(?:(\d+)\s*(?:раз\w?|запрос\w*)|раз|по (?:1 )?запросу|запрос) (?:в|каждую|каждые|за)"
    r" (?:1 )?(минут|час)"
)
"""How often each person asks."""


def _people(reader: Reader, values: Values) -> None:
    """A staff is no concurrency: most of them are silent at any moment."""
    words = r"сотрудник\w*|работник\w*|студент\w*|employees?|staff"
    often = compiled(_OFTEN).search(reader.text)
    crowd = compiled(rf"{NUM}\s*(?:оператор\w*|{words})(?![a-zа-я])").search(reader.text)
    if often and crowd and "requests_per_s" not in values:
        period = 60.0 if often[2] == "минут" else 3600.0
        values["requests_per_s"] = float(crowd[1]) * float(often[1] or 1) / period
        reader.hide(*crowd.span())
        return
    staff = rf"(?:{words})(?![a-zа-я])"
    if compiled(r"одновременн|параллельн|concurrent|сразу").search(reader.text):
        return
    for found in reader.pick(rf"{NUM}{MULT}\s*{staff}", lambda f: f.value >= 50, mult=True):
        values["people"] = round(found.value)


def _workers(reader: Reader, values: Values) -> None:
    names = (
        r"(?:batch(?:"
        r" ?size)?|батч\w*|бач\w*|concurrency|конкуррентност\w*|max[-_]num[-_]seqs|"
        r"bs)\s*(?:=|:|до|в|of|размером|из)?\s*(\d+)(?![.,]?\d)"
    )
    for found in reader.take(names):
        values["concurrency"] = round(found.value)
    for found in reader.pick(rf"{NUM}{MULT}\s*{_WORKERS}", _counts_streams, mult=True):
        values["concurrency"] = max(round(found.value), values.get("concurrency", 0))
    for found in reader.pick(
        rf"{NUM}\s*(?:одновременн\w*|параллельн\w*|concurrent\w*)", lambda f: f.value >= 1
    ):
        values.setdefault("concurrency", round(found.value))
    if "concurrency" not in values:
        alone = (
            r"(?:1 |одиночн\w+ )(?:поток|пользовател|запрос|юзер|стрим)|без батчинга|single"
            r" (?:user|stream|request)"
        )
        if compiled(alone).search(reader.text):
            values["concurrency"] = 1


_PREFIX = (
    r"(?:системн\w+ промпт\w*|system prompts?|префикс\w*|prefix\w*|общ\w+ (?:част|промпт|начал)\w*)"
)


def _prefix(reader: Reader, values: Values) -> None:
    """«системный промпт 2000 токенов», «промптов по 3к»: a shared beginning."""
    number = rf"(?:\s*(?:по|в|на|из|около|=|of|:))?\s*(\d+(?:[.,]\d+)?)\s*(к|k|тыс\w*)?\s*{TOKENS}?"
    for pattern in (
        rf"{_PREFIX}{number}",
        rf"(\d+(?:[.,]\d+)?)\s*(к|k|тыс\w*)?\s*{TOKENS}?\s*{_PREFIX}",
    ):
        for match in list(compiled(pattern).finditer(reader.text)):
            value = float(match[1].replace(",", ".")) * (scale(match[2]) if match[2] else 1)
            values["prefix_tokens"] = token_count(value, match[2])
            reader.hide(*match.span())


def _lengths(reader: Reader, values: Values) -> None:
    length = (
        rf"{NUM}(?:\s*(к|k|тыс\.?|тысяч\w*|млн\.?|"
        rf"m)(?![a-zа-я]))?\s*(?:-?х\b)?\s*(?P<unit>{TOKENS})?"
    )
    for match in list(compiled(length).finditer(reader.text)):
        raw, multiplier = float(match[1].replace(",", ".")), match[2]
        before = reader.text[max(0, match.start() - 28) : match.start()]
        after = reader.text[match.end() : match.end() + 24]
        found = _length_role(before, after, bool(multiplier or match["unit"]))
        if found is None:
            continue
        role, word = found
        value = raw * scale(multiplier) if multiplier else raw
        tokens = token_count(value, multiplier)
        priced = tokens == 1_000_000 and _priced(reader.text)
        if tokens > 1 and not priced and (role not in values or role == "context_tokens"):
            values[role] = max(tokens, values.get(role, 0))
            if role == "context_tokens":
                values["contexts"] = (*values.get("contexts", ()), tokens)
            reader.hide(*match.span())
            _spend(reader, word, match.start(), match.end())


def _spend(reader: Reader, word: str, start: int, end: int) -> None:
    """A word that gave one number its role gives it to no other: "in 1k out 500"."""
    if not word or compiled(_CONTEXT).match(word):
        return
    ahead = reader.text.find(word, end, end + 24)
    behind = reader.text.rfind(word, max(0, start - 40), start)
    near = [at for at in (behind, ahead) if at >= 0]
    if near:
        at = min(near, key=lambda at: at - end if at >= end else start - at - len(word))
        reader.hide(at, at + len(word))


_IN = r"(?:промпт\w*|prompt\w*|вопрос\w*|вход\w*|input|in\b|запрос\w* длин\w*|префилл?\w*|prefill)"
_OUT = r"(?:выход\w*|output|out\b|ответ\w*|генер\w*|на выходе|completion|generat\w*)"
_CONTEXT = r"(?:контекст\w*|context\w*|окн\w*|длин\w*|max[-_]model[-_]len|истори\w*|seq\w* len\w*)"


def _length_role(before: str, after: str, marked: bool) -> tuple[str, str] | None:
    """Which length a bare number is, and the word that says so: the nearest one decides."""
    near = re.split(r"[;·,.]\s|\sи\s|\sand\s", before)[-1]
    ahead = re.split(r"[;·,.]\s|\sи\s|\sand\s", after)[0][:20]
    roles = (("context_tokens", _CONTEXT), ("output_tokens", _OUT), ("input_tokens", _IN))
    limit = 28 if marked else 12
    found: list[tuple[float, str, str]] = []
    for name, words in roles:
        for match in compiled(words).finditer(near):
            distance = len(near) - match.end()
            if distance <= limit:
                found.append((distance, name, match[0]))
        front = compiled(words).search(ahead)
        if front and front.start() <= (12 if marked else 3):
            found.append((front.start() + 1.5, name, front[0]))
    if found:
        _, name, word = min(found)
        return name, word
    return ("context_tokens", "") if marked else None


_STEPS = (
    _slashes, _money, _speeds, _volumes, _shares, _durations, _people, _workers, _prefix, _lengths,
)  # fmt: skip
"""In this order: what one understood is hidden from the next."""
