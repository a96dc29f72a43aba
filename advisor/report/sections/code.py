"""The handed-in configuration as commands that run as they stand."""

import shlex

from advisor.export.command import Command, Slot, portable
from advisor.export.deployment import Runtime, public_version, runtime
from advisor.export.formats.shell import command_lines
from advisor.report.context import ReportContext, cite
from knowledge.types import Frozen, TrialResult
from tools import engines

ORDER = 40


_CLUSTER = [
    "# Сервер берёт GPU у кластера Ray, на узле которого запускается. Ray нужен той же версии",
    'engine/bin/pip install "ray[default]==$(ray --version | grep -o [0-9.]*)"',
    "export RAY_ADDRESS=127.0.0.1:6379",
    "PYTHON=$PWD/engine/bin/python",
    'export RAY_JOB_CONFIG_JSON_ENV_VAR="{\\"runtime_env\\": {\\"py_executable\\": '
    '\\"$PYTHON\\"}}"',
]
"""The path of the environment must be the same on all nodes."""


class Recipe(Frozen):
    """What the commands need besides the command itself."""

    runtime: Runtime | None
    command: Command


def render(ctx: ReportContext) -> str:
    """Install, start, ask."""
    trial = ctx.best
    parts = ["## Код и конфигурация"]
    if trial is None or trial.launch is None or not trial.launch.argv:
        parts.append("Сервер запускал не advisor, поэтому команды запуска у него нет.")
        return "\n\n".join(parts)
    what = "Сданная конфигурация" if ctx.handed_in else "Лучшая измеренная конфигурация"
    parts.append(
        f"{what} ({cite(trial)}): `{ctx.setting(trial)}`. "
        "Команда снята с измеренного процесса, заменены только пути, адрес и порт."
    )
    parts.append(_bash(_recipe(ctx, trial), trial))
    parts.append(
        "То же в виде `start.sh`, `compose.yaml` и `kubernetes.yaml`: "
        f"`advisor export {ctx.record.row.session}`."
        if ctx.handed_in and not _spans_machines(ctx, trial)
        else ""
    )
    return "\n\n".join(part for part in parts if part)


def _spans_machines(ctx: ReportContext, trial: TrialResult) -> bool:
    config, hardware = trial.spec.candidate.config, ctx.record.task.hardware
    return engines.spans_machines(config, hardware.device_count)


def _recipe(ctx: ReportContext, trial: TrialResult) -> Recipe:
    assert trial.launch is not None
    command = portable(trial.launch, trial.spec.model.path, trial.spec.candidate.config.env)
    where = runtime(
        trial.spec.candidate.config.engine,
        ctx.record.task.hardware.device.kind,
        public_version(trial.launch),
    )
    return Recipe(runtime=where, command=command)


def _bash(recipe: Recipe, trial: TrialResult) -> str:
    lines = ["```bash"]
    if recipe.runtime:
        lines += [
            "# 1. Движок той же версии, в отдельном окружении",
            "python3 -m venv engine",
            f"engine/bin/pip install '{recipe.runtime.package}'",
            *(f"engine/bin/pip {step}" for step in recipe.runtime.then),
            "PYTHON=engine/bin/python",
        ]
    elif any(word.slot is Slot.PYTHON for word in recipe.command.words):
        lines += ["# 1. Python из окружения, где установлен движок", "PYTHON=python3"]
    else:
        lines += [f"# 1. Нужна программа {recipe.command.words[0].text} в PATH"]
    if engines.joins_cluster(trial.spec.candidate.config):
        lines += _CLUSTER
    artifact = trial.spec.candidate.artifact
    which = f"сжатой модели: {artifact.scheme}, {artifact.quantizer}" if artifact else "модели"
    place = "Файл" if recipe.command.model_path.endswith(".gguf") else "Папка"
    lines += ["", f"# 2. {place} {which}", "MODEL=./model", "HOST=127.0.0.1", "PORT=8000", ""]
    if recipe.command.env:
        lines.append("# 3. Переменные окружения, при которых шёл замер")
        lines += [
            f"export {name}={shlex.quote(value)}" for name, value in recipe.command.env.items()
        ]
        lines.append("")
    lines += ["# 4. Сервер" if recipe.command.env else "# 3. Сервер"]
    lines += [command_lines(recipe.command.shell()), "```", "", "Проверка из другого терминала:"]
    lines += ["", "```bash", "curl -s http://127.0.0.1:8000/v1/models", "```"]
    return "\n".join(lines)
