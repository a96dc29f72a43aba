"""Derived checkpoints: made once, kept by content, published whole or not at all."""

import asyncio
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from knowledge.errors import NoRoom, StoreError
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
        check_room(artifact, model, home)
        # The lock is ours, so whatever lies there was left by a process that died.
        work = home.artifacts / ".partial" / path.name
        try:
            _empty(work)
            if await _fetched(home.objects, work, path, progress):
                return path
            env = await envs.ensure(quantizer.env_spec(hardware), home, progress)
            _empty(work)
            report = await quantizer.make(artifact, model, env, work, home, progress)
            _publish(work, path, artifact, model, report, env.versions)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        if home.objects is not None:
            try:
                await asyncio.to_thread(_leave, home.objects, path)
            except StoreError as error:  # it is made: others will make their own
                progress(f"{path.name}: в общее хранилище не положена. {error}")
    return path


def _empty(work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)


async def _fetched(objects: Objects | None, work: Path, path: Path, progress: Progress) -> bool:
    """Whether somebody has made it already: then it lies at `path` now."""
    if objects is None:
        return False
    try:
        found = await asyncio.to_thread(_fetch, objects, work, path)
    except StoreError as error:
        progress(f"{path.name}: {error} Делаем копию сами.")
        return False
    if found:
        progress(f"{path.name}: готовая копия взята из {objects.url}")
    return found


def _fetch(objects: Objects, work: Path, path: Path) -> bool:
    """The whole artifact or nothing."""
    if not objects.get(_object(path, _MANIFEST), work / _MANIFEST):
        return False
    try:
        manifest = Manifest.model_validate_json((work / _MANIFEST).read_bytes())
    except ValidationError:
        return False
    if not all((work / name).resolve().is_relative_to(work.resolve()) for name in manifest.files):
        return False
    for name in manifest.files:
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        if not objects.get(_object(path, name), work / name):
            return False
    if _sizes(work) != manifest.files:
        return False
    shutil.rmtree(path, ignore_errors=True)
    work.rename(path)
    return True


def _leave(objects: Objects, path: Path) -> None:
    """For others: the manifest comes last, and without it nothing is there."""
    for name in (*_sizes(path), _MANIFEST):
        objects.put(path / name, _object(path, name))


def _object(path: Path, name: str) -> str:
    return f"artifacts/{path.name}/{name}"


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
