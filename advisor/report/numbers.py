"""Numbers as Russian readers write them: 1 234,5 мс, 231,4 [225,0; 238,1] ток/с, ×1,83."""

from knowledge.quantities import is_boundless
from knowledge.types import Estimate, Interval

THIN = "\u202f"
"""Narrow no-break space: parts thousands."""
NBSP = "\u00a0"
"""No-break space: keeps a number and its unit on one line."""
DASH = "—"


def decimals_for(value: float) -> int:
    """Digits after the comma that leave three or four significant ones."""
    size = abs(value)
    if size == 0 or size >= 1000:
        return 0
    if size >= 10:
        return 1
    return 2 if size >= 1 else 3


def number(value: float, decimals: int | None = None) -> str:
    """1234.5 with one decimal as «1 234,5»."""
    digits = decimals_for(value) if decimals is None else decimals
    text = f"{abs(value):,.{digits}f}".replace(",", THIN).replace(".", ",")
    return f"−{text}" if round(value, digits) < 0 else text


def plain(value: float) -> str:
    """A round number as it was given, without zeros at its end: «60», «2,5»."""
    return number(value, 6).rstrip("0").rstrip(",")


def with_unit(value: float, unit: str, decimals: int | None = None) -> str:
    """A number and its unit, kept on one line."""
    text = number(value, decimals)
    return f"{text}{NBSP}{unit}" if unit else text


def estimate(figure: Estimate, unit: str = "", decimals: int | None = None) -> str:
    """A value and its 95 % interval, all with the decimals of the value."""
    digits = decimals_for(figure.value) if decimals is None else decimals
    low, high = number(figure.low, digits), number(figure.high, digits)
    text = f"{number(figure.value, digits)}{NBSP}[{low};{NBSP}{high}]"
    return f"{text}{NBSP}{unit}" if unit else text


def ratio(figure: Estimate) -> str:
    """How many times better: «×1,83 [1,71; 1,95]»."""
    digits = _ratio_decimals(figure.value)
    if is_boundless(figure):
        return f"×{number(figure.value, digits)}{NBSP}[{number(figure.low, digits)};{NBSP}∞)"
    return f"×{estimate(figure, decimals=digits)}"


def ratio_interval(figure: Interval) -> str:
    """A predicted speed-up: «×1,20…1,90»."""
    return f"×{number(figure.low, 2)}…{number(figure.high, 2)}"


def percent(share: float, decimals: int = 1) -> str:
    """0.123 as «12,3 %»."""
    return with_unit(share * 100, "%", decimals)


def gib(size_bytes: float) -> str:
    """Bytes as «23,4 ГиБ»."""
    return with_unit(size_bytes / 2**30, "ГиБ", 1)


def duration(seconds: float) -> str:
    """«45 с», «12 мин 5 с», «2 ч 10 мин»."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{NBSP}с"
    if whole < 3600:
        return f"{whole // 60}{NBSP}мин" + (f" {whole % 60}{NBSP}с" if whole % 60 else "")
    minutes = whole % 3600 // 60
    return f"{whole // 3600}{NBSP}ч" + (f" {minutes}{NBSP}мин" if minutes else "")


def plural(count: int, one: str, few: str, many: str) -> str:
    """The number with the right form of the noun: 1 гипотеза, 2 гипотезы, 5 гипотез."""
    if count % 10 == 1 and count % 100 != 11:
        form = one
    elif count % 10 in (2, 3, 4) and count % 100 not in (12, 13, 14):
        form = few
    else:
        form = many
    return f"{number(count, 0)}{NBSP}{form}"


def _ratio_decimals(value: float) -> int:
    return 2 if value < 10 else 1
