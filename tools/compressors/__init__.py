"""Compressors, found by file name: a module of this folder with a COMPRESSOR is one.

They fulfil the protocol of tools.quantizers.base: a recipe in, a checkpoint out.
"""

import difflib
import importlib
from functools import cache
from pathlib import Path
from typing import cast

from knowledge.errors import BadInput
from tools.quantizers.base import Quantizer

__all__ = ["load", "names"]


@cache
def names() -> tuple[str, ...]:
    """All compressors, sorted."""
    files = Path(__file__).parent.glob("[!_]*.py")
    return tuple(sorted(file.stem for file in files if file.stem != "base"))


def load(name: str) -> Quantizer:
    """The compressor of tools/compressors/NAME.py. Raises BadInput."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        known = f"Ближайший: {near[0]}" if near else f"Есть: {', '.join(names())}"
        raise BadInput(f"неизвестный метод сжатия {name!r}", known)
    return cast(Quantizer, importlib.import_module(f"{__name__}.{name}").COMPRESSOR)
