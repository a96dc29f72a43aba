"""Who makes derived checkpoints: quantizers and compressors under one roof of names."""

import difflib

from knowledge.errors import BadInput
from knowledge.types import Artifact
from tools import compressors, quantizers
from tools.quantizers.base import Quantizer

__all__ = ["compressors", "load", "names", "quantizers", "recipe"]

_CALLED = {
    "gptq": Artifact(quantizer="llmcompressor", scheme="w4a16"),
    "awq": Artifact(quantizer="llmcompressor", scheme="w4a16", options={"method": "awq"}),
    "smoothquant": Artifact(
        quantizer="llmcompressor", scheme="w8a8", options={"method": "smoothquant"}
    ),
    "int8": Artifact(quantizer="llmcompressor", scheme="w8a8"),
    "int4": Artifact(quantizer="llmcompressor", scheme="w4a16"),
}
"""What people call a recipe that is a scheme with a method."""


def names() -> tuple[str, ...]:
    """All of both folders; no two have one name."""
    return (*quantizers.names(), *compressors.names())


def load(name: str) -> Quantizer:
    """A quantizer or compressor by name. Raises BadInput with the nearest."""
    return compressors.load(name) if name in compressors.names() else quantizers.load(name)


def recipe(scheme: str) -> Artifact:
    """The recipe that a scheme's name stands for. Raises BadInput with the nearest names."""
    wanted = scheme.strip().lower()
    if wanted in _CALLED:
        return _CALLED[wanted]
    by_scheme = {one: name for name in quantizers.names() for one in load(name).schemes}
    if wanted in by_scheme:
        return Artifact(quantizer=by_scheme[wanted], scheme=wanted)
    known = [*_CALLED, *by_scheme]
    near = difflib.get_close_matches(wanted, known, n=2)
    raise BadInput(
        f"неизвестная схема {scheme!r}",
        f"Ближайшие: {', '.join(near)}" if near else f"Есть: {', '.join(sorted(known))}",
    )
