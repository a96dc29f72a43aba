"""Prints NAME==VERSION of everything that the advisor needs at run time, as installed here.

usage: runtime_pins.py [EXTRA…]: the advisor's own extras that are to be there too.
"""

import importlib.metadata
import re
import sys
from collections.abc import Collection

from packaging.requirements import Requirement

_ROOT = "inference-advisor"
_TARGET = {"python_version": "3.12", "python_full_version": "3.12.3"}


def pins(root: str, extras: Collection[str] = ()) -> dict[str, str]:
    """Versions by normalized name, the root itself left out."""
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(root, extra) for extra in ("", *extras)]
    while waiting:
        name, extra = waiting.pop()
        for text in importlib.metadata.requires(name) or ():
            need = Requirement(text)
            key = re.sub(r"[-_.]+", "-", need.name).lower()
            if need.marker and not need.marker.evaluate(_TARGET | {"extra": extra}):
                continue
            try:
                found[key] = importlib.metadata.version(key)
            except importlib.metadata.PackageNotFoundError:
                continue  # an extra's, or another platform's
            asked = {(key, wanted) for wanted in ("", *need.extras)} - seen
            seen |= asked
            waiting += sorted(asked)
    return found


if __name__ == "__main__":
    for name, version in sorted(pins(_ROOT, sys.argv[1:]).items()):
        print(f"{name}=={version}")
