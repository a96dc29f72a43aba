"""How servers are asked and how they stream: one protocol per file, found by its name."""

import importlib
import pkgutil
from functools import cache

from knowledge.errors import BadInput
from tools.load.protocols.base import Ask, Protocol

__all__ = ["Ask", "Protocol", "load", "names"]


def names() -> tuple[str, ...]:
    """All protocols, in alphabetical order."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(n for n in found if n != "base" and not n.startswith("_")))


@cache
def load(name: str) -> Protocol:
    """The protocol of that name. Raises BadInput."""
    if name not in names():
        raise BadInput(f"неизвестный протокол {name!r}", f"Есть: {', '.join(names())}")
    found: Protocol = importlib.import_module(f"{__name__}.{name}").PROTOCOL
    return found
