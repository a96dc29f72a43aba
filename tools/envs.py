"""Virtual environments of the adapters: one each, pinned, resumable, made once."""

import asyncio
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from knowledge.errors import NoRoom, SetupFailed
from tools import registered
from tools._disk import free_disk_bytes
from tools._locked import locked
from tools.home import Home
from tools.process import ServerProcess, clean_env
from tools.registered import Environment

__all__ = ["EnvSpec", "Environment", "PipStep", "ensure", "find"]

Progress = Callable[[str], None]

_READY = "READY.json"
_DONE = "steps-done"
_HEARTBEAT_S = 15.0
_GIB = 2**30


@dataclass(frozen=True)
class PipStep:
    """One run of pip, e.g. PipStep("install", ("torch==2.13.0",))."""

    kind: Literal["install", "uninstall"]
    args: tuple[str, ...]

    @property
    def command(self) -> tuple[str, ...]:
        if self.kind == "install":
            return ("install", "--no-input", "--progress-bar", "off", *self.args)
        return ("uninstall", "--yes", *self.args)


@dataclass(frozen=True)
class EnvSpec:
    """What an adapter needs installed. Steps run in order; `imports` are tried at the end."""

    name: str
    steps: tuple[PipStep, ...]
    disk_bytes: int
    """Room that the finished environment takes, downloads included."""
    imports: tuple[str, ...] = ()
    serves_with: tuple[str, ...] = ()
    """All that serving needs: what an operator's own interpreter must import. Empty: `imports`."""

    @property
    def key(self) -> str:
        """Changes with the steps and with the Python that runs them."""
        facts = [sys.version, sys.platform, [(step.kind, step.args) for step in self.steps]]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]

    def root(self, home: Home) -> Path:
        return home.envs / f"{self.name}-{self.key}"


def find(spec: EnvSpec, home: Home) -> Environment | None:
    """The environment that the operator registered, else the finished one of ours, else None."""
    return registered.find(spec.name, home) or _own(spec, home)


def _own(spec: EnvSpec, home: Home) -> Environment | None:
    root = spec.root(home)
    python = _python(root)
    try:
        ready = json.loads((root / _READY).read_text())
    except (FileNotFoundError, ValueError):
        return None
    # The interpreter that it was made with may have been removed since.
    return Environment(root, python, ready["versions"]) if python.exists() else None


async def ensure(
    spec: EnvSpec,
    home: Home,
    progress: Progress,
    *,
    free_disk: Callable[[Path], int] = free_disk_bytes,
) -> Environment:
    """Find or make the environment. An interrupted installation goes on where it stopped.

    Of several callers, in any process, one installs and the others wait. Raises NoRoom before
    anything is installed, SetupFailed with pip's own words.
    """
    if ready := find(spec, home):
        return ready
    waiting = f"{spec.name}: окружение уже ставит другой процесс, ждём"
    async with locked(home.envs / f"{spec.name}-{spec.key}.lock", lambda: progress(waiting)):
        if ready := find(spec, home):
            return ready
        await asyncio.to_thread(_check_room, spec, home, free_disk)
        await _install(spec, home, progress)
    finished = find(spec, home)
    assert finished is not None
    return finished


def _check_room(spec: EnvSpec, home: Home, free_disk: Callable[[Path], int]) -> None:
    """What an interrupted installation already put on the disk counts as room."""
    home.envs.mkdir(parents=True, exist_ok=True)
    missing = spec.disk_bytes - _size_bytes(spec.root(home))
    free = free_disk(home.envs)
    if free < missing:
        raise NoRoom(
            f"Окружению {spec.name} нужно ещё {missing / _GIB:.1f} ГиБ на диске, "
            f"свободно {free / _GIB:.1f} ГиБ",
            f"Освободите место в {home.envs} или задайте ADVISOR_HOME на другом диске",
        )


def _size_bytes(folder: Path) -> int:
    total = 0
    for directory, _, files in os.walk(folder):
        for name in files:
            total += os.lstat(os.path.join(directory, name)).st_blocks * 512  # noqa: PTH118 - fast
    return total


