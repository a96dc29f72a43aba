"""Known accelerators and processors: knowledge/gpus and knowledge/cpus, one file each."""

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from knowledge.errors import BadInput
from knowledge.files import first_problem, read_folder
from knowledge.names import Match, Mention, Names
from knowledge.provenance import Provenance
from knowledge.types import Device, Frozen

_HERE = Path(__file__).parent
_FOLDERS = {"gpu": _HERE / "gpus", "cpu": _HERE / "cpus"}
_FEW = 8
"""How many of the usual devices an error names when none is like the given name."""
_DEVICE_FIELDS = tuple(Device.model_fields)

Kind = Literal["gpu", "cpu"]
Format = Literal["fp4", "fp8", "int8", "bfloat16", "float16"]


class CatalogDevice(Frozen):
    """A device as one file describes it: the roofline's ceilings and what surrounds them."""

    stem: str
    """The file's name, the short id that prices and answers use, e.g. "h100-sxm"."""
    device: Device
    vendor: Literal["nvidia", "amd", "intel", "google", "apple", "arm"]
    generation: str
    """Architecture, e.g. "Hopper"."""
    memory_type: str
    link: str
    """What joins devices of one host, e.g. "NVLink 4"; PCIe where there is nothing faster."""
    link_bytes_per_s: float
    """Of that link, both directions together, per device."""
    per_host: int = 8
    """How many stand in one usual host."""
    cores: int | None = None
    isa: tuple[str, ...] = ()
    released: str = ""
    note: str = ""
    provenance: tuple[Provenance, ...]
    aliases: tuple[str, ...] = ()
    weight: int = 0
    """Which one a shared name means: the greater, the more usual."""

    @property
    def name(self) -> str:
        return self.device.name

    @property
    def memory_gib(self) -> float:
        return self.device.memory_bytes / 2**30

    @property
    def is_nvlinked(self) -> bool:
        """Whether tensor parallelism has something faster than PCIe."""
        return "PCIe" not in self.link

    @property
    def checked(self) -> bool:
        """Whether at least one source was read; its title tells which figures it vouches for."""
        return any(source.checked for source in self.provenance)

    def native(self, dtype: Format) -> bool:
        """Whether it has arithmetic of its own for a dtype (else it is converted, not faster)."""
        return dtype in self.device.flops_per_s


def known_devices() -> dict[str, Device]:
    """Accelerators by their names, in the order of the names."""
    return {entry.name: entry.device for entry in catalog("gpu")}


def find_device(name: str) -> Device:
    """An accelerator by name, file name or NVML's name. Raises BadInput with the nearest names."""
    return require_gpu(name).device


def require_gpu(name: str) -> CatalogDevice:
    """The catalog's record of an accelerator. Raises BadInput with the nearest names."""
    match = find_gpu(name)
    if match.found is None:
        usual = sorted(catalog("gpu"), key=lambda entry: -entry.weight)
        known = match.near or tuple(entry.stem for entry in usual[:_FEW])
        raise BadInput(
            f"неизвестное устройство «{name}»",
            f"Есть: {', '.join(known)}; новое добавляет файл в knowledge/gpus",
        )
    return match.found


def find_gpu(text: str) -> Match[CatalogDevice]:
    """An accelerator by any of its names: «A100-80», «4090», «h100 sxm», «л40с», «эй100»."""
    return _names("gpu").find(text)


def find_cpu(text: str) -> Match[CatalogDevice]:
    """A processor by any of its names."""
    return _names("cpu").find(text)


def gpus_in(text: str) -> list[Mention[CatalogDevice]]:
    """The accelerators that a sentence names."""
    return _names("gpu").mentions(text)


def cpus_in(text: str) -> list[Mention[CatalogDevice]]:
    """The processors that a sentence names."""
    return _names("cpu").mentions(text)


@lru_cache(maxsize=2)
def catalog(kind: Kind) -> tuple[CatalogDevice, ...]:
    """All records in the order of the devices' names. Raises BadInput for a broken file."""
    folder = _FOLDERS[kind]
    entries = [_entry(folder, stem, fields) for stem, fields in read_folder(folder).items()]
    return tuple(sorted(entries, key=lambda entry: entry.name))


@lru_cache(maxsize=2)
def _names(kind: Kind) -> Names[CatalogDevice]:
    return Names(
        (entry.stem, (entry.name, *entry.aliases), entry.weight, entry) for entry in catalog(kind)
    )


def _entry(folder: Path, stem: str, fields: dict[str, Any]) -> CatalogDevice:
    rest = dict(fields)
    device = {name: rest.pop(name) for name in _DEVICE_FIELDS if name in rest}
    try:
        sources = [Provenance.model_validate(source) for source in rest.pop("provenance", ())]
        device["source"] = "; ".join(source.describe() for source in sources)
        return CatalogDevice(
            stem=stem, device=Device.model_validate(device), provenance=tuple(sources), **rest
        )
    except (ValidationError, TypeError) as error:
        raise BadInput(
            f"{folder.name}/{stem}.yaml: {first_problem(error)}",
            "Схема — CatalogDevice в knowledge/devices.py",
        ) from error
