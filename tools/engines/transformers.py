"""transformers: the naive reference, generate() behind an HTTP server, one request at a time."""

from pathlib import Path

from knowledge.memory import kv_bytes_per_sequence
from knowledge.types import Cause, EngineConfig, FlagValue, Hardware, ModelSpec
from tools import process
from tools.engines import _flags, _settings
from tools.engines._in_env.transformers_options import build_parser
from tools.engines.base import Capabilities, FlagCatalog, LaunchPlan, Progress
from tools.envs import Environment, EnvSpec, PipStep
from tools.home import Home

_VERSION = "5.23.0"
_SERVER = Path(__file__).parent / "_in_env" / "transformers_server.py"
_OWNED = ("model", "served-model-name", "host", "port", "load-format")
_VARIABLES = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "MALLOC_ARENA_MAX")
_OVERHEAD_BYTES = 2**30

ENV = EnvSpec(
    "transformers",
    steps=(
        PipStep("install", ("torch==2.13.0",)),
        PipStep(
            "install",
            (
                *(f"transformers=={_VERSION}", "accelerate==1.15.0", "gguf==0.19.0"),
                *("safetensors==0.8.0", "jinja2==3.1.6"),
                *("torchao==0.18.0", "bitsandbytes==0.50.2"),  # checkpoints in their formats
                *("compressed-tensors==0.19.0", "loguru==0.7.3"),
                *("peft==0.21.2", "tensorly==0.10.0", "xllamacpp==2026.10.11549"),
            ),
        ),
    ),
    disk_bytes=3 * 2**30,
    imports=(
        *("torch", "transformers", "gguf", "torchao", "bitsandbytes", "peft"),
        "compressed_tensors",
    ),
    serves_with=("torch", "transformers", "accelerate"),
)
"""Also where checkpoints are converted, quantized and compressed (tools/compressors)."""


class Transformers:
    """What a first script with transformers does; the floor that others are measured from."""

    name = "transformers"
    title = "transformers (наивный)"

    def capabilities(self, hardware: Hardware) -> Capabilities:
        return Capabilities(
            prompt_logprobs=True,
        )

    def env_spec(self, hardware: Hardware) -> EnvSpec:
        return ENV

    async def catalog(self, env: Environment | None, home: Home, progress: Progress) -> FlagCatalog:
        version = env.versions.get("transformers", _VERSION) if env else _VERSION
        parser = build_parser()
        return _flags.catalog_of(self.name, version, parser, without=_OWNED, env=_VARIABLES)

    def validate(self, config: EngineConfig, catalog: FlagCatalog) -> None:
        _flags.check(config, catalog, owned=_OWNED, refused=("trust-remote-code",))

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
            "port": port,
        }
        if model.dummy_weights:
            ours["load-format"] = "dummy"
        arguments = _flags.as_arguments({**ours, **config.flags})
        return LaunchPlan((str(env.python), str(_SERVER), *arguments), dict(config.env))

    def memory_needed_bytes(
        self, config: EngineConfig, model: ModelSpec, hardware: Hardware
    ) -> int:
        """One sequence of full length at most; a narrower dtype is converted while loading."""
        kv = kv_bytes_per_sequence(model.facts, "float32", model.facts.max_position)
        weights = 2 * model.weights_bytes
        place = "device" if hardware.device.kind == "cuda" else "host"
        if (limit := config.flags.get(f"{place}-memory-gib")) is not None:
            weights = min(weights, int(float(limit) * 2**30))
        return weights + kv + _OVERHEAD_BYTES

    def diagnose(self, returncode: int | None, log_tail: tuple[str, ...]) -> Cause:
        return process.diagnose(returncode, log_tail)

    def in_force(self, log: str) -> dict[str, str]:
        return _settings.read(log)

    async def scrape(self, base_url: str) -> dict[str, float]:
        """generate() counts nothing."""
        return {}


ENGINE = Transformers()
