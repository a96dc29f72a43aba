"""SGLang: its own server from the package, on CUDA. Flags from a snapshot of its parser."""

import ast
import json
import re
from pathlib import Path

from knowledge.types import Cause, EngineConfig, FlagValue, Hardware, ModelSpec
from tools import process
from tools.engines import _flags, _metrics, _snapshot
from tools.engines.base import Capabilities, FlagCatalog, LaunchPlan, Progress
from tools.envs import Environment, EnvSpec, PipStep
from tools.home import Home

_GIB = 2**30
_OWNED = (
    *("model", "model-path", "served-model-name", "host", "port", "load-format"),
    *("enable-metrics", "config"),
)
_REFUSED = (
    *("trust-remote-code", "api-key", "admin-api-key", "ssl-keyfile", "ssl-certfile"),
    *("json-model-override-args", "custom-sigquit-handler", "enable-custom-logit-processor"),
    *("remote-instance-weight-loader-seed-instance-ip", "ssl-keyfile-password", "ssl-ca-certs"),
)
"""What loads code, opens the server, or carries a secret."""
_VARIABLES = (
    *("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PYTORCH_CUDA_ALLOC_CONF"),
    *("SGLANG_ENABLE_TORCH_INFERENCE_MODE", "SGLANG_TORCH_PROFILER_DIR"),
)
_SPLIT = ("tensor-parallel-size", "tp-size", "pipeline-parallel-size", "pp-size")
_COPIES = ("data-parallel-size", "dp-size")
_STATIC = 0.9
"""Share of the memory that weights and KV take where --mem-fraction-static does not say it."""
_SETTINGS = re.compile(r"server_args=ServerArgs\((.*)\)\s*$", re.MULTILINE)


class SgLang:
    """RadixAttention: every prefix is cached unless it is switched off."""

    name = "sglang"
    title = "SGLang"

    def capabilities(self, hardware: Hardware) -> Capabilities:
        """It scores text by echo with logprobs."""
        here = hardware.device.kind == "cuda"
        return Capabilities(
            prompt_logprobs=True,
            sides_by_side=False,
            unavailable="" if here else "пакету SGLang на PyPI нужна карта NVIDIA с CUDA",
        )

    def env_spec(self, hardware: Hardware) -> EnvSpec:
        steps = (PipStep("install", ("sglang==0.5.23",)),)
        return EnvSpec("sglang", steps, disk_bytes=20 * _GIB, imports=("sglang",))

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
        """Metrics are counted, which its default leaves out: without them nothing is seen."""
        assert env is not None
        ours: dict[str, FlagValue] = {
            "model-path": str(model_path),
            "served-model-name": model.name,
            "host": "127.0.0.1",
            "port": port,
            "enable-metrics": True,
        }
        if model.dummy_weights:
            ours["load-format"] = "dummy"
        arguments = _flags.as_arguments(ours | config.flags)
        server = (str(env.python), "-m", "sglang.launch_server")
        return LaunchPlan((*server, *arguments), dict(config.env))

    def memory_needed_bytes(
        self, config: EngineConfig, model: ModelSpec, hardware: Hardware
    ) -> int:
        share = config.flags.get("mem-fraction-static", _STATIC)
        reserved = float(share) * hardware.device.memory_bytes
        return max(model.weights_bytes, int(reserved))

    def devices(self, config: EngineConfig) -> int:
        """With data-parallel attention its parts share the cards of the tensor parallelism."""
        shared = bool(config.flags.get("enable-dp-attention"))
        return _flags.product(config, *_SPLIT, *(() if shared else _COPIES))

    def diagnose(self, returncode: int | None, log_tail: tuple[str, ...]) -> Cause:
        return process.diagnose(returncode, log_tail)

    def in_force(self, log: str) -> dict[str, str]:
        """The line in which it writes all its arguments down when it starts."""
        line = _SETTINGS.search(log)
        return _arguments(line[1]) if line else {}

    async def scrape(self, base_url: str) -> dict[str, float]:
        return await _metrics.scrape(base_url)


def _arguments(text: str) -> dict[str, str]:
    """Those of a call's keywords that are plain values; empty when it is no Python."""
    try:
        call = ast.parse(f"f({text})", mode="eval").body
    except SyntaxError:
        return {}
    found = {}
    for keyword in call.keywords if isinstance(call, ast.Call) else ():
        try:
            value = ast.literal_eval(keyword.value)
        except ValueError:
            continue
        name = (keyword.arg or "").replace("_", "-")
        found[name] = value if isinstance(value, str) else json.dumps(value).replace("null", "none")
    return found


ENGINE = SgLang()
