"""What a quantizer is. One file in this folder adds one; nothing else is edited.

A compressor (tools/compressors) is the same thing: a recipe in, a checkpoint out.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from knowledge.types import Artifact, FlagValue, Frozen, Hardware, ModelSpec
from tools._recipe import Option
from tools.envs import Environment, EnvSpec
from tools.home import Home

Progress = Callable[[str], None]


class ArtifactReport(Frozen):
    """What making an artifact took and gave."""

    bytes_before: int
    bytes_after: int
    """Weights on disk."""
    seconds: float
    details: dict[str, FlagValue] = {}
    """What the recipe came to: method, samples really used, hash of the calibration text…"""


class ServedBy(Frozen):
    """An engine that loads an artifact."""

    engine: str
    """Its file's name in tools/engines."""
    scheme: str
    """What the support matrix (knowledge/engines) calls the format."""


class Quantizer(Protocol):
    """Everything about one quantization library. Stateless: all that varies is an argument."""

    @property
    def name(self) -> str: ...

    @property
    def schemes(self) -> tuple[str, ...]: ...

    @property
    def options(self) -> Mapping[str, Option]:
        """What a recipe may set, with the defaults."""

    def env_spec(self, hardware: Hardware) -> EnvSpec:
        """The environment it works in."""

    def validate(self, artifact: Artifact, model: ModelSpec) -> None:
        """Raise BadInput for a recipe or a model it can't do, before anything is installed."""

    def calibrated(self, artifact: Artifact) -> bool:
        """Whether the recipe looks at text."""

    def served_by(self, artifact: Artifact) -> tuple[ServedBy, ...]:
        """Engines that load the result, the most usual first."""

    def memory_needed_bytes(self, artifact: Artifact, model: ModelSpec) -> int:
        """Host memory that making it takes at most."""

    async def make(
        self,
        artifact: Artifact,
        model: ModelSpec,
        env: Environment,
        out_dir: Path,
        home: Home,
        progress: Progress,
    ) -> ArtifactReport:
        """Write a checkpoint that engines load into `out_dir`. Raises ArtifactFailed.

        Called by tools.artifacts.ensure, which caches, locks and publishes.
        """
