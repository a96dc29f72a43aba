"""What an executor is. One file in this folder adds one; nothing else is edited."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from knowledge.types import Hardware, QualityResult, Slo, TrialSpec
from tools import engines
from tools.arm import Measured
from tools.home import Home
from tools.load.fleet import Clients
from tools.preparing import World
from tools.trial import Until, run_trials

T = TypeVar("T")
Step = Callable[..., Awaitable[T]]
"""A function of a module, whose last argument is the World it runs in."""


@dataclass(frozen=True)
class Job:
    """What runs in one place: a trial, or several that are measured in turns.

    All of it can be pickled, `until` too, which is asked where the trial runs.
    """

    specs: tuple[TrialSpec, ...]
    slos: tuple[Slo, ...] = ()
    reference: QualityResult | None = None
    until: Until | None = None


@dataclass(frozen=True)
class Needs:
    """What a job takes of one machine."""

    cpus: float
    gpus: int = 0
    over_nodes: bool = False
    """The server takes the GPUs by itself, on any nodes of the cluster; the job runs on one."""


class Executor(Protocol):
    """Runs trials somewhere. It writes nothing down: the store has one writer, who asked."""

    name: str

    async def inspect(self, home: Home, progress: Callable[[str], None]) -> Hardware:
        """The machine that trials will run on. Raises BadInput when there is none."""

    def room(self, spec: TrialSpec, hardware: Hardware) -> int:
        """How many trials like this one can run at the same time, each undisturbed; at least 1."""

    async def call(self, step: Step[T], *args: Any, world: World) -> T:
        """`step(*args, world)` where trials run. Raises what it raises."""

    async def measure(self, job: Job, world: World) -> tuple[Measured, ...]:
        """A result for each specification. A machine that was lost is a failure of the job's own
        trials, never an exception."""

    async def close(self) -> None:
        """Let go of what it holds."""


@runtime_checkable
class OffersLoad(Protocol):
    """An executor whose machines can be clients of a server that is measured. Optional."""

    def clients(self) -> Clients:
        """Processes of the load generator on its nodes."""


async def run_job(job: Job, world: World) -> tuple[Measured, ...]:
    """The job, here."""
    return await run_trials(job.specs, world, job.slos, job.until, reference=job.reference)


def needs_of(specs: tuple[TrialSpec, ...], hardware: Hardware) -> Needs:
    """What trials take that run beside each other.

    An engine on a CPU uses all of its cores, so it gets the machine to itself. On GPUs a trial has
    its share of the cores, for the server's host side and for the load.
    """
    configs = [spec.candidate.config for spec in specs]
    loaded = [engines.load(config.engine) for config in configs]
    gpus = sum(engines.devices_of(config) for config in configs)
    simulated = all(engine.capabilities(hardware).simulated for engine in loaded)
    has_gpus = simulated or hardware.device.kind == "cuda"
    if has_gpus and any(engines.joins_cluster(config) for config in configs):
        return Needs(cpus=hardware.cores, gpus=gpus, over_nodes=True)
    if simulated:
        return Needs(cpus=len(specs))
    if hardware.device.kind != "cuda":
        return Needs(cpus=hardware.cores)
    share = hardware.cores / hardware.device_count
    return Needs(cpus=max(1, min(hardware.cores, int(share * gpus))), gpus=gpus)
