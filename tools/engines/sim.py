"""A simulated engine: a real process with a cost model, for tests and demos without installs."""

import sys
from pathlib import Path

from knowledge.types import Cause, EngineConfig, FlagValue, Hardware, ModelSpec
from tools import process
from tools.engines import _flags, _metrics, _settings
from tools.engines._sim.options import ENVIRONMENT, build_parser
from tools.engines.base import Capabilities, FlagCatalog, LaunchPlan, Progress
from tools.envs import Environment
from tools.home import Home

_OWNED = ("model", "served-model-name", "host", "port")
_ROOT = Path(__file__).parents[2]
_MEMORY_BYTES = 96 * 2**20


class Sim:
    """Figures come from a cost model: capabilities().simulated says so."""

    name = "sim"
    title = "Симулятор"

    def capabilities(self, hardware: Hardware) -> Capabilities:
        return Capabilities(prompt_logprobs=True, simulated=True)

    def env_spec(self, hardware: Hardware) -> None:
        return None

    async def catalog(self, env: Environment | None, home: Home, progress: Progress) -> FlagCatalog:
        parser = build_parser()
        return _flags.catalog_of(self.name, "1", parser, without=_OWNED, env=ENVIRONMENT)

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
        ours: dict[str, FlagValue] = {
            "model": str(model_path),
            "served-model-name": model.name,
            "port": port,
        }
        arguments = _flags.as_arguments({**ours, **config.flags})
        argv = (sys.executable, "-m", "tools.engines._sim", *arguments)
        return LaunchPlan(argv, {"PYTHONPATH": str(_ROOT), **config.env})

    def memory_needed_bytes(
        self, config: EngineConfig, model: ModelSpec, hardware: Hardware
    ) -> int:
        return _MEMORY_BYTES

    def devices(self, config: EngineConfig) -> int:
        return _flags.product(config, "tensor-parallel-size")

    def joins_cluster(self, config: EngineConfig) -> bool:
        return config.flags.get("distributed-executor-backend") == "ray"

    def diagnose(self, returncode: int | None, log_tail: tuple[str, ...]) -> Cause:
        return process.diagnose(returncode, log_tail)

    def in_force(self, log: str) -> dict[str, str]:
        return _settings.read(log)

    async def scrape(self, base_url: str) -> dict[str, float]:
        return await _metrics.scrape(base_url)


ENGINE = Sim()
