"""ONNX Runtime: onnxruntime-genai behind a small OpenAI-compatible server."""

import shutil
from pathlib import Path

from knowledge.errors import ArtifactFailed, BadModel, EngineFailed, NoRoom
from knowledge.memory import kv_bytes_per_sequence
from knowledge.types import Cause, EngineConfig, FlagValue, Hardware, ModelSpec
from tools import process
from tools._disk import free_disk_bytes
from tools._locked import locked
from tools.engines import _flags, _metrics, _settings
from tools.engines._in_env.onnxruntime_options import build_parser
from tools.engines.base import Capabilities, FlagCatalog, LaunchPlan, Progress
from tools.envs import Environment, EnvSpec, PipStep
from tools.home import Home
from tools.process import run_job

_VERSION = "0.18.0"
_HERE = Path(__file__).parent / "_in_env"
_SERVER, _EXPORT = _HERE / "onnxruntime_server.py", _HERE / "onnxruntime_export.py"
_OWNED = ("model", "served-model-name", "host", "port")
_VARIABLES = ("OMP_NUM_THREADS", "MALLOC_ARENA_MAX")
_MARK = "genai_config.json"
_EXPORT_DEADLINE_S = 3600.0
_OVERHEAD_BYTES = 2**30
_PARALLEL = 4

ENV = EnvSpec(
    "onnxruntime",
    steps=(
        PipStep("install", ("torch==2.13.0",)),
        PipStep(
            "install",
            (
                *("onnxruntime==1.31.1", f"onnxruntime-genai=={_VERSION}", "onnx-ir==1.1.0"),
                *("transformers==5.23.0", "safetensors==0.8.0", "jinja2==3.1.6"),
            ),
        ),
    ),
    disk_bytes=3 * 2**30,
    imports=("onnxruntime_genai", "torch", "transformers", "onnx_ir"),
)
"""torch and transformers are for the export alone."""


class OnnxRuntime:
    """Serves a graph: an artifact that is one, or the checkpoint exported in float32."""

    name = "onnxruntime"
    title = "ONNX Runtime"

    def capabilities(self, hardware: Hardware) -> Capabilities:
        cuda = hardware.device.kind == "cuda"
        return Capabilities(
            prompt_logprobs=True,
            unavailable="адаптер ставит сборку onnxruntime-genai для CPU" if cuda else "",
        )

    def env_spec(self, hardware: Hardware) -> EnvSpec:
        return ENV

    async def catalog(self, env: Environment | None, home: Home, progress: Progress) -> FlagCatalog:
        version = env.versions.get("onnxruntime-genai", _VERSION) if env else _VERSION
        parser = build_parser()
        return _flags.catalog_of(self.name, version, parser, without=_OWNED, env=_VARIABLES)

    def validate(self, config: EngineConfig, catalog: FlagCatalog) -> None:
        _flags.check(config, catalog, owned=_OWNED)

    def lacks(self, model: ModelSpec) -> str:
        """What its model builder can't export it says itself, when it is asked to."""
        return "для экспорта в ONNX нужны веса модели" if model.dummy_weights else ""

    async def files(
        self,
        env: Environment | None,
        model: ModelSpec,
        folder: Path,
        home: Home,
        progress: Progress,
    ) -> Path:
        """The folder itself where it is a graph, else the checkpoint exported once and kept."""
        if (folder / _MARK).is_file():
            return folder
        if folder != Path(model.path):
            raise BadModel(
                f"в {folder} нет {_MARK}: это не ONNX-модель для onnxruntime-genai",
                "ONNX Runtime служит исходную модель или артефакт в формате ONNX",
            )
        assert env is not None
        target = home.artifacts / f"onnx-float32-{model.fingerprint}"
        if target.exists():
            return target
        waiting = f"{model.name}: экспорт в ONNX уже делает другой процесс, ждём"
        async with locked(home.artifacts / f"{target.name}.lock", lambda: progress(waiting)):
            if not target.exists():
                await _export(env, model, target, home, progress)
        return target

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
        assert env is not None
        ours: dict[str, FlagValue] = {
            "model": str(model_path),
            "served-model-name": model.name,
            "host": "127.0.0.1",
            "port": port,
        }
        arguments = _flags.as_arguments({**ours, **config.flags})
        return LaunchPlan((str(env.python), str(_SERVER), *arguments), dict(config.env))

    def memory_needed_bytes(
        self, config: EngineConfig, model: ModelSpec, hardware: Hardware
    ) -> int:
        """Weights in float32, as exported; a smaller artifact needs less."""
        asked = config.flags.get("parallel", _PARALLEL)
        streams = asked if isinstance(asked, int) else _PARALLEL
        kv = kv_bytes_per_sequence(model.facts, "float32", min(2048, model.facts.max_position))
        weights = max(model.weights_bytes, 4 * model.facts.parameters)
        return int(1.1 * weights) + streams * kv + _OVERHEAD_BYTES

    def diagnose(self, returncode: int | None, log_tail: tuple[str, ...]) -> Cause:
        return process.diagnose(returncode, log_tail)

    def in_force(self, log: str) -> dict[str, str]:
        return _settings.read(log)

    async def scrape(self, base_url: str) -> dict[str, float]:
        return await _metrics.scrape(base_url)


async def _export(
    env: Environment, model: ModelSpec, target: Path, home: Home, progress: Progress
) -> None:
    """Into a folder beside the target, renamed when it is whole. The caller holds the lock."""
    needed = 2 * 4 * model.facts.parameters
    free = free_disk_bytes(home.artifacts)
    if free < needed:
        raise NoRoom(
            f"экспорту {model.name} в ONNX нужно {needed / 2**30:.1f} ГиБ на диске, "
            f"свободно {free / 2**30:.1f} ГиБ",
            f"Освободите место или перенесите кэш: {home.artifacts}",
        )
    work = home.artifacts / ".partial" / target.name
    shutil.rmtree(work, ignore_errors=True)
    made = work / "model"
    made.mkdir(parents=True)
    job = {"source": model.path, "target": str(made), "cache": str(work / "cache")}
    job |= {"precision": "fp32", "provider": "cpu"}
    progress(f"{model.name}: экспортируем в ONNX (float32)")
    log = target.with_suffix(".log")
    try:
        await run_job(env.python, _EXPORT, job, log_path=log, deadline_s=_EXPORT_DEADLINE_S)
        if not (made / _MARK).is_file():
            raise ArtifactFailed(f"экспорт {model.name} в ONNX не дал {_MARK}", f"Журнал: {log}")
        made.rename(target)
    except EngineFailed as error:
        raise ArtifactFailed(
            f"{model.name} не экспортируется в ONNX: {error.message}", f"Журнал: {log}"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


ENGINE = OnnxRuntime()
