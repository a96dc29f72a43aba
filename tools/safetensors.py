"""Headers of safetensors files: enough to know a whole file from a truncated one.

Format: 8 bytes little-endian header length, a JSON header, then the tensors. Source:
https://github.com/huggingface/safetensors, "Format" in its README.
"""

import json
from pathlib import Path
from typing import Any

from knowledge.errors import BadModel

_MAX_HEADER_BYTES = 100_000_000
"""The reference reader's own limit."""
_INDEX = "model.safetensors.index.json"


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The checkpoint's files, every shard of the index present. Raises BadModel."""
    if (folder / _INDEX).exists():
        shards = sorted({folder / name for name in _weight_map(folder / _INDEX).values()})
        missing = [shard.name for shard in shards if not shard.exists()]
        if missing:
            raise BadModel(
                f"В {folder} нет файла {missing[0]}, а он указан в {_INDEX}"
                + (f" (всего не хватает {len(missing)})" if len(missing) > 1 else ""),
                "Докачайте модель целиком",
            )
        return tuple(shards)
    files = tuple(sorted(folder.glob("*.safetensors")))
    if not files:
        others = sorted(path.name for path in folder.glob("*.bin"))
        raise BadModel(
            f"В {folder} нет весов *.safetensors" + (f", есть {others[0]}" if others else ""),
            "Сохраните модель через save_pretrained(…, safe_serialization=True)"
            if others
            else "Укажите папку, где лежат config.json, tokenizer.json и *.safetensors; "
            "скорость одной формы модели меряют с --dummy-weights",
        )
    return files


def read_header(file: Path) -> bytes:
    """The JSON header as it stands in the file, which is whole. Raises BadModel naming the file."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if not 2 <= length <= min(_MAX_HEADER_BYTES, max(size - 8, 0)):
            raise _damaged(file, f"заголовок длиной {length} байт при файле в {size} байт")
        header = opened.read(length)
    expected = 8 + length + _data_bytes(file, header)
    if size != expected:
        what = "обрезан" if size < expected else "длиннее, чем должен быть"
        raise _damaged(file, f"файл {what}: {size} байт вместо {expected}")
    return header


def _data_bytes(file: Path, header: bytes) -> int:
    try:
        tensors: dict[str, Any] = json.loads(header)
        tensors.pop("__metadata__", None)
        return max((int(tensor["data_offsets"][1]) for tensor in tensors.values()), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise _damaged(file, "заголовок не читается") from None


def _weight_map(index: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(index.read_text())["weight_map"]
        return dict(found)
    except (ValueError, TypeError, KeyError):
        raise _damaged(index, "нет списка weight_map") from None


def _damaged(file: Path, why: str) -> BadModel:
    return BadModel(f"Файл {file} повреждён: {why}", "Скачайте его заново")
