"""Rows of plain values out of any argparse parser. Standard library only."""

import argparse
from enum import Enum
from typing import Any

_WRAPPERS = ("_optional_type", "_parse_type")
_KINDS = {
    "int": "int",
    "human_readable_int": "int",
    "float": "float",
    "loads": "json",
    "parse_dataclass": "json",
}
_HELP_CHARACTERS = 400


def describe(parser: argparse.ArgumentParser) -> list[dict[str, Any]]:
    """One row per long option: name, kind, choices, default, help, negatable.

    An option that takes several words is a "str" of one: a list goes through a JSON option.
    """
    return [
        {
            "name": option.removeprefix("--"),
            "kind": _kind(action),
            "choices": [_plain(choice) for choice in action.choices or ()],
            "default": _default(action.default),
            "help": " ".join((action.help or "").split())[:_HELP_CHARACTERS],
            "negatable": isinstance(action, argparse.BooleanOptionalAction),
        }
        for action in parser._actions
        if not isinstance(action, argparse._HelpAction)
        for option in action.option_strings
        if option.startswith("--") and not _is_negation(option, action)
    ]


def _is_negation(option: str, action: argparse.Action) -> bool:
    return isinstance(action, argparse.BooleanOptionalAction) and option.startswith("--no-")


def _kind(action: argparse.Action) -> str:
    if action.nargs == 0:
        return "bool"
    if action.nargs is not None:
        return "str"
    return _KINDS.get(getattr(_unwrapped(action.type), "__name__", ""), "str")


def _unwrapped(kind: Any) -> Any:
    """What vLLM's "or None" wrappers hold in their closure."""
    while getattr(kind, "__name__", "") in _WRAPPERS and kind.__closure__:
        kind = next(c.cell_contents for c in kind.__closure__ if callable(c.cell_contents))
    return kind


def _plain(value: object) -> str | int | float:
    value = value.value if isinstance(value, Enum) else value
    return value if isinstance(value, str | int | float) else str(value)


def _default(value: object) -> str | None:
    if value is None or value is argparse.SUPPRESS:
        return None
    return str(_plain(value))[:_HELP_CHARACTERS]
