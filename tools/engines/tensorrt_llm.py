"""TensorRT-LLM: trtllm-serve from its package, on CUDA. Flags from a stored list of its docs.

The pin is a release candidate: the last stable one, 1.2.1, can't be told under which name to serve.
What only the YAML of --config can say (CUDA graphs, block reuse, speculation) is not offered: a
launch plan writes no files. Not run here: the wheels are for another Python than ours.
"""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from knowledge.errors import BadModel
from knowledge.types import Cause, EngineConfig, FlagValue, Hardware, ModelSpec
from tools import process
from tools.engines import _flags, _snapshot
from tools.engines.base import Capabilities, FlagCatalog, LaunchPlan, Progress
from tools.envs import Environment, EnvSpec, PipStep
from tools.home import Home
from tools.load.http import fetch

_GIB = 2**30
_VERSION = "1.3.0rc13"
_CONFIG = Path(__file__).parent / "_in_env" / "tensorrt_llm.yaml"
_PYTHONS = ((3, 10), (3, 12))
"""Those that its wheels are made for."""
_OWNED = (
    *("model", "served_model_name", "served-model-name", "host", "port", "config"),
    *("extra_llm_api_options", "grpc", "extra_visual_gen_options"),
)
_REFUSED = (
    *("trust_remote_code", "custom_module_dirs", "custom_tokenizer", "otlp_traces_endpoint"),
    *("metadata_server_config_file", "server_role", "disagg_cluster_uri"),
)
"""What loads code, sends data out, or makes the server a part of a cluster."""
_VARIABLES = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "TRTLLM_SERVER_DISABLE_GC")
_KV_SHARE = 0.9
"""Of the memory that weights and buffers leave, where no flag says it."""
_KV_FLAGS = ("free_gpu_memory_fraction", "kv_cache_free_gpu_memory_fraction")
_BACKEND = re.compile(r"Using LLM with (\w+) backend")
_NO_ROOM = re.compile(r"insufficient GPU memory")
_REJECTED = re.compile(r"validation errors? for \w*LlmArgs")
_TIMEOUT_S = 10.0


class TensorRtLlm:
    """The PyTorch backend by default: no engine is built, a checkpoint is served as it stands.

    No score of the prompt is known of its server: quality can't be checked, and a technique with a
    quality risk is never kept.
    """

    name = "tensorrt_llm"
    title = "TensorRT-LLM"

    def capabilities(self, hardware: Hardware) -> Capabilities:
        return Capabilities(sides_by_side=False, unavailable=_missing(hardware))

    def env_spec(self, hardware: Hardware) -> EnvSpec:
        """On PyPI is a stub that fetches the wheel from NVIDIA's index. It needs OpenMPI beside."""
        index = ("--extra-index-url", "https://pypi.nvidia.com/")
        steps = (PipStep("install", (*index, f"tensorrt-llm=={_VERSION}")),)
        return EnvSpec("tensorrt_llm", steps, disk_bytes=30 * _GIB, imports=("tensorrt_llm",))

    async def catalog(self, env: Environment | None, home: Home, progress: Progress) -> FlagCatalog:
        return _snapshot.catalog(self.name, without=_OWNED, variables=_VARIABLES)

    def validate(self, config: EngineConfig, catalog: FlagCatalog) -> None:
        _flags.check(config, catalog, owned=_OWNED, refused=_REFUSED)

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
        """Iterations are counted, which its default leaves out: without them nothing is seen.

        Raises BadModel for random weights.
        """
        assert env is not None
        if model.dummy_weights:
            raise BadModel("TensorRT-LLM здесь не умеет модель без весов", "Возьмите --engine vllm")
        ours: dict[str, FlagValue] = {
            "served_model_name": model.name,
            "host": "127.0.0.1",
            "port": port,
            "config": str(_CONFIG),
        }
        server = (str(env.python), "-m", "tensorrt_llm.commands.serve", "serve", str(model_path))
        return LaunchPlan((*server, *_flags.as_arguments(ours | config.flags)), dict(config.env))

    def memory_needed_bytes(
        self, config: EngineConfig, model: ModelSpec, hardware: Hardware
    ) -> int:
        said = [config.flags[name] for name in _KV_FLAGS if name in config.flags]
        share = float(said[-1]) if said else _KV_SHARE
        left = max(0, hardware.device.memory_bytes - model.weights_bytes)
        return model.weights_bytes + int(share * left)

    def devices(self, config: EngineConfig) -> int:
        return _flags.product(config, "tp_size", "pp_size")

    def diagnose(self, returncode: int | None, log_tail: tuple[str, ...]) -> Cause:
        text = "\n".join(log_tail)
        if _NO_ROOM.search(text):
            return Cause.OUT_OF_MEMORY
        if _REJECTED.search(text):
            return Cause.BAD_FLAG
        return process.diagnose(returncode, log_tail)

    def in_force(self, log: str) -> dict[str, str]:
        """Its log names the backend and no other setting."""
        named = _BACKEND.search(log)
        return {"backend": named[1].lower()} if named else {}

    async def scrape(self, base_url: str) -> dict[str, float]:
        """Gauges of the newest iteration since the last look, which empties the server's queue.

        /metrics is a JSON list; /prometheus/metrics is there only with return_perf_metrics, and has
        times of requests rather than gauges.
        """
        try:
            response = await fetch(base_url, "/metrics", timeout_s=_TIMEOUT_S)
        except (OSError, TimeoutError):
            return {}
        return _gauges(response.content) if response.status == 200 else {}


def _missing(hardware: Hardware) -> str:
    if hardware.device.kind != "cuda":
        return "TensorRT-LLM нужна карта NVIDIA с CUDA"
    if sys.version_info[:2] not in _PYTHONS:
        return (
            "пакет tensorrt-llm собран для Python 3.10 и 3.12; готовое окружение с ним подключает "
            "advisor setup tensorrt_llm --python"
        )
    return ""


def _gauges(content: bytes) -> dict[str, float]:
    """Short names, those of other engines; empty where no iteration ran or it is no such list."""
    try:
        listed = json.loads(content)
    except ValueError:
        return {}
    if not isinstance(listed, list):
        return {}
    iterations = [one for one in listed if isinstance(one, dict)]
    return _of_iteration(max(iterations, key=lambda one: one.get("iter", 0), default={}))


def _of_iteration(newest: Mapping[str, Any]) -> dict[str, float]:
    blocks = newest.get("kvCacheStats") or {}
    found = {
        "requests_running": newest.get("numActiveRequests"),
        "requests_waiting": newest.get("numQueuedRequests"),
        "prefix_cache_hit_rate": blocks.get("cacheHitRate"),
    }
    if blocks.get("maxNumBlocks"):
        found["kv_cache_usage_perc"] = blocks.get("usedNumBlocks", 0) / blocks["maxNumBlocks"]
    return {name: float(value) for name, value in found.items() if value is not None}


ENGINE = TensorRtLlm()
