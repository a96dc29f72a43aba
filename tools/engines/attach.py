"""attach: an OpenAI-compatible endpoint that somebody else started."""

import re
from pathlib import Path

from knowledge.errors import BadInput
from knowledge.types import Cause, EngineConfig, Hardware, ModelSpec
from tools import process
from tools.engines import _flags, _metrics
from tools.engines.base import Capabilities, Flag, FlagCatalog, LaunchPlan, Progress
from tools.envs import Environment
from tools.home import Home
from tools.load.http import parse_url

_FLAGS = (
    Flag(name="base-url", kind="str", help="http://127.0.0.1:8000"),
    Flag(name="model", kind="str", help="default: the first of /v1/models"),
    Flag(name="endpoint", kind="str", choices=("completions", "chat"), default="completions"),
    Flag(name="api-key-env", kind="str", help="name of the variable that holds the key"),
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Attach:
    """Nothing is launched: the endpoint is measured as it stands."""

    name = "attach"
    title = "Работающий сервер"

    def capabilities(self, hardware: Hardware) -> Capabilities:
        """Whether it scores text is found out by asking: tools.quality says if it does not."""
        return Capabilities(launches=False, prompt_logprobs=True)

    def env_spec(self, hardware: Hardware) -> None:
        return None

    async def catalog(self, env: Environment | None, home: Home, progress: Progress) -> FlagCatalog:
        return FlagCatalog(engine=self.name, version="1", flags={f.name: f for f in _FLAGS})

    def validate(self, config: EngineConfig, catalog: FlagCatalog) -> None:
        _flags.check(config, catalog)
        address = config.flags.get("base-url")
        if address is None:
            raise BadInput(
                "не задан адрес сервера", "Дайте base-url, например http://127.0.0.1:8000"
            )
        parse_url(str(address))
        variable = config.flags.get("api-key-env")
        if variable is not None and not _VARIABLE.fullmatch(str(variable)):
            # The value is not repeated: it may be the key itself.
            raise BadInput("api-key-env: это не имя переменной", "Нужно имя, а не сам ключ")

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
        """Always BadInput: callers ask capabilities().launches first."""
        raise BadInput("этот сервер запустил не advisor", "Настройки меняет тот, кто его запустил")

    def memory_needed_bytes(
        self, config: EngineConfig, model: ModelSpec, hardware: Hardware
    ) -> int:
        return 0

    def diagnose(self, returncode: int | None, log_tail: tuple[str, ...]) -> Cause:
        return process.diagnose(returncode, log_tail)

    def in_force(self, log: str) -> dict[str, str]:
        """There is no log of it."""
        return {}

    async def scrape(self, base_url: str) -> dict[str, float]:
        """What it has in vLLM's names."""
        return await _metrics.scrape(base_url)


ENGINE = Attach()
