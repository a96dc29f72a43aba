"""What an engine adapter is. One file in this folder adds an engine; nothing else is edited."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from knowledge.types import Cause, EngineConfig, FlagValue, Frozen, Hardware, ModelSpec
from tools.envs import Environment, EnvSpec
from tools.home import Home

Progress = Callable[[str], None]


class Flag(Frozen):
    """One command-line option, as the installed engine describes it."""

    name: str
    kind: Literal["bool", "int", "float", "str", "json"]
    choices: tuple[FlagValue, ...] = ()
    default: str | None = None
    help: str = ""
    negatable: bool = False
    """A bool that can also be switched off, by --no-NAME."""


class FlagCatalog(Frozen):
    """What the installed engine accepts: read from it, never a list of ours."""

    engine: str
    version: str
    flags: dict[str, Flag]
    env: tuple[str, ...] = ()
    """Environment variables the engine reads."""


class Capabilities(Frozen):
    """What callers may ask of an engine, so that none has to ask for its name."""

    launches: bool = True
    """False for an endpoint that somebody else started."""
    prompt_logprobs: bool = False
    """Scores given text: quality can be checked through the endpoint."""
    sides_by_side: bool = True
    """Two servers fit on one device at once, so that A/B rounds can alternate."""
    simulated: bool = False
    """Figures are made by a model of a server: never a claim."""
    endpoint: str = "completions"
    """The protocol, one of tools/load/protocols, in which it is measured."""
    ready_path: str = "/v1/models"
    """What answers 200 once it serves. Where it is another, its models are not listed."""
    named_by_path: bool = False
    """It can't be told a name: its models are listed under the path that it was given."""
    unavailable: str = ""
    """Why it can't be launched on this hardware, in Russian; empty when it can."""


@dataclass(frozen=True)
class LaunchPlan:
    """The command of one server, complete and runnable as it stands."""

    argv: tuple[str, ...]
    env: dict[str, str]


class Engine(Protocol):
    """Everything engine-specific. Stateless: all that varies comes as an argument."""

    name: str
    title: str

    def capabilities(self, hardware: Hardware) -> Capabilities: ...

    def env_spec(self, hardware: Hardware) -> EnvSpec | None:
        """The environment it needs; None when it needs none of its own."""

    async def catalog(self, env: Environment | None, home: Home, progress: Progress) -> FlagCatalog:
        """Flags of the installed engine, read once per environment and kept as a snapshot."""

    def validate(self, config: EngineConfig, catalog: FlagCatalog) -> None:
        """Raise UnknownFlag (naming the nearest flag) or BadInput before anything is launched."""

    def launch_plan(
        self,
        env: Environment | None,
        config: EngineConfig,
        *,
        model: ModelSpec,
        model_path: Path,
        port: int,
        hardware: Hardware,
    ) -> LaunchPlan:
        """Command and environment variables that serve `model_path` on 127.0.0.1:port.

        With an empty config this is the engine's untouched default.
        """

    def memory_needed_bytes(
        self, config: EngineConfig, model: ModelSpec, hardware: Hardware
    ) -> int:
        """What a launch will take at most, so that two servers are not started where one fits."""

    def diagnose(self, returncode: int | None, log_tail: tuple[str, ...]) -> Cause:
        """Cause of death from exit code and the end of the log."""

    def in_force(self, log: str) -> dict[str, str]:
        """Settings that the running engine reports of itself, by flag or variable name."""

    async def scrape(self, base_url: str) -> dict[str, float]:
        """Counters and gauges of the running engine by short name; empty when it has none."""


@runtime_checkable
class OwnFormat(Protocol):
    """An engine that does not load the checkpoint itself. Optional: most engines do."""

    def lacks(self, model: ModelSpec) -> str:
        """Why this model can't be had in the engine's format, in Russian; empty when it can."""

    async def files(
        self,
        env: Environment | None,
        model: ModelSpec,
        folder: Path,
        home: Home,
        progress: Progress,
    ) -> Path:
        """What launch_plan is given instead of `folder`, the checkpoint or an artifact of it.

        Found, or made and kept. Raises BadModel or ArtifactFailed.
        """


@runtime_checkable
class Explaining(Protocol):
    """An engine whose log names the error that began it all. Optional."""

    def root_error(self, log_tail: tuple[str, ...]) -> str | None:
        """The error line, without its traceback; None where there is none."""


@runtime_checkable
class Profilable(Protocol):
    """An engine with hooks for torch.profiler. Optional: not every engine has them."""

    def with_profiler(self, plan: LaunchPlan, folder: Path) -> LaunchPlan:
        """The same server with /start_profile and /stop_profile, traces into `folder`.

        Nothing is recorded, and nothing is slower, before the first start.
        """


@runtime_checkable
class Spreading(Protocol):
    """An engine that can spread a model over several devices of a machine. Optional."""

    def devices(self, config: EngineConfig) -> int:
        """How many of them this configuration takes: tensor, pipeline and data parallel."""


@runtime_checkable
class Clustered(Spreading, Protocol):
    """An engine whose server can take devices of several machines. Optional."""

    def joins_cluster(self, config: EngineConfig) -> bool:
        """Whether it joins a Ray cluster and takes its devices there, on any of the nodes."""
