"""Graders, found by file name: a module of this folder with a GRADER grades a kind of question."""

import difflib
import importlib
from functools import cache
from pathlib import Path
from typing import cast

from knowledge.errors import BadInput
from tools.quality.graders.base import Grade, Grader, Question

__all__ = ["Grade", "Grader", "Question", "load", "names"]


@cache
def names() -> tuple[str, ...]:
    """All kinds of questions, sorted."""
    files = Path(__file__).parent.glob("[!_]*.py")
    return tuple(sorted(file.stem for file in files if file.stem != "base"))


def load(kind: str) -> Grader:
    """The grader of tools/quality/graders/KIND.py. Raises BadInput."""
    if kind not in names():
        near = difflib.get_close_matches(kind, names(), n=1)
        known = f"Ближайший: {near[0]}" if near else f"Есть: {', '.join(names())}"
        raise BadInput(f"неизвестный вид вопроса {kind!r}", known)
    return cast(Grader, importlib.import_module(f"{__name__}.{kind}").GRADER)
