"""Derived checkpoints: made once, kept by content, published whole or not at all."""

import shutil
from pathlib import Path

from pydantic import ValidationError

from knowledge.errors import NoRoom
from knowledge.types import Artifact, Frozen, Hardware, ModelSpec
from tools import envs
from tools._disk import free_disk_bytes
from tools._locked import locked
from tools.home import Home
from tools.quantizers import ArtifactReport, load
from tools.quantizers.base import Progress

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
        options=artifact.options | {"model_fingerprint": model.fingerprint},
    )
    return home.artifacts / f"{artifact.scheme}-{made_of.content_id(16)}"


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
        _check_room(model, home)
        env = await envs.ensure(quantizer.env_spec(hardware), home, progress)
        # The lock is ours, so whatever lies there was left by a process that died.
        work = home.artifacts / ".partial" / path.name
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            report = await quantizer.make(artifact, model, env, work, home, progress)
            _publish(work, path, artifact, model, report, env.versions)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return path


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


def _check_room(model: ModelSpec, home: Home) -> None:
    """A quantized copy is smaller than the original; what it will be is not known before."""
    needed = model.weights_bytes + _SPARE_BYTES
    free = free_disk_bytes(home.artifacts)
    if free < needed:
        raise NoRoom(
            f"для квантованной копии нужно {needed / 2**30:.1f} ГиБ, "
            f"на диске свободно {free / 2**30:.1f} ГиБ",
            f"Освободите место или перенесите кэш: {home.artifacts}",
        )
