"""What the quantizers that work through transformers have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from knowledge.types import Artifact, Hardware, ModelSpec
from tools import _making, _recipe
from tools._recipe import Option
from tools.engines.transformers import ENV
from tools.envs import Environment, EnvSpec
from tools.home import Home
from tools.quantizers.base import ArtifactReport, Progress, ServedBy

_SCRIPT = Path(__file__).parent / "_in_env" / "transformers_job.py"
_OVERHEAD_BYTES = 2**30


@dataclass(frozen=True)
class ByTransformers:
    """from_pretrained with a quantization configuration, then save_pretrained. No calibration."""

    name: str
    served: Mapping[str, tuple[ServedBy, ...]]
    """By scheme."""
    options: Mapping[str, Option] = field(default_factory=dict)
    """None so far."""

    @property
    def schemes(self) -> tuple[str, ...]:
        return tuple(self.served)

    def env_spec(self, hardware: Hardware) -> EnvSpec:
        return ENV

    def validate(self, artifact: Artifact, model: ModelSpec) -> None:
        _recipe.check(artifact, model, self.name, self.schemes, self.options)

    def calibrated(self, artifact: Artifact) -> bool:
        return False

    def served_by(self, artifact: Artifact) -> tuple[ServedBy, ...]:
        return self.served[artifact.scheme]

    def memory_needed_bytes(self, artifact: Artifact, model: ModelSpec) -> int:
        """The original while it is read, the copy, and the copy's state while it is written."""
        return 2 * model.weights_bytes + _OVERHEAD_BYTES

    async def make(
        self,
        artifact: Artifact,
        model: ModelSpec,
        env: Environment,
        out_dir: Path,
        home: Home,
        progress: Progress,
    ) -> ArtifactReport:
        self.validate(artifact, model)
        return await _making.run(
            artifact, model, env, out_dir, home, progress, script=_SCRIPT, job={}, text=None
        )
