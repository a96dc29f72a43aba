"""Files of requests that others recorded: one format per file, found by its name."""

import importlib
import pkgutil
from functools import cache

from tools.load.traces.base import Message, TraceFormat, TraceRow

__all__ = ["Message", "TraceFormat", "TraceRow", "formats"]


@cache
def formats() -> tuple[TraceFormat, ...]:
    """All formats; those that look for more come first, so that a general one can't take theirs."""
    found: list[TraceFormat] = []
    for module in pkgutil.iter_modules(__path__):
        if module.name != "base" and not module.name.startswith("_"):
            found.append(importlib.import_module(f"{__name__}.{module.name}").FORMAT)
    return tuple(sorted(found, key=lambda form: (form.general, form.name)))
