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


def missing(root: str, extras: Collection[str]) -> list[str]:
    """Extras that there are not, and packages of theirs that are not installed here."""
    known = importlib.metadata.metadata(root).get_all("Provides-Extra") or []
    found = [f"extra {extra}" for extra in extras if extra not in known]
    needs = [Requirement(text) for text in importlib.metadata.requires(root) or ()]
    for need in needs:
        wanted = any(
            need.marker and need.marker.evaluate(_TARGET | {"extra": extra}) for extra in extras
        )
        if wanted and not (need.marker and need.marker.evaluate(_TARGET | {"extra": ""})):
            try:
                importlib.metadata.version(need.name)
            except importlib.metadata.PackageNotFoundError:
                found.append(need.name)
    return found


if __name__ == "__main__":
    asked = [word for text in sys.argv[1:] for word in text.split(",") if word]
    if lacking := missing(_ROOT, asked):
        sys.exit(f"not here: {', '.join(lacking)}; pip install 'inference-advisor[EXTRA]' first")
    for name, version in sorted(pins(_ROOT, asked).items()):
        print(f"{name}=={version}")
