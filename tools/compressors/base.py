"""What compressors have in common: one script, one environment, dense checkpoints in BF16."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from knowledge.types import Artifact, Hardware, ModelSpec
from tools import _making, _recipe, calibration
from tools._recipe import CALIBRATION, Option
from tools.engines.transformers import ENV
from tools.envs import Environment, EnvSpec
from tools.home import Home
from tools.quantizers.base import ArtifactReport, Progress, ServedBy

_SCRIPT = Path(__file__).parent / "_in_env" / "job.py"
_OVERHEAD_BYTES = 2 * 2**30
_FLOAT_BYTES = 4

TEXT: dict[str, Option] = CALIBRATION | {
    "samples": Option("int", 32, "сколько отрывков текста", least=1),
    "tokens": Option("int", 256, "токенов в отрывке", least=16),
}
TRAINING: dict[str, Option] = {
    "steps": Option("int", 20, "шагов дообучения", least=0),
    "lr": Option("float", 1e-4, "скорость обучения", least=1e-7, most=1e-2),
    "batch": Option("int", 4, "отрывков в шаге", least=1),
    "temperature": Option("float", 2.0, "температура дистилляции", least=0.5, most=20.0),
    "hidden_weight": Option("float", 0.0, "вес совпадения скрытых состояний", least=0.0),
}


@dataclass(frozen=True)
class Compressor:
    """One method of the job, with its options."""

    name: str
    options: Mapping[str, Option]
    schemes: tuple[str, ...] = ("dense",)
    trains: bool = False
    fixed: Mapping[str, float] = field(default_factory=dict)
    """What the job needs and the user has no say in."""

    def env_spec(self, hardware: Hardware) -> EnvSpec:
        return ENV

    def validate(self, artifact: Artifact, model: ModelSpec) -> None:
        _recipe.check(artifact, model, self.name, self.schemes, self.options)

    def calibrated(self, artifact: Artifact) -> bool:
        return "samples" in self.options

    def served_by(self, artifact: Artifact) -> tuple[ServedBy, ...]:
        return tuple(ServedBy(engine=name, scheme="bfloat16") for name in ("vllm", "transformers"))

    def memory_needed_bytes(self, artifact: Artifact, model: ModelSpec) -> int:
        """Weights in float32; in training also gradients, AdamW's two moments and the teacher,
        and the logits of a batch several times over."""
        asked = _recipe.filled(artifact, self.options)
        weights = _FLOAT_BYTES * model.facts.parameters
        if not (self.trains and asked.get("steps")):
            return 2 * weights + _OVERHEAD_BYTES
        batch = int(asked["batch"] or 1) * int(asked["tokens"] or 1)
        logits = 6 * _FLOAT_BYTES * batch * model.facts.vocab_size
        return 6 * weights + logits + _OVERHEAD_BYTES

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
        # Beside the half-made folder, which is thrown away: a new run goes on from here.
        checkpoint = home.artifacts / ".checkpoints" / out_dir.name
        job = {"method": self.name, "checkpoint": str(checkpoint), "student": None, **self.fixed}
        text = calibration.of(artifact.options, home) if self.calibrated(artifact) else None
        report = await _making.run(
            artifact, model, env, out_dir, home, progress,
            script=_SCRIPT, job=job | _recipe.filled(artifact, self.options), text=text,
        )  # fmt: skip
        shutil.rmtree(checkpoint, ignore_errors=True)
        return report
