"""start.sh: the measured command as a script."""

import shlex

from advisor.export.deployment import Deployment
from advisor.export.formats._words import header

FILE_NAME = "start.sh"
MODE = 0o755

_SETTINGS = """set -euo pipefail

# Python из окружения, где установлен движок.
PYTHON="${{PYTHON:-python3}}"
# Папка модели. По умолчанию та, которую измеряли.
MODEL="${{MODEL:-{model}}}"
# Адрес и порт. Чтобы принимать запросы не только с этой машины: HOST=0.0.0.0.
HOST="${{HOST:-127.0.0.1}}"
PORT="${{PORT:-8000}}"

# Файл .gguf, папка с config.json или ONNX-модель с genai_config.json.
if [ ! -f "$MODEL" ] && [ ! -f "$MODEL/config.json" ] && [ ! -f "$MODEL/genai_config.json" ]; then
  echo "В папке «${{MODEL}}» нет модели. Укажите другую: MODEL=/путь/к/модели ${{0}}" >&2
  exit 2
fi
"""

_CHECK = """has='import importlib.util as i; assert i.find_spec("{module}")'
if ! "$PYTHON" -c "$has" 2>/dev/null; then
  echo "В «${{PYTHON}}» нет {module}: задайте PYTHON или установите" '{package}' >&2
  exit 2
fi
"""


def render(deployment: Deployment) -> str:
    """A bash script; PYTHON, MODEL, HOST and PORT can be set from outside."""
    how = "Запуск: ./start.sh; остановка: Ctrl+C."
    blocks = ["#!/usr/bin/env bash\n" + header(deployment, how)]
    # Inside ${MODEL:-…} within double quotes these four would still be special.
    path = "".join("\\" + c if c in '"\\$`}' else c for c in deployment.command.model_path)
    blocks.append(_SETTINGS.format(model=path))
    if deployment.runtime is not None:
        blocks.append(
            _CHECK.format(module=deployment.runtime.module, package=deployment.runtime.package)
        )
    if deployment.command.env:
        lines = [f"export {k}={shlex.quote(v)}" for k, v in deployment.command.env.items()]
        blocks.append("# Переменные окружения, при которых шёл замер.\n" + "\n".join(lines) + "\n")
    blocks.append("exec " + command_lines(deployment.command.shell()) + "\n")
    return "\n".join(blocks)


def command_lines(words: tuple[str, ...]) -> str:
    """A shell command over several lines, each flag with its values on a line of its own."""
    lines = [words[0]]
    for word in words[1:]:
        if word.startswith("--"):
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return " \\\n  ".join(lines)
