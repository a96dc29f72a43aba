"""Quantizers, found by file name: a module of this folder with a QUANTIZER is one."""

import difflib
import importlib
from functools import cache
from pathlib import Path
from typing import cast

from knowledge.errors import BadInput
from tools.quantizers.base import ArtifactReport, Quantizer

__all__ = ["ArtifactReport", "Quantizer", "load", "names"]


@cache
def names() -> tuple[str, ...]:
    """All quantizers, sorted."""
    files = Path(__file__).parent.glob("[!_]*.py")
    return tuple(sorted(file.stem for file in files if file.stem != "base"))


def load(name: str) -> Quantizer:
    """The quantizer of tools/quantizers/NAME.py. Raises BadInput."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        known = f"Ближайший: {near[0]}" if near else f"Есть: {', '.join(names())}"
        raise BadInput(f"неизвестный квантователь {name!r}", known)
    return cast(Quantizer, importlib.import_module(f"{__name__}.{name}").QUANTIZER)
