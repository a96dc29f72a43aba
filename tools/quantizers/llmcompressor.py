"""llm-compressor: W8A8, W8A16, W4A16 and FP8 checkpoints in the compressed-tensors format."""

from collections.abc import Mapping
from pathlib import Path

from knowledge.errors import BadInput
from knowledge.types import Artifact, Hardware, ModelSpec
from tools import _making, _recipe, calibration
from tools._recipe import CALIBRATION, Option
from tools.envs import Environment, EnvSpec, PipStep
from tools.home import Home
from tools.quantizers.base import ArtifactReport, Progress, Quantizer, ServedBy

_SCRIPT = Path(__file__).parent / "_in_env" / "llmcompressor_job.py"
_METHODS = {
    "w8a8": ("gptq", "rtn", "smoothquant"),
    "w8a16": ("gptq", "rtn"),
    "w4a16": ("gptq", "awq", "rtn"),
    "fp8": ("rtn",),
    "fp8-static": ("static",),
}
"""By scheme, the default first. All but rtn look at text; rtn rounds, needs no data and is quick.
smoothquant moves outliers into the weights and goes on with gptq."""
_MATRIX = {"w8a8": "w8a8-int8", "fp8-static": "fp8", "w4a16": "w4a16-gptq"}
_UNPACKED = ("w4a16",)
"""What transformers turns back into floats as it loads: where vLLM has no kernel for it."""
_ONLY_FOR = {
    "group_size": ("gptq", "awq", "rtn"),
    "actorder": ("gptq",),
    "dampening": ("gptq", "smoothquant"),
    "smoothing": ("smoothquant",),
    "kv_cache": ("static",),
}
_LEAST_OVERHEAD_BYTES = 2 * 2**30
_KEPT = "lm_head и router оставлены в исходной точности: ошибка в них идёт прямо в вероятности"


class LlmCompressor:
    """One library for the formats that vLLM runs in its own kernels."""

    name = "llmcompressor"
    schemes = tuple(_METHODS)
    options: Mapping[str, Option] = {
        "method": Option("str", None, "gptq, awq, smoothquant, rtn или static"),
        **CALIBRATION,
        "group_size": Option("int", None, "весов с общим масштабом, для w4a16 и w8a16", least=16),
        "actorder": Option(
            "str", None, "порядок столбцов в GPTQ", choices=("static", "weight", "none")
        ),
        "dampening": Option("float", None, "доля диагонали Гессиана", least=1e-5, most=1.0),
        "smoothing": Option("float", None, "сила SmoothQuant", least=0.0, most=1.0),
        "kv_cache": Option("str", None, "масштабы KV cache", choices=("fp8",)),
    }

    def env_spec(self, hardware: Hardware) -> EnvSpec:
        # torch first: left to itself the resolver takes a newer one.
        return EnvSpec(
            name=self.name,
            steps=(
                PipStep("install", ("torch==2.13.0",)),
                PipStep("install", ("llmcompressor==0.14.0.1",)),
            ),
            disk_bytes=(2 if hardware.device.kind == "cpu" else 8) * 10**9,
            imports=("torch", "llmcompressor"),
        )

    def validate(self, artifact: Artifact, model: ModelSpec) -> None:
        _recipe.check(artifact, model, self.name, self.schemes, self.options)
        methods = _METHODS[artifact.scheme]
        method = self._method(artifact)
        if method not in methods:
            raise BadInput(
                f"для {artifact.scheme} нет метода {method!r}", f"Есть: {', '.join(methods)}"
            )
        for name, users in _ONLY_FOR.items():
            if name in artifact.options and method not in users:
                raise BadInput(
                    f"{name} не действует при методе {method}", f"Методы: {', '.join(users)}"
                )
        if "group_size" in artifact.options and artifact.scheme not in ("w4a16", "w8a16"):
            raise BadInput(
                f"у схемы {artifact.scheme} масштаб на канал", "group_size: w4a16, w8a16"
            )

    def calibrated(self, artifact: Artifact) -> bool:
        return self._method(artifact) != "rtn"

    def served_by(self, artifact: Artifact) -> tuple[ServedBy, ...]:
        scheme = _MATRIX.get(artifact.scheme, artifact.scheme)
        if self._method(artifact) == "awq":
            scheme = "w4a16-awq"
        served = (ServedBy(engine="vllm", scheme=scheme),)
        if artifact.scheme not in _UNPACKED:
            return served
        return (*served, ServedBy(engine="transformers", scheme=scheme))

    def memory_needed_bytes(self, artifact: Artifact, model: ModelSpec) -> int:
        """Weights, their copy while saving, and the activations between two layers."""
        asked = _recipe.filled(artifact, self.options)
        tokens = int(asked["samples"] or 0) * int(asked["tokens"] or 0)
        activations = 8 * tokens * model.facts.hidden_size if self.calibrated(artifact) else 0
        return 2 * model.weights_bytes + activations + _LEAST_OVERHEAD_BYTES

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
        job = _recipe.filled(artifact, self.options) | {
            "method": self._method(artifact),
            "kept": _KEPT,
        }
        text = calibration.of(artifact.options, home) if self.calibrated(artifact) else None
        return await _making.run(
            artifact, model, env, out_dir, home, progress, script=_SCRIPT, job=job, text=text
        )

    def _method(self, artifact: Artifact) -> str:
        return str(artifact.options.get("method", _METHODS[artifact.scheme][0]))


QUANTIZER: Quantizer = LlmCompressor()
