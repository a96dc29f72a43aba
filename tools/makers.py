"""Who makes derived checkpoints: quantizers and compressors under one roof of names."""

from tools import compressors, quantizers
from tools.quantizers.base import Quantizer

__all__ = ["load", "names"]


def names() -> tuple[str, ...]:
    """All of both folders; no two have one name."""
    return (*quantizers.names(), *compressors.names())


def load(name: str) -> Quantizer:
    """A quantizer or compressor by name. Raises BadInput with the nearest."""
    return compressors.load(name) if name in compressors.names() else quantizers.load(name)
