"""The configuration reference, written from the settings class: `python -m api.reference`."""

from typing import Any, get_args

from pydantic import SecretStr

from api.settings import Settings

PREFIX = "ADVISOR_"


def render() -> str:
    """Markdown with one row for each setting, in the order of the class."""
    lines = [
        "# Настройки сервиса",
        "",
        "Переменные окружения. Файл пишется из класса `api/settings.py`: "
        "`python -m api.reference > deploy/configuration.md`.",
        "",
        "| Переменная | По умолчанию | Что делает |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        text = (field.description or "").replace("|", "\\|")
        lines.append(f"| `{PREFIX}{name.upper()}` | {_default(field)} | {text} |")
    return "\n".join(lines) + "\n"


def _default(field: Any) -> str:
    if SecretStr in get_args(field.annotation):
        return "нет (секрет)"
    if field.default is None or field.default == "":
        return "нет"
    if isinstance(field.default, bool):
        return "`1`" if field.default else "`0`"
    if isinstance(field.default, tuple):
        return "пусто"
    return f"`{field.default:g}`" if isinstance(field.default, float) else f"`{field.default}`"


if __name__ == "__main__":
    print(render(), end="")
