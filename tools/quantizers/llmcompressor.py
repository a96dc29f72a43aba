"""llm-compressor: W8A8, W4A16 and FP8 checkpoints in the compressed-tensors format."""

import difflib
from pathlib import Path

from knowledge.errors import ArtifactFailed, BadInput, EngineFailed
from knowledge.types import Artifact, FlagValue, Hardware, ModelSpec
from tools.envs import Environment, EnvSpec, PipStep
from tools.home import Home
from tools.load.corpus import PROMPT_PART, load_text, sha256
from tools.process import run_job
from tools.quantizers.base import ArtifactReport, Progress, Quantizer

_SCRIPT = Path(__file__).parent / "_in_env" / "llmcompressor_job.py"
_METHODS = {"w8a8": ("gptq", "rtn"), "w4a16": ("gptq", "rtn"), "fp8": ("rtn",)}
"""By scheme, the default first. gptq calibrates on text; rtn rounds, needs no data and is quick."""
_LEAST = {"samples": 1, "tokens": 16, "group_size": 16}
_DEFAULTS: dict[str, FlagValue] = {"samples": 64, "tokens": 512}
_DEADLINE_S = 6 * 3600.0


class LlmCompressor:
    """Options: method gptq|rtn; samples and tokens of calibration; group_size (w4a16)."""

    name = "llmcompressor"
    schemes = tuple(_METHODS)

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
        if artifact.scheme not in self.schemes:
            raise BadInput(
                f"{self.name} не умеет схему {artifact.scheme!r}",
                f"Есть: {', '.join(self.schemes)}",
            )
        if model.facts.quantization is not None:
            raise BadInput(
                f"модель {model.name} уже квантована ({model.facts.quantization})",
                "Дайте исходную модель в bfloat16, float16 или float32",
            )
        for name, value in artifact.options.items():
            _check_option(artifact.scheme, name, value)

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
        log_path = home.artifacts / "logs" / f"{out_dir.name}.log"
        log_path.parent.mkdir(parents=True, exist_ok=True)
        log_path.unlink(missing_ok=True)
        job = _job(artifact, model, out_dir)
        try:
            result = await run_job(
                env.python,
                _SCRIPT,
                job,
                log_path=log_path,
                deadline_s=_DEADLINE_S,
                on_line=lambda line: progress(str(line.get("progress", ""))),
            )
        except EngineFailed as error:
            raise ArtifactFailed(
                f"{self.name} не сделал {artifact.scheme}: {error.message}",
                f"Журнал: {log_path}",
                error.log_tail,
            ) from error
        details = result | ({"calibration_sha256": sha256(PROMPT_PART)} if job["text"] else {})
        return ArtifactReport(
            bytes_before=model.weights_bytes,
            bytes_after=sum(f.stat().st_size for f in out_dir.glob("*.safetensors")),
            seconds=details.pop("seconds"),
            details=details,
        )


def _check_option(scheme: str, name: str, value: FlagValue) -> None:
    known = ("method", *_LEAST)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise BadInput(
            f"неизвестная настройка квантования {name!r}",
            f"Ближайшая: {near[0]}" if near else f"Есть: {', '.join(known)}",
        )
    if name == "method":
        if value not in _METHODS[scheme]:
            raise BadInput(
                f"для {scheme} нет метода {value!r}", f"Есть: {', '.join(_METHODS[scheme])}"
            )
    elif isinstance(value, bool) or not isinstance(value, int) or value < _LEAST[name]:
        raise BadInput(f"{name}={value} не подходит", f"Нужно целое число не меньше {_LEAST[name]}")


def _job(artifact: Artifact, model: ModelSpec, out_dir: Path) -> dict[str, object]:
    """What the script in the environment is asked to do."""
    method = artifact.options.get("method", _METHODS[artifact.scheme][0])
    return {
        "model": model.path,
        "out": str(out_dir),
        "scheme": artifact.scheme,
        "group_size": None,
        **_DEFAULTS,
        **artifact.options,
        "method": method,
        # Never the held-out part: quality is scored on that.
        "text": load_text(PROMPT_PART) if method == "gptq" else "",
    }


QUANTIZER: Quantizer = LlmCompressor()
