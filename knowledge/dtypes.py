"""Bytes per element, and which arithmetic a dtype runs in."""

from difflib import get_close_matches

from knowledge.errors import BadInput

_BYTES: dict[str, float] = {
    "float64": 8,
    "float32": 4,
    "tf32": 4,
    "bfloat16": 2,
    "float16": 2,
    "fp8": 1,
    "int8": 1,
    "fp4": 0.5,
    "int4": 0.5,
}
_ALIASES = {
    "float": "float32",
    "fp32": "float32",
    "half": "float16",
    "fp16": "float16",
    "bf16": "bfloat16",
    "fp8_e4m3": "fp8",
    "fp8_e5m2": "fp8",
    "float8_e4m3fn": "fp8",
    "float8_e5m2": "fp8",
    "w8a8": "int8",
    "w8a16": "int8",
    "w4a16": "int4",
    "mxfp4": "fp4",
    "nvfp4": "fp4",
}


def canonical_dtype(dtype: str) -> str:
    """The one name of a dtype: "torch.bfloat16" and "bf16" are "bfloat16". Raises BadInput."""
    name = dtype.strip().lower().removeprefix("torch.")
    name = _ALIASES.get(name, name)
    if name not in _BYTES:
        near = get_close_matches(name, [*_BYTES, *_ALIASES], n=3, cutoff=0.4)
        raise BadInput(f"неизвестный dtype «{dtype}»", f"Есть: {', '.join(near or _BYTES)}")
    return name


def bytes_per_element(dtype: str) -> float:
    """Bytes of one element; below 1 for packed 4-bit formats. Raises BadInput."""
    return float(_BYTES[canonical_dtype(dtype)])


def is_quantized(dtype: str) -> bool:
    """Whether only the linear layers take this dtype (8 bits and fewer)."""
    return bytes_per_element(dtype) <= 1
