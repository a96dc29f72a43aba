"""Durations, sizes and SLOs as users write them, and numbers as Russian readers read them."""

import re
from difflib import get_close_matches

from knowledge.errors import BadInput
from knowledge.types import Estimate, Metric, Slo

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"": 1, "b": 1} | {
    f"{prefix}{suffix}": base**power
    for power, prefix in enumerate("kmgt", start=1)
    for suffix, base in (("ib", 1024), ("b", 1000), ("", 1024))
}
_NUMBER = r"\d+(?:\.\d+)?"
_SLO = re.compile(rf"([a-z0-9_]+)\s*(<=|>=|=)\s*({_NUMBER})\s*(ms|s|%|/s)?")

_SLO_ALIASES = {
    "throughput": Metric.OUTPUT_TOKENS_PER_S,
    "tokens_per_s": Metric.OUTPUT_TOKENS_PER_S,
    "goodput": Metric.GOODPUT_PER_S,
}
_SLO_NAMES = {metric.value.removesuffix("_ms"): metric for metric in Metric} | _SLO_ALIASES

_BOUNDLESS = 100.0
"""Times the value: what was divided by is then not told from zero."""

NARROW_SPACE = "\u202f"
NO_BREAK_SPACE = "\u00a0"


def parse_duration(text: str) -> float:
    """Seconds from "90s", "6m", "1h30m", "250ms". Raises BadInput."""
    compact = text.strip().lower().replace(" ", "")
    parts = re.findall(rf"({_NUMBER})([a-z]+)", compact)
    known = all(unit in _SECONDS for _, unit in parts)
    if not parts or not known or "".join(number + unit for number, unit in parts) != compact:
        raise BadInput(
            f"не понимаю длительность «{text}»", "Пишите число с единицей: 90s, 6m, 1h30m"
        )
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds <= 0:
        raise BadInput(f"длительность «{text}» не больше нуля", "Например: 6m")
    return seconds


def parse_bytes(text: str) -> int:
    """Bytes from "4GiB", "500MB" or "1024"; a bare letter is binary: "4G" is 4 GiB."""
    match = re.fullmatch(rf"({_NUMBER})\s*([a-z]*)", text.strip().lower())
    if not match or match[2] not in _BYTES:
        raise BadInput(f"не понимаю размер «{text}»", "Пишите, например, 4GiB или 500MB")
    return int(float(match[1]) * _BYTES[match[2]])


def parse_slo(text: str) -> Slo:
    """An SLO from "ttft_p95=200ms", "throughput=150", "error_rate=1%". Raises BadInput."""
    match = _SLO.fullmatch(text.strip().lower())
    if not match:
        raise BadInput(f"не понимаю SLO «{text}»", "Пишите метрика=предел, например ttft_p95=200ms")
    name, sign, number, unit = match.groups()
    metric = _slo_metric(name)
    wrong_sign = "<=" if metric.higher_is_better else ">="
    if sign == wrong_sign:
        better = "больше" if metric.higher_is_better else "меньше"
        raise BadInput(
            f"SLO «{text}»: для {name} чем {better}, тем лучше", f"Пишите {name}={number}"
        )
    limit = float(number) * _slo_scale(text, metric, unit)
    if limit <= 0 and metric is not Metric.ERROR_RATE:
        raise BadInput(f"SLO «{text}»: предел должен быть больше нуля", "Например: ttft_p95=200ms")
    return Slo(metric=metric, limit=limit)


def _slo_metric(name: str) -> Metric:
    metric = _SLO_NAMES.get(name.removesuffix("_ms"))
    if metric is None:
        # "ttft" alone says nothing of the percentile, so its own percentiles come first.
        own = [known for known in _SLO_NAMES if known.startswith(f"{name}_")]
        near = own or get_close_matches(name, _SLO_NAMES, n=3, cutoff=0.4)
        raise BadInput(
            f"неизвестная метрика SLO «{name}»", f"Есть: {', '.join(near or _SLO_NAMES)}"
        )
    return metric


def _slo_scale(text: str, metric: Metric, unit: str | None) -> float:
    if metric.value.endswith("_ms"):
        scales: dict[str | None, float] = {"ms": 1.0, "s": 1000.0}
        hint = "Добавьте единицу: ms или s"
    elif metric is Metric.ERROR_RATE:
        scales = {None: 1.0, "%": 0.01}
        hint = "Пишите долю или проценты: error_rate=1%"
    else:
        scales = {None: 1.0, "/s": 1.0}
        hint = "Пишите число в секунду без единицы"
    if unit not in scales:
        raise BadInput(f"SLO «{text}»: единица не подходит к {metric.value}", hint)
    return scales[unit]


def format_number(value: float, digits: int | None = None) -> str:
    """ "1 234,5": a comma, narrow no-break spaces; three significant digits unless told."""
    if digits is None:
        size = abs(value)
        digits = 0 if size >= 100 or value == 0 else 1 if size >= 10 else 2 if size >= 0.1 else 4
    text = f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.removeprefix("-")
    return text.replace(",", NARROW_SPACE).replace(".", ",")


def format_percent(share: float, digits: int = 0) -> str:
    """ "12 %": a comma, a no-break space before the sign."""
    return f"{format_number(100 * share, digits)}{NO_BREAK_SPACE}%"


def format_estimate(estimate: Estimate, digits: int | None = None) -> str:
    """ "201 (195…208)": the value with its 95 % interval."""
    value, low, high = (
        format_number(number, digits) for number in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} ({low}…{high})"


def is_boundless(ratio: Estimate) -> bool:
    """Whether a ratio's upper end only says that what was divided by may as well be zero."""
    return ratio.high > _BOUNDLESS * ratio.value > 0


def format_bytes(count: float) -> str:
    """Binary units: "3,5 GiB"."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{format_number(size, 0 if unit == 'B' else 1)} {unit}"
        size /= 1024
    return f"{format_number(size, 1)} TiB"


def format_duration(seconds: float) -> str:
    """ "45 с", "6 мин 5 с", "1 ч 30 мин"."""
    if seconds < 10:
        return f"{format_number(seconds, 1)} с"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} ч {minutes} мин" if minutes else f"{hours} ч"
    if minutes:
        return f"{minutes} мин {rest} с" if rest else f"{minutes} мин"
    return f"{rest} с"


def format_slo(slo: Slo) -> str:
    """ "ttft_p95 ≤ 200 ms"."""
    sign = "≥" if slo.metric.higher_is_better else "≤"
    unit = " ms" if slo.metric.value.endswith("_ms") else ""
    return f"{slo.metric.value.removesuffix('_ms')} {sign} {format_number(slo.limit)}{unit}"
