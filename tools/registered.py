"""Environments that the operator already has: an interpreter, and folders of packages beside it.

A host without a network, or with drivers of its own, comes with torch and vLLM installed somewhere.
`advisor setup vllm --python PYTHON --site FOLDER` makes the advisor use that instead of a virtual
environment of its own. What it registers is a launcher that sets PYTHONPATH and becomes PYTHON, so
that adapters start it like any other interpreter.
"""

import asyncio
import json
import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from knowledge.errors import BadInput, SetupFailed
from tools.home import Home
from tools.process import ServerProcess, clean_env

_READY = "READY.json"
_LOOK_DEADLINE_S = 300.0
"""Importing vLLM from a cold disk takes a minute."""
_LOOK = """
import importlib, importlib.metadata, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
found = {d.metadata["Name"]: d.version for d in reversed(list(importlib.metadata.distributions()))}
print("\\nfound:" + json.dumps({"python": sys.version.split()[0], "versions": found}))
"""


@dataclass(frozen=True)
class Environment:
    """An environment that is ready for use."""

    root: Path
    python: Path
    versions: dict[str, str]
    """Installed version by distribution name (lower case, as normalized by PEP 503)."""


def find(name: str, home: Home) -> Environment | None:
    """What was registered under this name; None when nothing was, or when it is gone since."""
    root = _root(name, home)
    try:
        ready = json.loads((root / _READY).read_text())
    except (FileNotFoundError, ValueError):
        return None
    if not Path(ready["python"]).exists() or not _launcher(root).exists():
        return None
    return Environment(root, _launcher(root), ready["versions"])


async def register(
    name: str, imports: Sequence[str], python: Path, site: Sequence[Path], home: Home
) -> Environment:
    """Write the launcher, import what the adapter needs through it, note the versions.

    Raises BadInput for paths that are not there, SetupFailed with the words of a failed import;
    then nothing is registered.
    """
    _check(python, site)
    root = _root(name, home)
    shutil.rmtree(root, ignore_errors=True)
    launcher = _launcher(root)
    launcher.parent.mkdir(parents=True)
    launcher.write_text(_script(python.absolute(), [folder.absolute() for folder in site]))
    launcher.chmod(0o755)
    try:
        found = await _look(launcher, imports, home.envs / "logs" / f"{root.name}.log")
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise
    versions = {re.sub(r"[-_.]+", "-", n).lower(): v for n, v in found["versions"].items()}
    ready = {"python": str(python.absolute()), "site": [str(f) for f in site], "versions": versions}
    half = root / f"{_READY}.half"
    half.write_text(json.dumps(ready, indent=1))
    half.replace(root / _READY)
    return Environment(root, launcher, versions)


def forget(name: str, home: Home) -> bool:
    """Take the registration back; the packages themselves are not touched."""
    root = _root(name, home)
    known = root.exists()
    shutil.rmtree(root, ignore_errors=True)
    return known


def _root(name: str, home: Home) -> Path:
    return home.envs / f"{name}-registered"


def _launcher(root: Path) -> Path:
    return root / "bin" / "python"


def _check(python: Path, site: Sequence[Path]) -> None:
    if not python.is_file():
        raise BadInput(
            f"нет интерпретатора {python}", "Укажите путь к python, например /usr/bin/python3"
        )
    for folder in site:
        if not folder.is_dir():
            raise BadInput(f"нет папки {folder}", "Укажите папку, куда установлены пакеты движка")


def _script(python: Path, site: Sequence[Path]) -> str:
    """exec keeps the process id, so that the warden's child is the interpreter itself."""
    path = ":".join(map(str, site))
    export = f"export PYTHONPATH={shlex.quote(path)}\n" if site else ""
    return f'#!/bin/sh\n{export}exec {shlex.quote(str(python))} "$@"\n'


async def _look(launcher: Path, imports: Sequence[str], log: Path) -> dict[str, dict[str, str]]:
    """Versions by distribution, those first on the path winning, once all imports succeeded."""
    command = [str(launcher), "-P", "-c", _LOOK, *imports]
    process = await ServerProcess.start(command, clean_env(), log)
    try:
        async with asyncio.timeout(_LOOK_DEADLINE_S):
            code = await process.wait_exit()
    except TimeoutError:
        raise SetupFailed(
            f"{', '.join(imports)}: импорт не уложился в {_LOOK_DEADLINE_S:.0f} с", f"Журнал: {log}"
        ) from None
    finally:
        await process.stop(grace_s=2.0)
    text = log.read_text(errors="replace")
    _, mark, answer = text.rpartition("\nfound:")
    if code != 0 or not mark:
        last = (process.log_tail(1) or (f"код завершения {code}",))[0]
        raise SetupFailed(
            f"{launcher.parents[1].name}: в указанном окружении не импортируется "
            f"{', '.join(imports)}: {last}",
            f"Проверьте --python и --site; журнал: {log}",
        )
    found: dict[str, dict[str, str]] = json.loads(answer.splitlines()[0])
    return found
