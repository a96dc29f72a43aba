"""Numbers with their units and roles, taken out of a question one by one."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from knowledge.patterns import compiled

NUM = r"(?<![\w.,$])(\d+(?:[.,]\d+)?)"
MULT = (
    r"(?:\s*(кк|к|k|тыс\.?|тысяч\w*|млн\.?|миллион\w*|mln|million|m|лям\w*|млрд\.?|"
    r"миллиард\w*|billion|bn)(?![a-zа-я]))?"
)
_SCALE = (
    (("кк", "млн", "миллион", "mln", "million", "m", "лям"), 1e6),
    (("млрд", "миллиард", "billion", "bn"), 1e9),
    (("к", "k", "тыс", "тысяч"), 1e3),
)
TOKENS = r"(?:ток(?:ен\w*|\.)?|tok(?:en)?s?|т)(?![a-zа-я])"
SECOND = r"(?:секунд\w*|сек\.?|sec(?:ond)?|с|s)(?![a-zа-я])"
PER = r"\s*(?:/|в|за|per|a|an|p)\s*"


@dataclass(frozen=True)
class Found:
    """A number, the words before it and after it in its clause, and its groups."""

    value: float
    before: str
    after: str
    groups: tuple[str | None, ...]


class Reader:
    """A text from which what was understood is taken away, so that no number counts twice."""

    def __init__(self, text: str) -> None:
        self.text = text

    def take(self, pattern: str, *, mult: bool = False) -> Iterator[Found]:
        """Every match; group 1 is the number, and group 2 its multiplier where `mult` says so."""
        for match in list(compiled(pattern).finditer(self.text)):
            found = self._found(match, mult=mult)
            self.hide(*match.span())
            yield found

    def pick(
        self, pattern: str, wanted: Callable[[Found], bool], *, mult: bool = False
    ) -> Iterator[Found]:
        """Matches that `wanted` accepts; the others stay in the text."""
        for match in list(compiled(pattern).finditer(self.text)):
            found = self._found(match, mult=mult)
            if wanted(found):
                self.hide(*match.span())
                yield found

    def first(self, pattern: str, *, mult: bool = False) -> Found | None:
        """The first match only; the others stay in the text."""
        match = compiled(pattern).search(self.text)
        if match is None:
            return None
        found = self._found(match, mult=mult)
        self.hide(*match.span())
        return found

    def hide(self, start: int, end: int) -> None:
        """Blank a span; positions stay."""
        self.text = f"{self.text[:start]}{'·' * (end - start)}{self.text[end:]}"

    def _found(self, match: re.Match[str], *, mult: bool) -> Found:
        number = float(match[1].replace(",", "."))
        if mult and match[2]:
            number *= scale(match[2])
        before = self.text[max(0, match.start() - 60) : match.start()]
        after = self.text[match.end() : match.end() + 45]
        return Found(number, before, after, match.groups())


def scale(word: str) -> float:
    """The factor of «к», «млн», "k"."""
    plain = word.strip(". ")
    for stems, factor in _SCALE:
        if any(plain == stem or (len(stem) > 2 and plain.startswith(stem)) for stem in stems):
            return factor
    return 1.0


def token_count(value: float, multiplier: str | None) -> int:
    """Lengths: «32к» of context means 32 · 1024; «10к» and «100 тыс» mean thousands."""
    if multiplier and multiplier.strip() in ("к", "k"):
        base = round(value / scale(multiplier)) if value >= 1000 else round(value)
        if base in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512):
            return base * 1024
    return round(value)
