"""Derived checkpoints: made once, kept by content, published whole or not at all."""

import asyncio
import hashlib
import json
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from knowledge.errors import BadInput, NoRoom, StoreError
from knowledge.quantities import format_bytes
from knowledge.types import Artifact, FlagValue, Frozen, Hardware, ModelSpec
from tools import envs
from tools._cpu import free_memory_bytes
from tools._disk import free_disk_bytes
from tools._locked import locked
from tools.home import Home
from tools.makers import load
from tools.objects import Objects
from tools.quantizers.base import ArtifactReport, Progress

_MANIFEST = "manifest.json"
_SPARE_BYTES = 512 * 2**20
_There = Literal["nothing", "damaged", "taken"]
"""What an object storage held of an artifact."""


class Manifest(Frozen):
    """How an artifact came to be: kept beside its weights, written last."""

    artifact: Artifact
    model: str
    model_fingerprint: str
    report: ArtifactReport
    versions: dict[str, str]
    """Packages of the environment that made it."""
    files: dict[str, int]
    """Name and size in bytes: a folder that lost something is made again."""


def folder(artifact: Artifact, model: ModelSpec, home: Home) -> Path:
    """Where the artifact is, or would be: the recipe's content id and the model's fingerprint."""
    made_of = Artifact(
        quantizer=artifact.quantizer,
        scheme=artifact.scheme,
        options={name: _content(value) for name, value in artifact.options.items()}
        | {"model_fingerprint": model.fingerprint},
    )
    return home.artifacts / f"{artifact.scheme}-{made_of.content_id(16)}"


