"""The start form: its fields to a SessionRequest, its choices."""

from collections.abc import Mapping

from pydantic import ValidationError

from advisor.policies import names as policies
from api.schemas import SessionRequest
from api.service import Service
from api.tasks import AUTO
from knowledge.errors import BadInput
from knowledge.presets import PRESETS
from knowledge.types import FlagValue, Objective
from tools import engines

FIELDS = (
    "model", "engine", "workload", "concurrency", "rate", "input_tokens", "output_tokens",
    "objective", "slo", "quality_floor", "budget", "trials", "policy", "naive", "flags",
)  # fmt: skip
_LINES = ("slo", "flags")
DEFAULTS: dict[str, str] = dict.fromkeys(FIELDS, "") | {
    "model": "demo", "engine": "vllm", "workload": "chat", "objective": "latency",
    "budget": "30m", "policy": "portfolio",
}  # fmt: skip


def choices(service: Service) -> dict[str, list[str]]:
    """What the selects offer."""
    allowed = service.settings.engines
    return {
        "engine": [name for name in (AUTO, *engines.names()) if not allowed or name in allowed],
        "workload": list(PRESETS),
        "objective": [objective.value for objective in Objective],
        "policy": list(policies()),
    }


def request_of(fields: Mapping[str, str]) -> SessionRequest:
    """Raises BadInput that names the field."""
    given: dict[str, object] = {}
    for name in FIELDS:
        text = fields.get(name, "").strip()
        if text and name not in _LINES:
            given[name] = text
    given["slo"] = [line.strip() for line in _lines(fields, "slo")]
    given["flags"] = dict(_flag(line) for line in _lines(fields, "flags"))
    if (naive := fields.get("naive", "")) in ("yes", "no"):
        given["naive"] = naive == "yes"
    else:
        given.pop("naive", None)
    try:
        return SessionRequest.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{where}: {first['msg']}", "Исправьте это поле") from None


def _lines(fields: Mapping[str, str], name: str) -> list[str]:
    return [line for line in fields.get(name, "").splitlines() if line.strip()]


def _flag(line: str) -> tuple[str, FlagValue]:
    """«max-num-seqs=64», «enforce-eager»; leading dashes may stand there."""
    name, _, text = line.strip().lstrip("-").partition("=")
    name, text = name.strip(), text.strip()
    if not name:
        raise BadInput(
            f"флаг «{line.strip()}» не читается", "Пишите имя=значение, например dtype=bfloat16"
        )
    return name, _value(text)


def _value(text: str) -> FlagValue:
    words: dict[str, FlagValue] = {"": True, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
