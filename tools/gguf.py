"""A .gguf file as a normal checkpoint: dequantized once, without loss, and kept."""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from knowledge.errors import BadModel, EngineFailed, NoRoom
from tools._disk import free_disk_bytes
from tools._locked import locked
from tools.envs import Environment, ensure
from tools.hardware import inspect
from tools.home import Home
from tools.process import run_job

_SCRIPT = Path(__file__).parent / "_in_env" / "convert_gguf.py"
_DEADLINE_S = 3600.0
_MAGIC = b"GGUF"
_SMALLEST_BITS = 4.0
"""Four-bit files grow most, eightfold, when written as float32."""
_GIB = 2**30


async def ensure_converted(file: Path, home: Home, progress: Callable[[str], None]) -> Path:
    """The checkpoint folder made of `file`; found again by the file's content hash."""
    _check_magic(file)
    digest = await asyncio.to_thread(_sha256, file)
    target = home.models / f"{file.stem}-{digest[:12]}"
    if target.exists():
        return target
    waiting = f"{file.name}: модель уже готовит другой процесс, ждём"
    async with locked(home.models / f"{target.name}.lock", lambda: progress(waiting)):
        if not target.exists():
            await convert(file, target, await environment(home, progress), progress)
    return target


async def environment(home: Home, progress: Callable[[str], None]) -> Environment:
    """The environment of the `transformers` adapter, which can read GGUF."""
    from tools.engines import load  # the adapters import this layer's modules

    hardware = await asyncio.to_thread(inspect, home)
    spec = load("transformers").env_spec(hardware)
    assert spec is not None
    return await ensure(spec, home, progress)


async def convert(
    file: Path,
    target: Path,
    env: Environment,
    progress: Callable[[str], None],
    *,
    free_disk: Callable[[Path], int] = free_disk_bytes,
) -> None:
    """Write the checkpoint beside `target` and rename it: it is there whole or not at all.

    The caller holds the target's lock. Raises NoRoom first, BadModel when it can't be converted.
    """
    _check_room(file, target.parent, free_disk)
    target.parent.mkdir(parents=True, exist_ok=True)
    progress(f"{file.name}: переводим в обычный checkpoint (float32)")

    def on_line(line: dict[str, Any]) -> None:
        progress(f"{file.name}: {line.get('progress')}")

    prefix = f".{target.name}-"
    for stale in target.parent.glob(f"{prefix}*"):  # we hold the lock: nobody is at work there
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as temporary:
        made = Path(temporary) / "model"
        log = Path(temporary) / "convert.log"
        job = {"gguf": str(file.absolute()), "target": str(made), "dtype": "float32"}
        try:
            await run_job(
                env.python, _SCRIPT, job, log_path=log, deadline_s=_DEADLINE_S, on_line=on_line
            )
        except EngineFailed as error:
            raise BadModel(
                f"Файл {file} не удалось перевести в checkpoint: {error.message}",
                "Укажите папку исходной модели с *.safetensors",
            ) from error
        made.rename(target)


def _check_magic(file: Path) -> None:
    with file.open("rb") as opened:
        if opened.read(4) != _MAGIC:
            raise BadModel(f"Файл {file} — не GGUF или повреждён", "Скачайте его заново")


def _check_room(file: Path, models: Path, free_disk: Callable[[Path], int]) -> None:
    need = int(file.stat().st_size * 32 / _SMALLEST_BITS)
    free = free_disk(models)
    if free < need:
        raise NoRoom(
            f"Для {file.name} в float32 нужно до {need / _GIB:.1f} ГиБ на диске, "
            f"свободно {free / _GIB:.1f} ГиБ",
            f"Освободите место в {models} или задайте ADVISOR_HOME на другом диске",
        )


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
