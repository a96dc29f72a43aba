"""Prints NAME==VERSION of everything that the advisor needs at run time, as installed here."""

import importlib.metadata
import re

from packaging.requirements import Requirement

_ROOT = "inference-advisor"
_TARGET = {"python_version": "3.12", "python_full_version": "3.12.3", "extra": ""}


def pins(root: str) -> dict[str, str]:
    """Versions by normalized name, the root itself left out."""
    found: dict[str, str] = {}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        for text in importlib.metadata.requires(name) or ():
            need = Requirement(text)
            key = re.sub(r"[-_.]+", "-", need.name).lower()
            if key in found or (need.marker and not need.marker.evaluate(_TARGET)):
                continue
            try:
                found[key] = importlib.metadata.version(key)
            except importlib.metadata.PackageNotFoundError:
                continue  # an extra's, or another platform's
            waiting.append(key)
    return found


if __name__ == "__main__":
    for name, version in sorted(pins(_ROOT).items()):
        print(f"{name}=={version}")
