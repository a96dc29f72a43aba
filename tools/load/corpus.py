"""Real English text and code that every Python carries: no download, no licence question.

Two parts without a common paragraph: quality is never scored on text that was sent as load.
"""

import hashlib
import sysconfig
from enum import StrEnum
from functools import cache
from pathlib import Path
from pydoc_data import topics


class Part(StrEnum):
    """What the text is for."""

    PROMPT = "prompt"
    HELDOUT = "heldout"


PROMPT_PART = Part.PROMPT
HELDOUT_PART = Part.HELDOUT

_HELDOUT_EVERY = 3
_SOURCES = (  # those that are half documentation, so that code does not drown the prose
    "difflib.py",
    "doctest.py",
    "fractions.py",
    "heapq.py",
    "random.py",
    "statistics.py",
    "string.py",
    "textwrap.py",
    "threading.py",
)


@cache
def load_text(part: Part) -> str:
    """The text of one part, ASCII; the same for the same Python version.

    Held out: every third help topic. Prompts: the other topics, then standard library source,
    less every paragraph that the held-out part also has (topics quote each other).
    """
    names = sorted(topics.topics)
    heldout = [_clean(topics.topics[name]) for name in names[::_HELDOUT_EVERY]]
    if part is Part.HELDOUT:
        return "\n\n".join(heldout)
    known = {paragraph for text in heldout for paragraph in paragraphs(text)}
    others = [topics.topics[n] for i, n in enumerate(names) if i % _HELDOUT_EVERY]
    texts = [*(_clean(text) for text in others), *_sources()]
    kept = [p for text in texts for p in text.split("\n\n") if _normal(p) not in known]
    return "\n\n".join(kept)


def sha256(part: Part) -> str:
    """Hex digest of the part's text: goes into every result that depends on it."""
    return hashlib.sha256(load_text(part).encode()).hexdigest()


def paragraphs(text: str) -> set[str]:
    """Paragraphs with their spaces evened out: what two parts must not share."""
    return {_normal(p) for p in text.split("\n\n")} - {""}


def _normal(paragraph: str) -> str:
    return " ".join(paragraph.split())


def _clean(text: str) -> str:
    return text.encode("ascii", "ignore").decode().strip()


def _sources() -> list[str]:
    folder = Path(sysconfig.get_path("stdlib"))
    files = [folder / name for name in _SOURCES]
    return [_clean(f.read_text(encoding="utf-8")) for f in files if f.is_file()]
