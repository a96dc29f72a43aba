"""Finding a thing by what people call it: other spellings, Russian ones, typos, short forms.

Digits tell devices and models apart (A10 and A100, 7B and 70B), so a typo is forgiven in letters
only. Where a short name fits several, the most usual one is taken and the others are named.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from functools import lru_cache
from typing import Generic, Literal, TypeVar

T = TypeVar("T")

_CLOSE_LETTERS = 0.78
_CLOSE_WORD = 0.82
"""A name without digits must be closer: any word of a sentence might resemble it."""
_MOST_TYPOS = 16_384
_SHORTEST_TYPO = 4
"""Fewer letters than this hold no typo that could be told from another name."""
_LONGEST_MENTION = 7

# Stems of names as Russians write them; endings vary with the case.
_WORDS: tuple[tuple[str, str], ...] = (
    ("мистрал", "mistral"), ("микстрал", "mixtral"), ("министрал", "ministral"),
    ("кодстрал", "codestral"), ("девстрал", "devstral"),
    ("ллам", "llama"), ("лам", "llama"), ("квен", "qwen"), ("квин", "qwen"), ("кьювен", "qwen"),
    ("дипсик", "deepseek"), ("дипсік", "deepseek"), ("гемм", "gemma"), ("джемм", "gemma"),
    ("фалкон", "falcon"), ("немотрон", "nemotron"), ("кими", "kimi"), ("минимакс", "minimax"),
    ("смоллм", "smollm"), ("олмо", "olmo"), ("гранит", "granite"), ("старкодер", "starcoder"),
    ("тиниллам", "tinyllama"), ("кодер", "coder"), ("кодлам", "codellama"), ("грок", "grok"),
    ("джипити", "gpt"), ("осс", "oss"), ("глм", "glm"), ("фи", "phi"), ("бэйс", "base"),
    ("рткс", "rtx"), ("ртх", "rtx"), ("ртикс", "rtx"), ("гб", "gb"), ("гиг", "gb"),
    ("гигабайт", "gb"), ("эпик", "epyc"), ("ксеон", "xeon"), ("зеон", "xeon"),
    ("млрд", "b"), ("миллиард", "b"), ("ти", "ti"), ("супер", "super"),
    ("блэквелл", "blackwell"), ("инстинкт", "instinct"),
)  # fmt: skip
_ENDING = re.compile(r"(?:а|у|ы|и|е|о|я|ю|ь|й|ой|ей|ом|ем|ам|ах|ов|ями|ами|ях|ая|ую)?")
_SPOKEN = (("эйч", "h"), ("аш", "h"), ("эй", "a"), ("эль", "l"), ("эл", "l"), ("би", "b"),
           ("ви", "v"), ("ти", "t"), ("эм", "m"))  # fmt: skip
_LETTERS = str.maketrans("абвгдеёзийклмнопрстуфхцыэіьъ", "abvgdeezijklmnoprstufxcyei''", "")
# Letters that look Latin, typed by mistake within a name of digits: «Н100», «А100».
_LOOKALIKES = str.maketrans("авекмнорстхуі", "abekmhopctxyi")
_PIECE = re.compile(r"(?<=\d)[xх](?=[a-zа-я])|[a-z]+|[а-яёі]+|\d+(?:[.,]\d+)?")


@dataclass(frozen=True)
class Match(Generic[T]):
    """What a name stands for, or the names nearest to it."""

    text: str
    found: T | None
    how: Literal["exact", "typo", "unknown"]
    others: tuple[str, ...] = ()
    """What else the text may mean: the answer took the most usual one."""
    near: tuple[str, ...] = ()
    """The nearest known names when nothing was found."""


@dataclass(frozen=True)
class Mention(Generic[T]):
    """A name within a sentence; text[start:end] is what stands for it."""

    start: int
    end: int
    match: Match[T]


class Names(Generic[T]):
    """An index of things by all their names.

    `entries`: (title, names, weight, thing); the greater weight wins a shared name.
    """

    def __init__(self, entries: Iterable[tuple[str, Sequence[str], int, T]]) -> None:
        self._titles: list[str] = []
        found: dict[str, list[tuple[int, str, T]]] = {}
        for title, names, weight, thing in entries:
            self._titles.append(title)
            for key in {name_key(name) for name in (title, *names)} - {""}:
                found.setdefault(key, []).append((weight, title, thing))
        self._found: Mapping[str, list[tuple[int, str, T]]] = {
            key: sorted(items, key=lambda item: (-item[0], item[1])) for key, items in found.items()
        }
        self._typos: dict[str, str | None] = {}
        self._by_digits: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        for key in self._found:
            self._by_digits.setdefault(_digits(key), []).append((key, _letters(key)))
        # «qwen25» is Qwen2.5, but 15b is not 1.5b: a name of letters may lose its dot, a size not.
        self._dotless = {
            key.replace(".", ""): key
            for key in self._found
            if "." in key and len(_letters(key)) >= _SHORTEST_TYPO
        }

    def find(self, text: str) -> Match[T]:
        """The thing of that name, forgiving typos in letters."""
        known = self._known(text)
        if known:
            return self._match(text, known, "exact")
        for key in _readings(text):
            near = self._typo(key)
            if near:
                return self._match(text, near, "typo")
        return Match(text, None, "unknown", near=self.nearest(text))

    def mentions(self, text: str) -> list[Mention[T]]:
        """The names within a sentence, the longest first where they overlap.

        A typo is looked for only where no exact name stands: «на H100 80GB» is no «A100 80GB».
        """
        starts = list(_spans(text))
        found = self._pass(text, starts, [], self._exact)
        return sorted(self._pass(text, starts, found, self._mistyped), key=lambda m: m.start)

    def _pass(
        self,
        text: str,
        starts: Sequence[tuple[int, list[int]]],
        taken: list[Mention[T]],
        look: Callable[[str, int, Sequence[int]], Mention[T] | None],
    ) -> list[Mention[T]]:
        found = list(taken)
        for start, spans in starts:
            free = [end for end in spans if not any(m.start < end and start < m.end for m in found)]
            mention = look(text, start, free) if free else None
            if mention:
                found.append(mention)
        return found

    def nearest(self, text: str, count: int = 3) -> tuple[str, ...]:
        """Titles with a name like this one."""
        near = get_close_matches(name_key(text), list(self._found), n=4 * count, cutoff=0.4)
        titles = [self._found[key][0][1] for key in near]
        return tuple(dict.fromkeys(titles))[:count]

    def _exact(self, text: str, start: int, spans: Sequence[int]) -> Mention[T] | None:
        for end in spans:
            known = self._known(text[start:end])
            if known:
                return Mention(start, end, self._match(text[start:end], known, "exact"))
        return None

    def _mistyped(self, text: str, start: int, spans: Sequence[int]) -> Mention[T] | None:
        for end in spans:
            for key in _readings(text[start:end]):
                near = self._typo(key)
                if near:
                    return Mention(start, end, self._match(text[start:end], near, "typo"))
        return None

    def _known(self, text: str) -> str | None:
        """The key that the text stands for, without any typo."""
        for key in _readings(text):
            known = key if key in self._found else self._dotless.get(key)
            if known:
                return known
        return None

    def _match(self, text: str, key: str, how: Literal["exact", "typo"]) -> Match[T]:
        (_, first, thing), *rest = self._found[key]
        return Match(text, thing, how, others=tuple(t for _, t, _ in rest if t != first))

    def _typo(self, key: str) -> str | None:
        """The known key that this one is a typo of. Kept: questions share their words."""
        if key in (kept := self._typos):
            return kept[key]
        if len(kept) >= _MOST_TYPOS:
            kept = self._typos = {}  # not cleared: another thread may be reading it
        near = kept[key] = self._closest(key)
        return near

    def _closest(self, key: str) -> str | None:
        letters = _letters(key)
        if len(letters) < _SHORTEST_TYPO:
            return None
        digits = _digits(key)
        best, best_ratio = None, _CLOSE_LETTERS if digits else _CLOSE_WORD
        matcher = SequenceMatcher(None, b=letters, autojunk=False)
        for known, known_letters in self._by_digits.get(digits, ()):
            matcher.set_seq1(known_letters)
            # The cheap upper bounds first: nearly every pair ends there.
            if matcher.real_quick_ratio() > best_ratio and matcher.quick_ratio() > best_ratio:
                ratio = matcher.ratio()
                if ratio > best_ratio:
                    best, best_ratio = known, ratio
        return best


def name_key(text: str) -> str:
    """Letters and numbers only, in Latin; vendors' words dropped: «NVIDIA A100-80» is a10080."""
    return _key(_pieces(text), lookalikes=False)


