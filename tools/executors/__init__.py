"""Where trials run, found by file name: tools/executors/X.py with a `connect` adds X."""

import importlib
import pkgutil
from difflib import get_close_matches
from typing import TYPE_CHECKING

from knowledge.errors import BadInput

if TYPE_CHECKING:
    from tools.executors.base import Executor

LOCAL = "local"


def names() -> tuple[str, ...]:
    """All executors, in alphabetical order."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in found if name != "base" and not name.startswith("_")))


def connect(name: str, address: str | None = None) -> "Executor":
    """The executor of that name, ready to run trials; whoever connects closes it.

    `address`: of the cluster, where there is one. Raises BadInput when there is no such executor,
    when what it needs is not installed, or when its cluster can't be reached.
    """
    known = names()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"Может быть, {near[0]}? " if near else ""
        raise BadInput(f"неизвестный исполнитель {name!r}", f"{hint}Есть: {', '.join(known)}")
    executor: Executor = importlib.import_module(f"{__name__}.{name}").connect(address)
    return executor
