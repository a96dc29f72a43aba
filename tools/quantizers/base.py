"""What a quantizer is. One file in this folder adds one; nothing else is edited."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from knowledge.types import Artifact, FlagValue, Frozen, Hardware, ModelSpec
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


class Quantizer(Protocol):
    """Everything about one quantization library. Stateless: all that varies is an argument."""

    name: str
    schemes: tuple[str, ...]

    def env_spec(self, hardware: Hardware) -> EnvSpec:
        """The environment it works in."""

    def validate(self, artifact: Artifact, model: ModelSpec) -> None:
        """Raise BadInput for a recipe or a model it can't do, before anything is installed."""

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
