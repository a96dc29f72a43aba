"""The kinds of answers, one file each, found by their file names.

A module has `score(question) -> float` (0: not mine; about 5: probably; 8 and more: certainly) and
`async write(question, draft)`. It may have `ASKS = True` where it is only a question back.
"""

import importlib
import pkgutil
from functools import lru_cache
from types import ModuleType

from advisor.consultation.question import Question


@lru_cache(maxsize=1)
def modules() -> dict[str, ModuleType]:
    """Every kind of answer by its name."""
    names = [found.name for found in pkgutil.iter_modules(__path__) if found.name[0] != "_"]
    return {name: importlib.import_module(f"{__name__}.{name}") for name in sorted(names)}


def ranked(question: Question) -> list[tuple[str, float]]:
    """Kinds that feel asked, the surest first."""
    scores = [(name, float(module.score(question))) for name, module in modules().items()]
    return sorted([pair for pair in scores if pair[1] > 0], key=lambda pair: -pair[1])
