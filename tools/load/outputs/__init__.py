"""What a measurement is written as: one form per file, found by its name."""

import importlib
import pkgutil

from knowledge.errors import BadInput
from tools.load.outputs.base import Output, Point, Run

__all__ = ["Output", "Point", "Run", "load", "names"]


def names() -> tuple[str, ...]:
    """All forms, in alphabetical order."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(n for n in found if n != "base" and not n.startswith("_")))


def load(name: str) -> Output:
    """The form of that name. Raises BadInput."""
    if name not in names():
        raise BadInput(f"неизвестный вид результата {name!r}", f"Есть: {', '.join(names())}")
    found: Output = importlib.import_module(f"{__name__}.{name}").OUTPUT
    return found