async def _install(spec: EnvSpec, home: Home, progress: Progress) -> None:
    began = time.monotonic()
    root = spec.root(home)
    done = _steps_done(root)
    if done is None:
        shutil.rmtree(root, ignore_errors=True)
    else:
        progress(f"{spec.name}: продолжаем прерванную установку, готово шагов: {done}")
        _drop_half_installed(root)
    for number, (title, command) in enumerate(_commands(spec, root)):
        if done is None or number > done:
            log = home.envs / "logs" / f"{root.name}-{number}.log"
            await _run(command, f"{spec.name}: {title}", log, progress)
            _write(root / _DONE, str(number))
    _write(root / _READY, json.dumps({"versions": _versions(root)}, indent=1))
    progress(f"{spec.name}: окружение готово за {time.monotonic() - began:.0f} с")


def _commands(spec: EnvSpec, root: Path) -> Iterator[tuple[str, list[str]]]:
    """Title and command of each step: the environment itself, pip's, the smoke check."""
    python = str(_python(root))
    yield "создаём виртуальное окружение", [sys.executable, "-m", "venv", str(root)]
    for number, step in enumerate(spec.steps, start=1):
        title = f"шаг {number} из {len(spec.steps)}, pip {step.kind} {' '.join(step.args)}"
        yield title, [python, "-m", "pip", *step.command]
    if spec.imports:
        names = ", ".join(spec.imports)
        yield f"проверяем импорт {names}", [python, "-P", "-c", f"import {names}"]


async def _run(command: list[str], title: str, log: Path, progress: Progress) -> None:
    """Run one step under a warden: a line at its start, every 15 s and at its end."""
    began = time.monotonic()
    progress(f"{title} …")
    process = await ServerProcess.start(command, clean_env(for_pip=True), log)
    try:
        while process.returncode is None:
            try:
                async with asyncio.timeout(_HEARTBEAT_S):
                    await process.wait_exit()
            except TimeoutError:
                told = [line for line in process.log_tail(20) if not line.startswith("WARNING")]
                last = told[-1].strip() if told else ""
                progress(f"{title} … {time.monotonic() - began:.0f} с: {last[:80]}")
    finally:
        await process.stop(grace_s=2.0)
    if process.returncode != 0:
        raise SetupFailed(f"{title}: {_words_of(process)}", f"Полный журнал: {log}")
    progress(f"{title}: {time.monotonic() - began:.0f} с")


def _words_of(process: ServerProcess) -> str:
    """pip's own error lines, else the last line it wrote."""
    tail = process.log_tail(200)
    errors = [line.removeprefix("ERROR: ") for line in tail if line.startswith("ERROR: ")]
    return "; ".join(errors[-3:] or tail[-1:]) or f"код завершения {process.returncode}"


def _steps_done(root: Path) -> int | None:
    """Number of the last step that ended well; 0 is the environment itself, None not even that."""
    if not _python(root).exists():
        return None
    try:
        return int((root / _DONE).read_text())
    except (FileNotFoundError, ValueError):
        return None


def _drop_half_installed(root: Path) -> None:
    """A package without RECORD was cut off half-way, yet pip would take it for installed."""
    for info in _site_packages(root).glob("*.dist-info"):
        if not (info / "RECORD").exists():
            shutil.rmtree(info)


def _versions(root: Path) -> dict[str, str]:
    found = importlib.metadata.distributions(path=[str(_site_packages(root))])
    names = {re.sub(r"[-_.]+", "-", dist.name).lower(): dist.version for dist in found}
    return dict(sorted(names.items()))


def _python(root: Path) -> Path:
    return root / "bin" / "python"


def _site_packages(root: Path) -> Path:
    version = sys.version_info
    return root / "lib" / f"python{version.major}.{version.minor}" / "site-packages"


def _write(path: Path, text: str) -> None:
    """Whole or not at all, whenever we are killed."""
    half = path.with_name(path.name + ".half")
    half.write_text(text)
    half.replace(path)
