"""Engine adapters, found by file name: tools/engines/X.py with an ENGINE adds the engine X.

This file stays free of third-party imports: the simulated server is started through it.
"""

import importlib
import pkgutil
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knowledge.types import EngineConfig
    from tools.engines.base import Engine


def names() -> tuple[str, ...]:
    """All engines, in alphabetical order."""
    found = (module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg)
    return tuple(sorted(name for name in found if name != "base" and not name.startswith("_")))


def load(name: str) -> "Engine":
    """The adapter of that name. Raises BadInput naming what there is."""
    known = names()
    if name not in known:
        from knowledge.errors import BadInput

        near = get_close_matches(name, known, n=1)
        hint = f"Может быть, {near[0]}? " if near else ""
        raise BadInput(f"неизвестный движок {name!r}", f"{hint}Есть: {', '.join(known)}")
    engine: Engine = importlib.import_module(f"{__name__}.{name}").ENGINE
    return engine


def devices_of(config: "EngineConfig", otherwise: int = 1) -> int:
    """How many devices of a machine a configuration takes; `otherwise` where the engine does not
    say (some take all that they see)."""
    from tools.engines.base import Spreading

    engine = load(config.engine)
    return engine.devices(config) if isinstance(engine, Spreading) else otherwise


def joins_cluster(config: "EngineConfig") -> bool:
    """Whether its server takes its devices from a Ray cluster, perhaps beyond its own machine."""
    from tools.engines.base import Clustered

    engine = load(config.engine)
    return isinstance(engine, Clustered) and engine.joins_cluster(config)


def spans_machines(config: "EngineConfig", device_count: int) -> bool:
    """Whether it takes more devices than one machine, which has `device_count`."""
    return joins_cluster(config) and devices_of(config) > device_count
