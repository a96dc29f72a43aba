"""Flags of any engine: read from an argparse parser, checked against a catalog, written as argv."""

import json
import math
import re
from argparse import ArgumentParser
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from knowledge.errors import BadInput, UnknownFlag
from knowledge.types import EngineConfig, FlagValue
from tools.engines._in_env.parser_rows import describe
from tools.engines.base import Flag, FlagCatalog

_HUMAN_INT = re.compile(r"\d+(\.\d+)?[kKmMgGtT]i?")
_EXPECTED = {
    "bool": "true или false",
    "int": "целое число",
    "float": "число",
    "str": "строка",
    "json": "JSON-объект или список",
}


def catalog_of(
    engine: str,
    version: str,
    parser: ArgumentParser,
    *,
    without: Collection[str],
    env: Iterable[str],
) -> FlagCatalog:
    """Catalog of an engine whose parser can be built right here."""
    flags = [flag for flag in flags_of(describe(parser)) if flag.name not in without]
    return FlagCatalog(
        engine=engine, version=version, flags={flag.name: flag for flag in flags}, env=tuple(env)
    )


def flags_of(rows: Iterable[Mapping[str, Any]]) -> list[Flag]:
    return [Flag.model_validate(row) for row in rows]


def check(
    config: EngineConfig,
    catalog: FlagCatalog,
    *,
    owned: Collection[str] = (),
    refused: Collection[str] = (),
) -> None:
    """Raise UnknownFlag for what the engine does not have, BadInput for what can't be given.

    `owned` are set by the advisor itself; `refused` would load code or open the server.
    """
    for name, value in config.flags.items():
        _check_allowed(f"--{name}", name, owned, refused)
        if name not in catalog.flags:
            raise _unknown("флага", f"--{name}", name, catalog, catalog.flags)
        _check_value(catalog.flags[name], value)
    for name in config.env:
        _check_allowed(name, name, owned, refused)
        if name not in catalog.env:
            raise _unknown("переменной окружения", name, name, catalog, catalog.env)


def _check_allowed(shown: str, name: str, owned: Collection[str], refused: Collection[str]) -> None:
    plain = name.removeprefix("no-")
    if plain in owned:
        raise BadInput(f"{shown} задаёт сам advisor", f"Уберите {shown}")
    if plain in refused:
        raise BadInput(
            f"{shown} не разрешён: он исполняет сторонний код или открывает сервер наружу",
            f"Уберите {shown}",
        )


def _unknown(
    what: str, shown: str, name: str, catalog: FlagCatalog, known: Collection[str]
) -> UnknownFlag:
    positive = name.removeprefix("no-").replace("_", "-") if shown.startswith("--") else name
    if positive != name and positive in known:
        value = " со значением false" if name.startswith("no-") else ""
        hint = f"Пишите {positive}{value}"
    else:
        near = get_close_matches(positive, known, n=3, cutoff=0.5)
        hint = f"Похожие: {', '.join(near)}" if near else "Похожих нет"
    return UnknownFlag(f"у {catalog.engine} {catalog.version} нет {what} {shown}", hint)


def _check_value(flag: Flag, value: FlagValue) -> None:
    if flag.choices and value not in flag.choices:
        names = ", ".join(map(str, flag.choices))
        near = get_close_matches(str(value), [str(c) for c in flag.choices], n=1)
        guess = f"Может быть, {near[0]}? " if near else ""
        raise BadInput(f"--{flag.name} не может быть {value!r}", f"{guess}Можно: {names}")
    if not _fits(flag, value):
        raise BadInput(
            f"--{flag.name}: {value!r} не подходит", f"Нужно значение вида: {_EXPECTED[flag.kind]}"
        )
    if value is False and not flag.negatable:
        raise BadInput(f"--{flag.name} нельзя выключить", "Уберите флаг: он и так выключен")


def _fits(flag: Flag, value: FlagValue) -> bool:
    if flag.kind == "bool" or isinstance(value, bool):
        return flag.kind == "bool" and isinstance(value, bool)
    if flag.kind == "int":
        return isinstance(value, int) or bool(_HUMAN_INT.fullmatch(str(value)))
    if flag.kind == "float":
        return isinstance(value, int | float)
    if flag.kind == "json":
        return isinstance(value, str) and _is_json_container(value)
    return True


def _is_json_container(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except ValueError:
        return False


def as_arguments(flags: Mapping[str, FlagValue]) -> tuple[str, ...]:
    """`--name value`; True is `--name`, False `--no-name`: check() has seen that there is one."""
    arguments: list[str] = []
    for name, value in flags.items():
        if isinstance(value, bool):
            arguments.append(f"--{name}" if value else f"--no-{name}")
        elif str(value).startswith("-"):
            arguments.append(f"--{name}={value}")
        else:
            arguments += [f"--{name}", str(value)]
    return tuple(arguments)


def product(config: EngineConfig, *names: str) -> int:
    """Of those whole numbers that are set; 1 where none is."""
    values = (config.flags.get(name) for name in names)
    return math.prod(value for value in values if isinstance(value, int) and value > 0)
