"""What the container formats share."""

from typing import Any

import yaml

from advisor.export.command import Slot
from advisor.export.deployment import Deployment

PORT = 8000
MODEL_MOUNT = "/model"


def header(what: Deployment, how: str) -> str:
    """The comment at the top of a file, in Russian."""
    lines = [
        f"{what.model}: конфигурация, которую выбрал и проверил inference-advisor.",
        f"Сессия {what.session}, испытание {what.trial_id}, {what.engine} {what.engine_version}.",
        *how.splitlines(),
    ]
    if what.artifact:
        lines.append(
            f"Модель здесь не исходная, а сжатая: {what.artifact}. Нужна папка с этим чекпойнтом."
        )
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def caution(what: Deployment) -> str:
    """What to know before running it in a container."""
    note = what.runtime.note if what.runtime else ""
    return f"{_UNTRIED}\n{note}".strip()


_UNTRIED = (
    "В этом образе конфигурацию не запускали: измеряли тот же движок той же версии,\n"
    "установленный из пакета. После первого запуска повторите замер: advisor bench URL."
)


class Plain(yaml.SafeDumper):
    """YAML without anchors: people read these files."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def dump(documents: list[dict[str, Any]]) -> str:
    """Documents as YAML, keys in the order given."""
    return yaml.dump_all(documents, Dumper=Plain, sort_keys=False, allow_unicode=True, width=100)


def split(what: Deployment) -> tuple[list[str], list[str]]:
    """The command inside a container: what starts the server, and its arguments."""
    argv = what.command.argv(
        {
            Slot.PYTHON: "python3",
            Slot.MODEL: MODEL_MOUNT,
            Slot.HOST: "0.0.0.0",  # noqa: S104 - inside the container
            Slot.PORT: str(PORT),
        }
    )
    cut = 3 if argv[1:2] == ("-m",) else 1
    return list(argv[:cut]), list(argv[cut:])
