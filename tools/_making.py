"""How quantizers and compressors run: one job in their environment, one report of it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from knowledge.errors import ArtifactFailed, EngineFailed
from knowledge.types import Artifact, ModelSpec
from tools.calibration import Calibration
from tools.envs import Environment
from tools.home import Home
from tools.process import run_job
from tools.quantizers.base import ArtifactReport

_DEADLINE_S = 6 * 3600.0
_WEIGHTS = ("*.safetensors", "*.gguf", "*.onnx", "*.onnx.data")


async def run(  # noqa: PLR0913 - all by name
    artifact: Artifact,
    model: ModelSpec,
    env: Environment,
    out_dir: Path,
    home: Home,
    progress: Callable[[str], None],
    *,
    script: Path,
    job: Mapping[str, object],
    text: Calibration | None,
) -> ArtifactReport:
    """Run the script with model, out, text and what `job` adds. Raises ArtifactFailed.

    The job's result is flat but for lists and mappings, which are kept as JSON; its "seconds" is
    the time taken.
    """
    log_path = home.artifacts / "logs" / f"{out_dir.name}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    log_path.unlink(missing_ok=True)
    asked = {"model": model.path, "out": str(out_dir), "text": text.text if text else ""}
    try:
        result = await run_job(
            env.python,
            script,
            {**asked, "scheme": artifact.scheme, **job},
            log_path=log_path,
            deadline_s=_DEADLINE_S,
            on_line=lambda line: progress(str(line.get("progress", ""))),
        )
    except EngineFailed as error:
        raise ArtifactFailed(
            f"{artifact.quantizer} не сделал {artifact.scheme}: {error.message}",
            f"Журнал: {log_path}",
            error.log_tail,
        ) from error
    seconds = float(result.pop("seconds"))
    if text:
        result |= {"calibration_source": text.source, "calibration_sha256": text.sha256}
    return ArtifactReport(
        bytes_before=model.weights_bytes,
        bytes_after=weights_bytes(out_dir),
        seconds=seconds,
        details={name: _flat(value) for name, value in result.items()},
    )


def weights_bytes(folder: Path) -> int:
    """Weights on disk, in whatever format the maker writes."""
    return sum(file.stat().st_size for form in _WEIGHTS for file in folder.glob(form))


def _flat(value: Any) -> str | int | float | bool:
    if isinstance(value, str | int | float | bool):
        return value
    return json.dumps(value, ensure_ascii=False)
