"""Everything that comes before a launch and is kept: environment, flags, artifact."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from knowledge.types import (
    Hardware,
    TrialSpec,
)
from tools import artifacts, engines, envs, makers
from tools.engines.base import Engine, FlagCatalog, OwnFormat
from tools.home import Home


@dataclass(frozen=True)
class World:
    """Where a trial runs and whom it tells. The same for every trial of a session."""

    home: Home
    hardware: Hardware
    logs: Path
    progress: Callable[[str], None]


async def set_up(spec: TrialSpec, world: World) -> None:
    """Install what the trial's engine and quantizer need; nothing when it is there."""
    await environment_of(engines.load(spec.candidate.config.engine), world)
    if artifact := spec.candidate.artifact:
        needs = makers.load(artifact.quantizer).env_spec(world.hardware)
        await envs.ensure(needs, world.home, world.progress)


async def prepare(spec: TrialSpec, world: World) -> Path:
    """Everything that comes before the launch and is kept: environment, flags, artifact.

    Returns the checkpoint to serve: a folder, or what the engine loads instead. Raises
    AdvisorError.
    """
    engine = engines.load(spec.candidate.config.engine)
    environment = await environment_of(engine, world)
    catalog = await engine.catalog(environment, world.home, world.progress)
    engine.validate(spec.candidate.config, catalog)
    folder = Path(spec.model.path)
    if spec.candidate.artifact is not None:
        folder = await artifacts.ensure(
            spec.candidate.artifact, spec.model, world.hardware, world.home, world.progress
        )
    if isinstance(engine, OwnFormat):
        return await engine.files(environment, spec.model, folder, world.home, world.progress)
    return folder


async def catalog_of(name: str, world: World) -> FlagCatalog:
    """The flags of an engine, which is installed unless it is there."""
    engine = engines.load(name)
    return await engine.catalog(await environment_of(engine, world), world.home, world.progress)


async def environment_of(engine: Engine, world: World) -> envs.Environment | None:
    """Installed unless it is there; None for an engine that needs none."""
    needs = engine.env_spec(world.hardware)
    return await envs.ensure(needs, world.home, world.progress) if needs else None
