"""Sizes of GGUF files: bits per weight of llama.cpp's quant types."""

from functools import lru_cache
from pathlib import Path

from knowledge.files import read_folder
from knowledge.provenance import Provenance
from knowledge.types import Frozen

_FOLDER = Path(__file__).parent / "defaults"


class GgufBits(Frozen):
    """Bits per weight by quant type, of a whole file."""

    bits: dict[str, float]
    provenance: tuple[Provenance, ...]


@lru_cache(maxsize=1)
def gguf_bits() -> GgufBits:
    """The table, with its source."""
    return GgufBits.model_validate(read_folder(_FOLDER)["gguf-bits"])


def quant_type(text: str) -> str | None:
    """The quant type that a text names, the longest: «q4_k_m», «Q8», «q4» (its usual K_M)."""
    plain = text.lower().replace("-", "_")
    known = sorted(gguf_bits().bits, key=len, reverse=True)
    found = next((name for name in known if name in plain), None)
    if found:
        return found
    usual = (("q8", "q8_0"), ("q6", "q6_k"), ("q5", "q5_k_m"), ("q4", "q4_k_m"), ("q3", "q3_k_m"))
    return next((name for short, name in usual if short in plain), None)


def file_bytes(parameters: float, name: str) -> float:
    """How large a model of so many parameters is in a quant type."""
    return parameters * gguf_bits().bits[name] / 8
