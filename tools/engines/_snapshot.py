"""Flags of an engine that can't be asked on this machine: a stored list with its version."""

import json
from collections.abc import Collection, Iterable
from pathlib import Path

from tools.engines import _flags
from tools.engines.base import FlagCatalog

_FOLDER = Path(__file__).parent / "_snapshots"


def catalog(engine: str, *, without: Collection[str], variables: Iterable[str]) -> FlagCatalog:
    """What _snapshots/ENGINE.json holds, less the flags that are no user's."""
    stored = json.loads((_FOLDER / f"{engine}.json").read_bytes())
    flags = [flag for flag in _flags.flags_of(stored["flags"]) if flag.name not in without]
    return FlagCatalog(
        engine=engine,
        version=stored["version"],
        flags={flag.name: flag for flag in flags},
        env=tuple(sorted(variables)),
    )