@lru_cache(maxsize=16_384)
def _readings(text: str) -> tuple[str, ...]:
    """«Н100» may be a transliteration (n100) or a Latin look-alike (h100)."""
    pieces = _pieces(text)
    return tuple(dict.fromkeys((_key(pieces, lookalikes=False), _key(pieces, lookalikes=True))))


def _pieces(text: str) -> list[str]:
    lowered = unicodedata.normalize("NFKC", text).lower()
    return _PIECE.findall(lowered)


def _key(pieces: Sequence[str], *, lookalikes: bool) -> str:
    words = (_latin(piece, lookalikes=lookalikes) for piece in pieces)
    return "".join(word for word in words if word not in _DROPPED).replace(",", ".")


_DROPPED = {"nvidia", "geforce", "tesla", "amd", "intel", "instinct", "r", "tm", "gpu"}


@lru_cache(maxsize=4096)
def _latin(piece: str, *, lookalikes: bool) -> str:
    if not ("а" <= piece[0] <= "я" or piece[0] in "ёі"):
        return piece
    for stem, latin in _WORDS:
        if piece.startswith(stem) and _ENDING.fullmatch(piece[len(stem) :]):
            return latin
    if lookalikes:
        return piece.translate(_LOOKALIKES).translate(_LETTERS)
    for spoken, latin in _SPOKEN:
        if piece == spoken:
            return latin
    return piece.translate(_LETTERS).replace("'", "")


def _spans(text: str) -> Iterator[tuple[int, list[int]]]:
    """Where a name may start, and where it may then end, the farthest first."""
    pieces = list(_PIECE.finditer(text.lower()))
    for i, first in enumerate(pieces):
        if i and pieces[i - 1].end() == first.start() and not _counts(pieces[i - 1].group()):
            continue
        ends = []
        for j in range(i, min(i + _LONGEST_MENTION, len(pieces))):
            if j > i and not _joined(text[pieces[j - 1].end() : pieces[j].start()]):
                break
            glued = j + 1 < len(pieces) and pieces[j].end() == pieces[j + 1].start()
            if not glued:
                ends.append(pieces[j].end())
        if ends:
            yield first.start(), ends[::-1]


def _joined(between: str) -> bool:
    """Words of one name stand side by side or are joined by a hyphen, slash or underscore."""
    return len(between) <= 3 and all(c in " -_/.:()\u00a0" for c in between)


def _counts(piece: str) -> bool:
    """The x of «8xH100»."""
    return piece in ("x", "х")


def _letters(key: str) -> str:
    return "".join(c for c in key if c.isalpha())


def _digits(key: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\d+", key))
