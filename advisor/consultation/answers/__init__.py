"""The kinds of answers, one file each, found by their file names.

A module has `score(question) -> float` (0: not mine; about 5: probably; 8 and more: certainly) and
`async write(question, draft)`. It may have:

`EXAMPLES`   questions of its kind as users put them, without names and numbers («модель», «карта»,
             «#»): a wording that no pattern foresees finds its answer by the nearest example.
`NEEDS`      names of what the question must have, of `Question` or `Frame`, for it to answer.
`COVERS`     kinds whose answer is part of its own, so that they need not be added to it.
`ANYWHERE`   True where it answers for a device that the catalog lacks, too.
`PART`       True where it may answer one part of a question that has several.
"""

import importlib
import pkgutil
from functools import lru_cache
from types import ModuleType

from advisor.consultation.answers import _notes
from advisor.consultation.question import Question
from advisor.consultation.understanding.nearest import Examples


@lru_cache(maxsize=1)
def modules() -> dict[str, ModuleType]:
    """Every kind of answer by its name."""
    names = [found.name for found in pkgutil.iter_modules(__path__) if found.name[0] != "_"]
    return {name: importlib.import_module(f"{__name__}.{name}") for name in sorted(names)}


@lru_cache(maxsize=1)
def examples() -> Examples:
    """All example questions: those of the modules, and those of the playbook's pages."""
    labelled = [
        (name, text)
        for name, module in modules().items()
        for text in getattr(module, "EXAMPLES", ())
    ]
    for page in _notes.playbook().values():
        labelled += [(f"note:{page.name}", text) for text in (page.ask, *page.examples) if text]
    return Examples(labelled)


def ranked(question: Question) -> list[tuple[str, float]]:
    """Kinds that feel asked, the surest first: patterns and numbers, and the nearest examples."""
    near = question.near
    scores = [
        (name, _blended(float(module.score(question)), near.get(name, 0.0)))
        for name, module in modules().items()
        if all(_has(question, need) for need in getattr(module, "NEEDS", ()))
    ]
    return sorted([pair for pair in scores if pair[1] > 0], key=lambda pair: -pair[1])


def _blended(score: float, near: float) -> float:
    """A pattern's score lifted by likeness; likeness alone is worth at most a sure pattern."""
    if score > 0:
        return score + 2.0 * max(0.0, near - 0.3)
    return max(0.0, min(8.0, 14.0 * (near - 0.3)))


def _has(question: Question, need: str) -> bool:
    return bool(getattr(question, need, None) or getattr(question.frame, need, None))
