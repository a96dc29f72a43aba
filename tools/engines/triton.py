"""Triton Inference Server: the program that nvidia-pytriton carries, with its Python back end.

The model itself runs in transformers; what Triton adds, and what is measured here, is dynamic
batching and instance groups. For a large model one serves vLLM or TensorRT-LLM behind it: those are
measured by `advisor bench --protocol triton`.
"""

from pathlib import Path

import orjson

from knowledge.errors import BadModel
from knowledge.memory import kv_bytes_per_sequence
from knowledge.types import Cause, EngineConfig, FlagValue, Hardware, ModelSpec
from tools import process
from tools.engines import _flags, _settings
from tools.engines._in_env.triton_options import build_parser
from tools.engines.base import Capabilities, FlagCatalog, LaunchPlan, Progress
from tools.envs import Environment, EnvSpec, PipStep
from tools.home import Home
from tools.load.http import fetch

_VERSION = "0.7.0"
_SERVER = Path(__file__).parent / "_in_env" / "triton_server.py"
_OWNED = ("model", "served-model-name", "host", "port")
_VARIABLES = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "MALLOC_ARENA_MAX")
_OVERHEAD_BYTES = 2**30
_BATCH, _LENGTH = 8, 2048
_TIMEOUT_S = 10.0

ENV = EnvSpec(
    "triton",
    steps=(
        PipStep("install", ("torch==2.13.0", "numpy==1.26.4")),
        PipStep(
            "install",
            (
                *(f"nvidia-pytriton=={_VERSION}", "numpy==1.26.4", "transformers==5.23.0"),
                *("safetensors==0.8.0", "jinja2==3.1.6"),
            ),
        ),
    ),
    disk_bytes=3 * 2**30,
    imports=("pytriton", "torch", "transformers"),
)
"""pytriton asks for numpy below 2."""


class Triton:
    """Measured by /generate_stream. It scores no prompts: techniques with a risk are not kept."""

    name = "triton"
    title = "Triton Inference Server"

    def capabilities(self, hardware: Hardware) -> Capabilities:
        cuda = hardware.device.kind == "cuda"
        return Capabilities(
            endpoint="triton",
            ready_path="/v2/health/ready",
            unavailable="адаптер ставит torch для CPU; на карте — vLLM за Triton" if cuda else "",
        )

    def env_spec(self, hardware: Hardware) -> EnvSpec:
        return ENV

    async def catalog(self, env: Environment | None, home: Home, progress: Progress) -> FlagCatalog:
        version = env.versions.get("nvidia-pytriton", _VERSION) if env else _VERSION
        parser = build_parser()
        return _flags.catalog_of(self.name, version, parser, without=_OWNED, env=_VARIABLES)

    def validate(self, config: EngineConfig, catalog: FlagCatalog) -> None:
        _flags.check(config, catalog, owned=_OWNED)

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
        """Raises BadModel for random weights."""
        if model.dummy_weights:
            raise BadModel("Triton здесь не умеет модель без весов", "Возьмите --engine vllm")
        assert env is not None
        ours: dict[str, FlagValue] = {
            "model": str(model_path),
            "served-model-name": model.name,
            "port": port,
        }
        arguments = _flags.as_arguments({**ours, **config.flags})
        return LaunchPlan((str(env.python), str(_SERVER), *arguments), dict(config.env))

    def memory_needed_bytes(
        self, config: EngineConfig, model: ModelSpec, hardware: Hardware
    ) -> int:
        """Every instance holds weights of its own and the KV cache of its batch."""
        copies = int(config.flags.get("instance-count", 1))
        batch = int(config.flags.get("max-batch-size", _BATCH))
        length = min(_LENGTH, model.facts.max_position)
        kv = batch * kv_bytes_per_sequence(model.facts, "float32", length)
        return copies * (2 * model.weights_bytes + kv + _OVERHEAD_BYTES)

    def diagnose(self, returncode: int | None, log_tail: tuple[str, ...]) -> Cause:
        return process.diagnose(returncode, log_tail)

    def in_force(self, log: str) -> dict[str, str]:
        return _settings.read(log)

    async def scrape(self, base_url: str) -> dict[str, float]:
        """Of the statistics extension: requests, executions, and their mean batch."""
        try:
            response = await fetch(base_url, "/v2/models/stats", timeout_s=_TIMEOUT_S)
        except (OSError, TimeoutError):
            return {}
        if response.status != 200:
            return {}
        rows = orjson.loads(response.content).get("model_stats", [])
        requests = sum(float(row.get("inference_count", 0)) for row in rows)
        executions = sum(float(row.get("execution_count", 0)) for row in rows)
        found = {"requests": requests, "executions": executions}
        return found | ({"mean_batch": requests / executions} if executions else {})


ENGINE = Triton()
