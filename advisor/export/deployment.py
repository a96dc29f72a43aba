"""What the export formats are rendered from."""

import math
import re
from functools import cache
from pathlib import Path

import yaml

from advisor import outcome
from advisor.export.command import Command, portable
from advisor.export.practice import Practice, practice
from knowledge.errors import BadInput
from knowledge.types import Frozen, Launch, TrialResult
from tools import engines
from tools.store import SessionRecord

ENGINES = Path(__file__).parent / "engines"
GIB = 2**30


class Runtime(Frozen):
    """Where an engine can be had: a package for a virtual environment, an image for a container."""

    package: str
    then: tuple[str, ...]
    """What pip has to do after installing it."""
    image: str
    note: str
    """What to mind when the container runs elsewhere: Russian, may be empty."""
    module: str
    """What Python imports when the engine is installed."""
    health: str
    """HTTP path that answers 200 once the server is ready."""


class Deployment(Frozen):
    """One measured configuration, ready to be written down in any format."""

    name: str
    """Lower-case letters, digits and dashes: fit for a service or a Kubernetes object."""
    session: str
    trial_id: str
    model: str
    engine: str
    engine_version: str
    artifact: str | None
    command: Command
    runtime: Runtime | None
    """None when nobody publishes the engine: then only the script is written."""
    accelerator: str
    devices: int
    cores: int
    memory_gib: int | None
    """Peak memory of the measured process tree with a quarter on top, in whole GiB."""
    ready_s: float
    practice: Practice


def deployment(record: SessionRecord) -> Deployment:
    """The configuration that the session hands in, or BadInput when there is none to launch."""
    trial = outcome.handed_in(record)
    session = record.row.session
    if trial is None:
        raise BadInput(
            f"Сессия {session} ещё ничего не сдала: production-проверки не было",
            f"Доведите её до конца: advisor resume {session}",
        )
    if trial.launch is None or not trial.launch.argv:
        raise BadInput(
            f"Сессия {session} мерила уже запущенный сервер: команды запуска у неё нет",
            "Экспортировать можно сессию, в которой advisor запускал движок сам",
        )
    hardware = record.task.hardware
    if engines.spans_machines(trial.spec.candidate.config, hardware.device_count):
        raise BadInput(
            f"Сессия {session} сдала сервер на нескольких узлах Ray, а файлы описывают один узел",
            "Команда стоит в отчёте: она запускается на узле кластера Ray",
        )
    artifact = trial.spec.candidate.artifact
    version = public_version(trial.launch)
    engine = trial.spec.candidate.config.engine
    return Deployment(
        name=_object_name(record.task.model.name),
        session=session,
        trial_id=trial.trial_id,
        model=record.task.model.name,
        engine=engine,
        engine_version=version,
        artifact=f"{artifact.scheme} ({artifact.quantizer})" if artifact else None,
        command=portable(trial.launch, trial.spec.model.path, trial.spec.candidate.config.env),
        runtime=runtime(engine, hardware.device.kind, version),
        accelerator=hardware.device.kind,
        devices=engines.devices_of(trial.spec.candidate.config, hardware.device_count),
        cores=hardware.cores,
        memory_gib=_memory_gib(trial),
        ready_s=trial.launch.ready_s,
        practice=practice(record, trial),
    )


def public_version(launch: Launch) -> str:
    """The version without its local part: 0.32.0+cpu is published as 0.32.0."""
    return launch.engine_version.split("+")[0]


def slug(text: str) -> str:
    """The text in lower-case letters, digits and single dashes, at most 50 characters."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:50].strip("-") or "llm"


def _object_name(model: str) -> str:
    """A Kubernetes Service must begin with a letter."""
    name = slug(model)
    return name if name[0].isalpha() else f"llm-{name}"


def _memory_gib(trial: TrialResult) -> int | None:
    peak = trial.telemetry.rss_peak_bytes if trial.telemetry else None
    return math.ceil(peak * 1.25 / GIB) if peak else None


@cache
def runtime(engine: str, accelerator: str, version: str) -> Runtime | None:
    """Where this version of an engine can be had; None when nobody publishes it."""
    path = ENGINES / f"{engine}.yaml"
    if not path.exists():
        return None
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    build = data[accelerator]
    return Runtime(
        package=build["package"].format(version=version),
        then=tuple(build.get("then", ())),
        image=build["image"].format(version=version),
        note=build.get("note", ""),
        module=data["module"],
        health=data["health"],
    )
