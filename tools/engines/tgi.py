"""TGI: text-generation-launcher, which its makers ship in a container and in no package.

What runs inside that container, or where the launcher was built from source, has it on PATH; it is
a program, not a package, so that `advisor setup --python` has nothing to register. Flags come from
a stored list of its documentation. Its router also takes port 9000 while it starts (issue 3062 of
its repository) and dies where that is busy. Not run here: no machine of ours had the container.
"""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from knowledge.errors import BadModel
from knowledge.types import Cause, EngineConfig, FlagValue, Hardware, ModelSpec
from tools import process
from tools.engines import _flags, _metrics, _snapshot
from tools.engines.base import Capabilities, FlagCatalog, LaunchPlan, Progress
from tools.envs import Environment
from tools.home import Home

_LAUNCHER = "text-generation-launcher"
_OWNED = (
    *("model", "model-id", "served-model-name", "host", "hostname", "port", "usage-stats"),
    *("env", "json-output"),
)
"""The last two change what the launcher does and how its log reads."""
_REFUSED = (
    *("trust-remote-code", "api-key", "ngrok", "ngrok-authtoken", "ngrok-edge", "master-addr"),
    *("cors-allow-origin", "otlp-endpoint", "otlp-service-name"),
)
"""What loads code, opens the server, sends data out, or carries a secret."""
_VARIABLES = ("CUDA_VISIBLE_DEVICES", "ATTENTION", "PREFIX_CACHING")
_SHARE = 0.95
"""Share of the memory that it fills with KV where --cuda-memory-fraction does not say it."""
_ARGUMENTS = re.compile(r"text_generation_launcher\S* Args \{(.*?)\}\S*$", re.DOTALL | re.MULTILINE)
"""Colours may stand around the target and at the end."""
_ARGUMENT = re.compile(r'(\w+): (?:Some\(\s*)?("(?:[^"\\]|\\.)*"|[^\s,()\[\]{}]+)')
_NO_ROOM = re.compile(r"Not enough memory to handle")
_REJECTED = re.compile(r"ArgumentValidation|Argument validation error")


class Tgi:
    """Measured by /generate_stream, its own protocol: one event is one token.

    That has no ignore_eos, so that answers may end early, and no scores of the prompt
    (--enable-prefill-logprobs gives them at the price of memory): quality can't be checked, and a
    technique with a quality risk is never kept. More than --max-concurrent-requests (128) at a time
    are refused with 429.
    """

    name = "tgi"
    title = "TGI"

    def capabilities(self, hardware: Hardware) -> Capabilities:
        return Capabilities(
            sides_by_side=False,
            endpoint="tgi",
            named_by_path=True,
            unavailable=_missing(hardware),
        )

    def env_spec(self, hardware: Hardware) -> None:
        """No package to install: see the module."""

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
        """Its default but for the address and for usage statistics, which stay at home.

        Raises BadModel for random weights, which it can't make.
        """
        if model.dummy_weights:
            raise BadModel("TGI не умеет модель без весов", "Возьмите --engine vllm")
        ours: dict[str, FlagValue] = {
            "model-id": str(model_path),
            "hostname": "127.0.0.1",
            "port": port,
            "usage-stats": "off",
        }
        launcher = shutil.which(_LAUNCHER) or _LAUNCHER
        return LaunchPlan((launcher, *_flags.as_arguments(ours | config.flags)), dict(config.env))

    def memory_needed_bytes(
        self, config: EngineConfig, model: ModelSpec, hardware: Hardware
    ) -> int:
        share = min(_SHARE, float(config.flags.get("cuda-memory-fraction", _SHARE)))
        return max(model.weights_bytes, int(share * hardware.device.memory_bytes))

    def diagnose(self, returncode: int | None, log_tail: tuple[str, ...]) -> Cause:
        """Its warm-up says itself when the batch does not fit, its router what contradicts."""
        text = "\n".join(log_tail)
        if _NO_ROOM.search(text):
            return Cause.OUT_OF_MEMORY
        if _REJECTED.search(text):
            return Cause.BAD_FLAG
        return process.diagnose(returncode, log_tail)

    def in_force(self, log: str) -> dict[str, str]:
        """The arguments that the launcher writes down first, in one line or one per line.

        They are in Rust's notation: `None`, `Some(64)`, and `Fp8e4m3fn` for fp8_e4m3fn.
        """
        block = _ARGUMENTS.search(log)
        if block is None:
            return {}
        stored = _snapshot.catalog(self.name, without=(), variables=()).flags
        found = {name.replace("_", "-"): value for name, value in _ARGUMENT.findall(block[1])}
        return {
            name: _plain(value, stored[name].choices if name in stored else ())
            for name, value in found.items()
        }

    async def scrape(self, base_url: str) -> dict[str, float]:
        return await _metrics.scrape(base_url)


def _missing(hardware: Hardware) -> str:
    if hardware.device.kind != "cuda":
        return "TGI нужна карта NVIDIA с CUDA"
    if shutil.which(_LAUNCHER) is None:
        return (
            f"в PATH нет {_LAUNCHER}: он есть только в контейнере "
            "ghcr.io/huggingface/text-generation-inference, запускайте advisor внутри него"
        )
    return ""


def _plain(value: str, choices: Iterable[FlagValue]) -> str:
    """As the command line spells it: enumerations are found among the flag's choices."""
    if value.startswith('"'):
        return value[1:-1]
    spelt = {_letters(str(choice)): str(choice) for choice in choices}
    return spelt.get(_letters(value), "none" if value == "None" else value)


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


ENGINE = Tgi()
