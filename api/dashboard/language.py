"""Words and numbers of a page: Russian, or English by a switch."""

import functools
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import yaml

from advisor.report import labels, numbers
from knowledge.types import Estimate, Interval, Metric, Objective, Slo

Code = Literal["ru", "en"]
_ENGLISH_UNITS = {
    "ток/с": "tok/s",
    "запр./с": "req/s",
    "мс": "ms",
    "ГиБ": "GiB",
    "Вт": "W",
    "МГц": "MHz",
    "с": "s",
    "мин": "min",
    "ч": "h",
}


@functools.cache
def english() -> dict[str, str]:
    """English by the Russian text."""
    path = Path(__file__).with_name("english.yaml")
    words = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {str(russian): str(text) for russian, text in words.items()}


@dataclass(frozen=True)
class Language:
    """What a template calls to speak."""

    code: Code

    def t(self, russian: str, **values: object) -> str:
        """The text in this language, `{name}` replaced by its value."""
        text = russian if self.code == "ru" else english().get(russian, russian)
        return text.format(**values) if values else text

    def number(self, value: float, decimals: int | None = None) -> str:
        text = numbers.number(value, decimals)
        if self.code == "en":
            text = text.replace(",", ".").replace(numbers.THIN, ",")
        return text

    def tick(self, value: float) -> str:
        """A round number without zeros at its end, for an axis."""
        text = self.number(value, 6)
        return text.rstrip("0").rstrip(",." if self.code == "ru" else ".")

    def amount(self, value: float, unit: str, decimals: int | None = None) -> str:
        """A number with its unit; the unit is given in Russian."""
        words = self.unit(unit)
        text = self.number(value, decimals)
        return f"{text}{numbers.NBSP}{words}" if words else text

    def unit(self, russian: str) -> str:
        return russian if self.code == "ru" else _ENGLISH_UNITS.get(russian, russian)

    def figure(self, estimate: Estimate | None, decimals: int | None = None) -> str:
        """Only the value, or a dash."""
        return numbers.DASH if estimate is None else self.number(estimate.value, decimals)

    def interval(self, estimate: Estimate | Interval | None, decimals: int | None = None) -> str:
        """«195,0…208,1», or nothing."""
        if estimate is None:
            return ""
        digits = numbers.decimals_for(estimate.high) if decimals is None else decimals
        return f"{self.number(estimate.low, digits)}…{self.number(estimate.high, digits)}"

    def ratio(self, gain: Estimate | None) -> str:
        """«×1,83», or a dash."""
        return numbers.DASH if gain is None else f"×{self.number(gain.value, 2)}"

    def duration(self, seconds: float | None) -> str:
        """«45 с», «12 мин 5 с», «2 ч 10 мин»."""
        if seconds is None:
            return numbers.DASH
        text = numbers.duration(seconds)
        if self.code == "en":
            text = re.sub(r"[а-я]+", lambda found: self.unit(found[0]), text)
        return text

    def share(self, value: float, decimals: int = 0) -> str:
        return f"{self.number(value * 100, decimals)}{numbers.NBSP}%"

    def when(self, at: datetime | None) -> str:
        """A moment in UTC, to the minute."""
        if at is None:
            return numbers.DASH
        return at.strftime("%d.%m.%Y %H:%M" if self.code == "ru" else "%Y-%m-%d %H:%M")

    def metric(self, metric: Metric) -> str:
        text = labels.metric(metric)
        if self.code == "en":
            text = text.replace("среднее", "mean").replace("Доля ошибок", "Error rate")
        return text

    def metric_unit(self, metric: Metric) -> str:
        return self.unit(labels.unit(metric))

    def slo(self, slo: Slo) -> str:
        sign = "≥" if slo.metric.higher_is_better else "≤"
        unit = self.metric_unit(slo.metric)
        return (
            f"{self.metric(slo.metric)} {sign} {self.tick(slo.limit)}{numbers.NBSP}{unit}".strip()
        )

    def objective(self, name: str) -> str:
        return self.t(labels.OBJECTIVES[Objective(name)])

    def state(self, state: str) -> str:
        return self.t(_STATES.get(state, state))

    def decision(self, decision: str | None) -> str:
        return self.t(_DECISIONS.get(decision or "", decision or ""))

    def purpose(self, purpose: str) -> str:
        return self.t(_PURPOSES.get(purpose, purpose))

    def bottleneck(self, name: str) -> str:
        return self.t(labels.BOTTLENECKS.get(name, name))


_STATES = {
    "queued": "в очереди",
    "running": "идёт",
    "cancelling": "останавливается",
    "done": "завершена",
    "infeasible": "SLO невыполнимы",
    "cancelled": "остановлена",
    "failed": "не удалась",
    "interrupted": "прервана",
}
_DECISIONS = {
    "kept": "оставлено",
    "dropped": "отброшено",
    "inconclusive": "не доказано",
    "crashed": "не запустилось",
}
_PURPOSES = {
    "naive": "Наивный эталон",
    "baseline": "Движок по умолчанию",
    "hypothesis": "Гипотеза",
    "repeat": "Повтор перед сдачей",
    "production": "Production-проверка",
}
SPOKEN = (
    *_STATES.values(),
    *_DECISIONS.values(),
    *_PURPOSES.values(),
    *labels.OBJECTIVES.values(),
    *labels.BOTTLENECKS.values(),
)
"""Texts that reach the page by a table, not from a template."""
LANGUAGES: dict[str, Language] = {"ru": Language("ru"), "en": Language("en")}
