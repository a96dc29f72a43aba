"""Is a flag that was asked for the one the engine runs with: values in many spellings."""

import ast
import json
import re
from collections.abc import Mapping

from knowledge.types import EngineConfig, FlagValue

_WORDS = {"true": True, "false": False, "on": True, "off": False, "yes": True, "no": False}
_SAME = {
    "bf16": "bfloat16",
    "half": "float16",
    "fp16": "float16",
    "float": "float32",
    "fp32": "float32",
    "fp8_e4m3": "fp8",
    "float8_e4m3fn": "fp8",
}
_SUFFIX = {
    "k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30,
}  # fmt: skip
_UNDECIDED = {"auto", "default", ""}
"""The engine chooses: what it chose is no contradiction."""


def compare(config: EngineConfig, in_force: Mapping[str, str]) -> dict[str, bool | None]:
    """By setting, flags and variables: in force, contradicted, or None when nothing says."""
    seen = {_key(name): value for name, value in in_force.items()}
    asked: dict[str, FlagValue] = {**config.flags, **config.env}
    return {name: _agrees(_key(name), value, seen) for name, value in asked.items()}


def reported(name: str, in_force: Mapping[str, str]) -> str | None:
    """What the engine says of a setting, under its own spelling of the name."""
    seen = {_key(key): value for key, value in in_force.items()}
    return seen.get(_key(name), seen.get(_key(name).removeprefix("no-")))


def _key(name: str) -> str:
    return name.lstrip("-").replace("_", "-").lower()


def _agrees(name: str, asked: FlagValue, seen: Mapping[str, str]) -> bool | None:
    if name not in seen and name.startswith("no-") and name.removeprefix("no-") in seen:
        name, asked = name.removeprefix("no-"), not _plain(asked)
    if name not in seen:
        return None
    wanted, found = _plain(asked), _plain(seen[name])
    if isinstance(wanted, str) and wanted in _UNDECIDED:
        return None
    if isinstance(wanted, dict):
        return _contains(found, wanted) if isinstance(found, dict) else None
    return wanted == found


def _contains(found: dict[str, object], wanted: dict[str, object]) -> bool | None:
    """Every asked key has its value; a key that the engine does not report proves nothing."""
    both = [key for key in wanted if key in found]
    if not all(_plain(found[key]) == _plain(wanted[key]) for key in both):
        return False
    return True if len(both) == len(wanted) else None


def _plain(value: object) -> object:
    """One spelling for each value: 64 and "64", True and "true", torch.half and float16."""
    if isinstance(value, bool | dict | list):
        return value
    if isinstance(value, int | float):
        return float(value)
    text = str(value).strip().strip("'\"")
    if text.startswith(("{", "[")):
        return _parsed(text)
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if number := re.fullmatch(r"([0-9]+(?:[.][0-9]+)?)([kmgKMG]?)", text):
        return float(number.group(1)) * _SUFFIX.get(number.group(2), 1)
    word = text.lower().removeprefix("torch.")
    return _SAME.get(word, word)


def _parsed(text: str) -> object:
    """JSON as it was asked, or a Python literal as logs print it; else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
