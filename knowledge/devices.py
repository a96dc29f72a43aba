"""Known accelerators: knowledge/gpus/*.yaml, one file each, figures from the vendor."""

from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

import yaml

from knowledge.errors import BadInput
from knowledge.types import Device, Frozen

_FOLDER = Path(__file__).parent / "gpus"


class _Entry(Frozen):
    """A file: the device, and the other names it goes by (NVML's name among them)."""

    device: Device
    aliases: tuple[str, ...] = ()


def known_devices() -> dict[str, Device]:
    """Devices by their names, in the order of the names."""
    return {entry.device.name: entry.device for _, entry in _entries()}


def find_device(name: str) -> Device:
    """A device by name, file name or NVML's name. Raises BadInput with the nearest names."""
    wanted = _key(name)
    for stem, entry in _entries():
        if wanted in {_key(known) for known in (stem, entry.device.name, *entry.aliases)}:
            return entry.device
    stems = [stem for stem, _ in _entries()]
    near = get_close_matches(name.lower(), stems, n=3, cutoff=0.4)
    raise BadInput(
        f"неизвестное устройство «{name}»",
        f"Есть: {', '.join(near or stems)}; новое добавляет файл в knowledge/gpus",
    )


@lru_cache(maxsize=1)
def _entries() -> tuple[tuple[str, _Entry], ...]:
    entries = []
    for path in _FOLDER.glob("*.yaml"):
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
        aliases = fields.pop("aliases", ())
        entries.append((path.stem, _Entry(device=Device(**fields), aliases=aliases)))
    return tuple(sorted(entries, key=lambda pair: pair[1].device.name))


def _key(name: str) -> str:
    """Case, vendor and punctuation do not tell devices apart."""
    words = "".join(c if c.isalnum() else " " for c in name.lower()).split()
    return "".join(word for word in words if word not in ("nvidia", "geforce", "tesla"))
