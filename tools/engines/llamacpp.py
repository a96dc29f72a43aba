"""llama.cpp: its own HTTP server, out of the package xllamacpp, on a .gguf file."""

from pathlib import Path

from knowledge.errors import BadModel
from knowledge.memory import kv_bytes_per_sequence
from knowledge.types import Cause, EngineConfig, FlagValue, Hardware, ModelSpec
from tools import process
from tools.engines import _flags, _metrics, _probe, _settings
from tools.engines.base import Capabilities, FlagCatalog, LaunchPlan, Progress
from tools.envs import Environment, EnvSpec, PipStep
from tools.home import Home

_HERE = Path(__file__).parent / "_in_env"
_SERVER, _PROBE, _OPTIONS = (
    _HERE / f"llamacpp_{part}.py" for part in ("server", "probe", "options")
)
_OWNED = ("model", "alias", "served-model-name", "host", "port", "metrics")
_VARIABLES = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "GGML_CUDA_ENABLE_UNIFIED_MEMORY")
_OVERHEAD_BYTES = 768 * 2**20
"""The process, and the buffers of one batch."""
_KV_DTYPES = {"f32": "float32", "f16": "float16", "bf16": "bfloat16", "q8_0": "int8"}


class LlamaCpp:
    """Loads GGUF alone: the file that the checkpoint came from, or that of an artifact."""

    name = "llamacpp"
    title = "llama.cpp"

    def capabilities(self, hardware: Hardware) -> Capabilities:
        """Text is scored by generating it under a grammar: see tools/quality/forced.py."""
        cuda = hardware.device.kind == "cuda"
        return Capabilities(
            prompt_logprobs=True,
            sides_by_side=not cuda,
            unavailable=(
                "пакет xllamacpp на PyPI собран для CPU; сборку с CUDA подключает "
                "advisor setup llamacpp --python"
            )
            if cuda
            else "",
        )

    def env_spec(self, hardware: Hardware) -> EnvSpec:
        steps = (PipStep("install", ("xllamacpp==2026.10.11549",)),)
        return EnvSpec("llamacpp", steps, disk_bytes=256 * 2**20, imports=("xllamacpp",))

    async def catalog(self, env: Environment | None, home: Home, progress: Progress) -> FlagCatalog:
        assert env is not None
        return await _probe.catalog(
            self.name,
            _PROBE,
            env,
            home,
            progress,
            also=(_OPTIONS,),
            without=_OWNED,
            variables=_VARIABLES,
        )

    def validate(self, config: EngineConfig, catalog: FlagCatalog) -> None:
        _flags.check(config, catalog, owned=_OWNED)

    def lacks(self, model: ModelSpec) -> str:
        if model.dummy_weights:
            return "llama.cpp не умеет модель без весов"
        return "" if model.gguf else "llama.cpp читает только GGUF, а файла .gguf у модели нет"

    async def files(
        self,
        env: Environment | None,
        model: ModelSpec,
        folder: Path,
        home: Home,
        progress: Progress,
    ) -> Path:
        """The one .gguf in an artifact's folder, else the file that the checkpoint came from."""
        inside = sorted(folder.glob("*.gguf"))
        if inside:
            return inside[0]
        if folder == Path(model.path) and model.gguf and Path(model.gguf).is_file():
            return Path(model.gguf)
        raise BadModel(
            f"llama.cpp читает только GGUF, а в {folder} нет файла .gguf",
            "Дайте файл: advisor optimize MODEL.gguf. Его делает convert_hf_to_gguf.py "
            "из исходников llama.cpp",
        )

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
        """An empty config is llama-server's own default."""
        assert env is not None
        ours: dict[str, FlagValue] = {
            "model": str(model_path),
            "alias": model.name,
            "host": "127.0.0.1",
            "port": port,
        }
        arguments = _flags.as_arguments(ours | config.flags)
        return LaunchPlan((str(env.python), str(_SERVER), *arguments), dict(config.env))

    def memory_needed_bytes(
        self, config: EngineConfig, model: ModelSpec, hardware: Hardware
    ) -> int:
        """An artifact's file is taken to be no larger than the checkpoint."""
        file = Path(model.gguf) if model.gguf else None
        weights = file.stat().st_size if file and file.is_file() else model.weights_bytes
        asked = config.flags.get("ctx-size")
        context = asked if isinstance(asked, int) and asked > 0 else model.facts.max_position
        kind = _KV_DTYPES.get(str(config.flags.get("cache-type-k", "f16")), "float16")
        return weights + kv_bytes_per_sequence(model.facts, kind, context) + _OVERHEAD_BYTES

    def diagnose(self, returncode: int | None, log_tail: tuple[str, ...]) -> Cause:
        return process.diagnose(returncode, log_tail)

    def in_force(self, log: str) -> dict[str, str]:
        return _settings.read(log)

    async def scrape(self, base_url: str) -> dict[str, float]:
        return await _metrics.scrape(base_url)


ENGINE = LlamaCpp()
