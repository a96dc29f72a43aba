"""Which engines can serve a model on a machine, and why the others can't."""

from collections.abc import Collection

from knowledge.types import Hardware, ModelSpec
from tools import engines
from tools.engines.base import Engine, OwnFormat


def servers(model: ModelSpec, hardware: Hardware) -> tuple[str, ...]:
    """Real engines that the advisor can launch here with this model."""
    return tuple(name for name in engines.names() if not refusal(name, model, hardware))


def left_out(model: ModelSpec, hardware: Hardware, compared: Collection[str]) -> dict[str, str]:
    """Reasons, in Russian, for the real engines that a comparison goes without."""
    reasons = {name: refusal(name, model, hardware) for name in engines.names()}
    return {
        engines.load(name).title: reason
        for name, reason in reasons.items()
        if reason and name not in compared and _real(engines.load(name), hardware)
    }


def refusal(name: str, model: ModelSpec, hardware: Hardware) -> str:
    """Why this engine is not to be launched for this model; empty when it may be."""
    engine = engines.load(name)
    capabilities = engine.capabilities(hardware)
    if not capabilities.launches:
        return "его запускает не advisor"
    if capabilities.simulated:
        return "это симулятор"
    if capabilities.unavailable:
        return capabilities.unavailable
    return engine.lacks(model) if isinstance(engine, OwnFormat) else ""


def _real(engine: Engine, hardware: Hardware) -> bool:
    capabilities = engine.capabilities(hardware)
    return capabilities.launches and not capabilities.simulated
