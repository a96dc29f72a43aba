"""An answer under construction: result first, then what to watch, the reckoning, the sources."""

import re
from dataclasses import dataclass, field
from typing import Literal

from advisor.report.numbers import NBSP, number
from knowledge.prediction import Figure, Provenance

Language = Literal["ru", "en"]
_CLAIM = re.compile(r"быстрее|ускор|×\d|faster|speed-?up", re.I)
_ORIGIN = re.compile(
    r"прогноз|измерен|расч[её]т|roofline|с ваших слов|ожида|predicted|measured|computed", re.I
)
_HEADS = {
    "warnings": ("Обратите внимание", "Note"),
    "working": ("Расчёт", "Calculation"),
    "assumed": ("Что я принял сам", "Assumed"),
    "sources": ("Источники", "Sources"),
    "next": ("Дальше", "Next"),
}
_PROVENANCE_EN = {
    Provenance.MEASURED_HERE: "measured here",
    Provenance.MEASURED_ELSEWHERE: "measured elsewhere",
    Provenance.PREDICTED: "predicted",
    Provenance.COMPUTED: "computed",
}


@dataclass(frozen=True)
class Cited:
    """What an answer leans on."""

    title: str
    date: str = ""
    note: str = ""

    def __str__(self) -> str:
        return ", ".join(part for part in (self.title, self.date, self.note) if part)


@dataclass
class Draft:
    """Collects the parts; `text()` puts them in order. Every part may be given twice: ru, en."""

    language: Language = "ru"
    result: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    working: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    sources: list[Cited] = field(default_factory=list)
    following: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    def say(self, ru: str, en: str | None = None) -> str:
        """The phrase in the language of the answer."""
        return ru if self.language == "ru" or en is None else en

    def lead(self, ru: str, en: str | None = None) -> None:
        self.result.append(self.say(ru, en))

    def add(self, ru: str, en: str | None = None) -> None:
        self.body.append(self.say(ru, en))

    def warn(self, ru: str, en: str | None = None) -> None:
        _once(self.warnings, self.say(ru, en))

    def work(self, ru: str, en: str | None = None) -> None:
        _once(self.working, self.say(ru, en))

    def assume(self, ru: str, en: str | None = None) -> None:
        _once(self.assumed, self.say(ru, en))

    def cite(self, title: str, date: str = "", note: str = "") -> None:
        cited = Cited(title, date, note)
        if cited not in self.sources:
            self.sources.append(cited)

    def offer(self, ru: str, en: str | None = None) -> None:
        _once(self.following, self.say(ru, en))

    def note_figure(self, name: str, value: float) -> None:
        """A figure that the end piece carries for programs."""
        self.figures.setdefault(name, value)

    def num(self, value: float, decimals: int | None = None) -> str:
        """A number as readers of the language write it."""
        text = number(value, decimals)
        return text if self.language == "ru" else _english(text)

    def unit(self, value: float, ru: str, en: str, decimals: int | None = None) -> str:
        return f"{self.num(value, decimals)}{NBSP}{self.say(ru, en)}"

    def gib(self, size_bytes: float) -> str:
        """«131,4 ГиБ»; small ones in KiB and MiB."""
        if size_bytes < 2**20:
            return self.unit(size_bytes / 2**10, "КиБ", "KiB", 1 if size_bytes % 1024 else 0)
        if size_bytes < 2**30:
            return self.unit(size_bytes / 2**20, "МиБ", "MiB", 1)
        return self.unit(size_bytes / 2**30, "ГиБ", "GiB", 1)

    def ms(self, value: float) -> str:
        if value >= 10_000:
            return self.unit(value / 1000, "с", "s", 1)
        return self.unit(value, "мс", "ms", 0 if value >= 100 else 1 if value >= 10 else 2)

    def interval(self, figure: Figure, ru: str, en: str, decimals: int | None = None) -> str:
        """«6,3 [5,1; 7,9] мс»: the value with its 90 % interval."""
        digits = decimals if decimals is not None else _digits(figure.value)
        low, high = self.num(figure.low, digits), self.num(figure.high, digits)
        return f"{self.num(figure.value, digits)}{NBSP}[{low};{NBSP}{high}]{NBSP}{self.say(ru, en)}"

    def money(self, value: float, currency: str = "$") -> str:
        digits = 0 if value >= 1000 else 2 if value >= 0.1 else 4
        text = self.num(value, digits)
        return f"${text}" if currency == "$" else f"{text}{NBSP}{currency}"

    def provenance(self, provenance: Provenance) -> str:
        return self.say(provenance.russian, _PROVENANCE_EN[provenance])

    def text(self) -> str:
        self._origin()
        parts = [" ".join(self.result).replace(" \n\n ", "\n\n").strip()]
        if self.warnings:
            parts.append(self._list("warnings", self.warnings))
        parts += self.body
        if self.working:
            parts.append(self._list("working", self.working))
        if self.assumed:
            parts.append(self._list("assumed", self.assumed))
        if self.sources:
            parts.append(self._list("sources", [str(source) for source in self.sources]))
        if self.following:
            parts.append(f"**{self.say(*_HEADS['next'])}.** {' '.join(self.following)}")
        return "\n\n".join(part for part in parts if part) + "\n"

    def _origin(self) -> None:
        """No word on speed goes out without saying where it comes from."""
        told = " ".join([*self.result, *self.body, *self.warnings])
        if _CLAIM.search(told) and not _ORIGIN.search(told):
            self.add(
                "Сказанное о скорости — ожидание по источникам (прогноз): на вашей машине это не"
                " измерено.",
                "What is said of speed is expected from the sources, predicted, and not measured on"
                " your machine.",
            )

    def _list(self, head: str, lines: list[str]) -> str:
        title = f"**{self.say(*_HEADS[head])}**"
        return "\n".join([title, "", *(f"- {line}" for line in lines)])


def _once(lines: list[str], line: str) -> None:
    if line and line not in lines:
        lines.append(line)


def _digits(value: float) -> int:
    return 0 if value >= 100 else 1 if value >= 10 else 2


def _english(text: str) -> str:
    return text.replace("\u202f", ",").replace(",", "\0", 0) if "," not in text else _swap(text)


def _swap(text: str) -> str:
    return text.replace(",", ".").replace("\u202f", ",")
