"""ONNX Runtime: INT4 and INT8 by MatMulNBits with dynamic INT8 activations, a folder for genai."""

from collections.abc import Mapping
from pathlib import Path

from knowledge.types import Artifact, Hardware, ModelSpec
from tools import _making, _recipe
from tools._recipe import Option
from tools.envs import Environment, EnvSpec, PipStep
from tools.home import Home
from tools.quantizers.base import ArtifactReport, Progress, Quantizer, ServedBy

_SCRIPT = Path(__file__).parent / "_in_env" / "onnxruntime_job.py"
_OVERHEAD_BYTES = 2**30


class OnnxRuntime:
    """The model builder of onnxruntime-genai; the folder has genai_config.json beside the graph."""

    name = "onnxruntime"
    schemes = ("onnx-int4", "onnx-int8")
    options: Mapping[str, Option] = {
        "block_size": Option(
            "str", "32", "весов с общим масштабом", choices=("16", "32", "64", "128", "256")
        ),
    }

    def env_spec(self, hardware: Hardware) -> EnvSpec:
        packages = ("transformers==5.23.0", "onnx==1.23.2", "onnx-ir==1.1.0")
        runtime = ("onnxruntime==1.32.0", "onnxruntime-genai==0.18.0")
        return EnvSpec(
            "onnxruntime-builder",
            steps=(
                PipStep("install", ("torch==2.13.0",)),
                PipStep("install", (*packages, *runtime)),
            ),
            disk_bytes=3 * 2**30,
            imports=("torch", "onnx", "onnxruntime_genai"),
        )

    def validate(self, artifact: Artifact, model: ModelSpec) -> None:
        _recipe.check(artifact, model, self.name, self.schemes, self.options)

    def calibrated(self, artifact: Artifact) -> bool:
        return False

    def served_by(self, artifact: Artifact) -> tuple[ServedBy, ...]:
        return (ServedBy(engine="onnxruntime", scheme=artifact.scheme),)

    def memory_needed_bytes(self, artifact: Artifact, model: ModelSpec) -> int:
        """The weights, the graph that is built of them, and its packed copy."""
        return 2 * model.weights_bytes + 4 * model.facts.parameters + _OVERHEAD_BYTES

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
        job = _recipe.filled(artifact, self.options)
        return await _making.run(
            artifact, model, env, out_dir, home, progress, script=_SCRIPT, job=job, text=None
        )


QUANTIZER: Quantizer = OnnxRuntime()
