"""Which number formats a device computes in, only stores, or can't use."""

from typing import Literal

from advisor.consultation.setting import LABELS
from knowledge.devices import CatalogDevice
from knowledge.errors import BadInput
from knowledge.support import Support, supports

_UNIT = {
    "fp8": "fp8",
    "int8": "int8",
    "nvfp4": "fp4",
    "mxfp4": "fp4",
    "bf16": "bfloat16",
    "fp16": "float16",
}
_SINCE = {
    "fp8": "Ada, Hopper и новее (compute capability 8.9 и выше)",
    "nvfp4": "Blackwell и новее (compute capability 10.0 и выше)",
    "mxfp4": "Blackwell и новее (compute capability 10.0 и выше)",
    "bf16": "Ampere и новее (compute capability 8.0 и выше)",
    "int8": "Turing и новее (compute capability 7.5 и выше)",
}
_SINCE_EN = {
    "fp8": "Ada, Hopper and newer (compute capability 8.9 and up)",
    "nvfp4": "Blackwell and newer (compute capability 10.0 and up)",
    "mxfp4": "Blackwell and newer (compute capability 10.0 and up)",
    "bf16": "Ampere and newer (compute capability 8.0 and up)",
    "int8": "Turing and newer (compute capability 7.5 and up)",
}
How = Literal["native", "stored", "no"]


def how(scheme: str, gpu: CatalogDevice) -> How:
    """native: computes in it. stored: saves memory, computes in a wider format. no: neither."""
    unit = _UNIT.get(scheme)
    if unit is None:
        return "stored" if scheme in ("int4", "int3", "int2") else "native"
    if gpu.native(unit):  # type: ignore[arg-type]
        return "native"
    if scheme in ("bf16", "fp16"):
        return "no"
    return "stored" if _capability(gpu) >= (8, 0) and scheme != "int8" else "no"


def since(scheme: str, language: str) -> str:
    """Which generations have the format."""
    return (_SINCE if language == "ru" else _SINCE_EN).get(scheme, "")


def matrix(engine: str, scheme: str, gpu: CatalogDevice) -> Support | None:
    """What the engine's support matrix says; None where it says nothing."""
    try:
        answer = supports(engine, scheme, gpu)
    except BadInput:
        return None
    return None if answer.level == "unknown" else answer


def instead(scheme: str, gpu: CatalogDevice) -> tuple[str, ...]:
    """Formats that do make this device faster, best first, in place of an unsupported one."""
    options = [name for name in ("fp8", "int8") if name != scheme and how(name, gpu) == "native"]
    if scheme in ("bf16",):
        return ("fp16",)
    return (*options, "int4")


def sensible(gpu: CatalogDevice) -> tuple[str, ...]:
    """Formats worth considering on a device, the best quality first."""
    base = "bf16" if gpu.native("bfloat16") else "fp16"
    more = [name for name in ("fp8", "int8") if how(name, gpu) == "native"][:1]
    return (base, *more, "int4")


def label(scheme: str) -> str:
    """«FP8» for fp8."""
    return LABELS.get(scheme, scheme.upper())


def _capability(gpu: CatalogDevice) -> tuple[int, ...]:
    text = gpu.device.compute_capability
    return tuple(int(part) for part in text.split(".")) if text else (0, 0)