def _content(value: FlagValue) -> FlagValue:
    """A folder (a student, an adapter) counts by what is in it: it may be written anew."""
    if not isinstance(value, str) or not Path(value).is_dir():
        return value
    files = [file for file in sorted(Path(value).rglob("*")) if file.is_file()]
    seen = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def find(artifact: Artifact, model: ModelSpec, home: Home) -> Manifest | None:
    """The manifest of a complete artifact; None when there is none, or it is damaged."""
    path = folder(artifact, model, home)
    try:
        manifest = Manifest.model_validate_json((path / _MANIFEST).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return manifest if manifest.files == _sizes(path) else None


async def ensure(
    artifact: Artifact, model: ModelSpec, hardware: Hardware, home: Home, progress: Progress
) -> Path:
    """The folder of the artifact, made now unless it is there. Two callers make it once.

    Raises BadInput (recipe or model), NoRoom (disk), SetupFailed (environment), ArtifactFailed.
    """
    quantizer = load(artifact.quantizer)
    quantizer.validate(artifact, model)
    path = folder(artifact, model, home)
    if find(artifact, model, home):
        return path
    waiting = f"{path.name}: артефакт уже делает другой процесс, ждём"
    async with locked(home.artifacts / f"{path.name}.lock", lambda: progress(waiting)):
        if find(artifact, model, home):
            return path
        # The lock is ours, so whatever lies there was left by a process that died.
        work = home.artifacts / ".partial" / path.name
        try:
            found = await _fetched(home.objects, work, path, progress)
            if found == "taken":
                return path
            check_room(artifact, model, home)
            env = await envs.ensure(quantizer.env_spec(hardware), home, progress)
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            report = await quantizer.make(artifact, model, env, work, home, progress)
            _publish(work, path, artifact, model, report, env.versions)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        await _left(home.objects, path, found, progress)
    return path


async def _fetched(objects: Objects | None, work: Path, path: Path, progress: Progress) -> _There:
    """Whether somebody has made it already: what was taken lies at `path` now, whole."""
    if objects is None:
        return "nothing"
    stop = threading.Event()
    work.parent.mkdir(parents=True, exist_ok=True)
    # A thread can't be cancelled: in a folder of its own it is in nobody's way until it stops.
    folder = Path(tempfile.mkdtemp(prefix=f"{work.name}-", dir=work.parent))
    try:
        found = await asyncio.to_thread(_fetch, objects, folder, path.name, stop)
        if found == "taken":
            shutil.rmtree(path, ignore_errors=True)
            folder.rename(path)
            progress(f"{path.name}: готовая копия взята из {objects.url}")
    except (StoreError, BadInput) as error:
        progress(f"{path.name}: {error}. Копия будет сделана здесь")
        return "nothing"
    finally:
        stop.set()
        shutil.rmtree(folder, ignore_errors=True)
    return found


def _fetch(objects: Objects, folder: Path, name: str, stop: threading.Event) -> _There:
    """Into the folder; what is left there unless it was taken is not asked for."""
    try:
        if not objects.get(_object(name, _MANIFEST), folder / _MANIFEST):
            return "nothing"
        manifest = Manifest.model_validate_json((folder / _MANIFEST).read_bytes())
        inside = folder.resolve()
        safe = all((inside / file).resolve().is_relative_to(inside) for file in manifest.files)
        room = free_disk_bytes(folder) >= sum(manifest.files.values()) + _SPARE_BYTES
        whole = (
            safe and room and all(_copied(objects, folder, name, f, stop) for f in manifest.files)
        )
        return "taken" if whole and _sizes(folder) == manifest.files else "damaged"
    except ValidationError:
        return "damaged"
    finally:
        if stop.is_set():
            shutil.rmtree(folder, ignore_errors=True)


def _copied(objects: Objects, folder: Path, name: str, file: str, stop: threading.Event) -> bool:
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    return not stop.is_set() and objects.get(_object(name, file), folder / file)


async def _left(objects: Objects | None, path: Path, found: _There, progress: Progress) -> None:
    """For others; without the storage they will make their own."""
    if objects is None:
        return
    try:
        await asyncio.to_thread(_leave, objects, path, found)
    except (StoreError, BadInput) as error:
        progress(f"{path.name}: копию не удалось положить в общее хранилище. {error}")


def _leave(objects: Objects, path: Path, found: _There) -> None:
    """The manifest comes last, and without it nothing is there. What another machine left while
    this one was making it stays."""
    if found == "nothing":
        with tempfile.TemporaryDirectory() as folder:
            if objects.get(_object(path.name, _MANIFEST), Path(folder) / _MANIFEST):
                return
    for name in (*_sizes(path), _MANIFEST):
        objects.put(path / name, _object(path.name, name))


def _object(name: str, file: str) -> str:
    return f"artifacts/{name}/{file}"


def _publish(
    work: Path,
    path: Path,
    artifact: Artifact,
    model: ModelSpec,
    report: ArtifactReport,
    versions: dict[str, str],
) -> None:
    manifest = Manifest(
        artifact=artifact,
        model=model.name,
        model_fingerprint=model.fingerprint,
        report=report,
        versions=versions,
        files=_sizes(work),
    )
    (work / _MANIFEST).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    shutil.rmtree(path, ignore_errors=True)
    work.rename(path)


def _sizes(path: Path) -> dict[str, int]:
    files = (file for file in path.rglob("*") if file.is_file() and file.name != _MANIFEST)
    return {str(file.relative_to(path)): file.stat().st_size for file in sorted(files)}


def check_room(
    artifact: Artifact,
    model: ModelSpec,
    home: Home,
    *,
    free_memory: Callable[[], int] = free_memory_bytes,
) -> None:
    """Raise NoRoom when disk or memory can't hold the making of it.

    A derived copy is at most as large as the original; what it will be is not known before.
    """
    needed = model.weights_bytes + _SPARE_BYTES
    free = free_disk_bytes(home.artifacts)
    if free < needed:
        raise NoRoom(
            f"для копии нужно {format_bytes(needed)} на диске, свободно {format_bytes(free)}",
            f"Освободите место или перенесите кэш: {home.artifacts}",
        )
    needed, free = load(artifact.quantizer).memory_needed_bytes(artifact, model), free_memory()
    if free < needed:
        raise NoRoom(
            f"{artifact.scheme} займёт до {format_bytes(needed)} памяти, "
            f"свободно {format_bytes(free)}",
            "Остановите лишнее, уменьшите samples и tokens или возьмите машину с большей памятью",
        )
