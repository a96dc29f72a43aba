"""GGUF for llama.cpp: Q8_0 to Q4_0 by ggml's own kernels, with an importance matrix on demand."""

from collections.abc import Mapping
from pathlib import Path

from knowledge.errors import BadInput
from knowledge.types import Artifact, Hardware, ModelSpec
from tools import _making, _recipe, calibration
from tools._recipe import CALIBRATION, Option
from tools.engines.transformers import ENV
from tools.envs import Environment, EnvSpec
from tools.home import Home
from tools.quantizers.base import ArtifactReport, Progress, Quantizer, ServedBy

_SCRIPT = Path(__file__).parent / "_in_env" / "gguf_job.py"
ARCHITECTURES = (
    *("LlamaForCausalLM", "MistralForCausalLM"),
    *("Qwen2ForCausalLM", "Qwen3ForCausalLM"),
)
"""Those whose tensors and tokenizer the job can name."""
_OVERHEAD_BYTES = 3 * 2**29


class Gguf:
    """One .gguf file in the folder: weights, vocabulary and chat template together."""

    name = "gguf"
    schemes = ("q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0")
    options: Mapping[str, Option] = {
        "imatrix": Option("bool", False, "взвесить округление по активациям на тексте"),
        **CALIBRATION,
    }

    def env_spec(self, hardware: Hardware) -> EnvSpec:
        return ENV

    def validate(self, artifact: Artifact, model: ModelSpec) -> None:
        _recipe.check(artifact, model, self.name, self.schemes, self.options)
        if model.facts.architecture not in ARCHITECTURES:
            raise BadInput(
                f"перевод {model.facts.architecture} в GGUF не сделан",
                f"Умеем: {', '.join(ARCHITECTURES)}; или дайте готовый .gguf",
            )
        texts = [name for name in CALIBRATION if name in artifact.options]
        if texts and not self.calibrated(artifact):
            raise BadInput(f"{texts[0]} не действует без imatrix", "Добавьте imatrix=true")

    def calibrated(self, artifact: Artifact) -> bool:
        return bool(artifact.options.get("imatrix", False))

    def served_by(self, artifact: Artifact) -> tuple[ServedBy, ...]:
        return (ServedBy(engine="llamacpp", scheme="gguf"),)

    def memory_needed_bytes(self, artifact: Artifact, model: ModelSpec) -> int:
        """The weights in float32 and the packed file, which is written at the end."""
        return 6 * model.facts.parameters + _OVERHEAD_BYTES

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
        text = calibration.of(artifact.options, home) if self.calibrated(artifact) else None
        name = "".join(c if c.isalnum() or c in "-_." else "-" for c in model.name)
        job = _recipe.filled(artifact, self.options) | {"name": name}
        return await _making.run(
            artifact, model, env, out_dir, home, progress, script=_SCRIPT, job=job, text=text
        )


QUANTIZER: Quantizer = Gguf()
