import asyncio
import os
import zipfile
from pathlib import Path

import pytest

from knowledge.errors import NoRoom, SetupFailed
from tools.envs import EnvSpec, PipStep, ensure, find
from tools.home import Home

SLOW_SDIST_HOOK = """
import pathlib, time
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    pathlib.Path({started!r}).touch()
    while not pathlib.Path({go_on!r}).exists():
        time.sleep(0.05)
    import shutil
    return pathlib.Path(shutil.copy({wheel!r}, wheel_directory)).name
"""


def wheel(folder: Path, name: str, version: str = "1.0", code: str = "") -> Path:
    """The smallest wheel pip accepts."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", code)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/RECORD,,\n")
    return path


def install(folder: Path, *names: str) -> PipStep:
    return PipStep("install", ("--no-index", "--find-links", str(folder), *names))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(data=tmp_path / "data", cache=tmp_path / "cache")


@pytest.mark.slow  # makes a real environment
async def test_steps_run_in_order_and_versions_are_read(tmp_path: Path, home: Home) -> None:
    wheel(tmp_path / "w", "alpha_pkg", "1.5")
    wheel(tmp_path / "w", "beta")
    steps = (
        install(tmp_path / "w", "alpha_pkg", "beta"),
        PipStep("uninstall", ("beta",)),
    )
    spec = EnvSpec("tiny", steps, disk_bytes=0, imports=("alpha_pkg",))
    assert find(spec, home) is None
    lines: list[str] = []

    env = await ensure(spec, home, lines.append)

    assert env.versions["alpha-pkg"] == "1.5"
    assert "beta" not in env.versions
    assert env.python.is_relative_to(env.root)
    assert find(spec, home) == env
    for word in ("шаг 1 из 2", "шаг 2 из 2", "импорт alpha_pkg", "готово"):
        assert any(word in line for line in lines)

    lines.clear()
    assert await ensure(spec, home, lines.append) == env
    assert lines == [], "nothing is done twice"


@pytest.mark.slow  # makes a real environment
async def test_failure_speaks_in_pips_own_words_and_can_be_mended(
    tmp_path: Path, home: Home
) -> None:
    (tmp_path / "w").mkdir()
    spec = EnvSpec("tiny", (install(tmp_path / "w", "gamma"),), disk_bytes=0)
    with pytest.raises(SetupFailed, match="No matching distribution found for gamma") as failure:
        await ensure(spec, home, lambda _: None)
    log = Path(failure.value.hint.removeprefix("Полный журнал: "))
    assert "No matching distribution found for gamma" in log.read_text()
    assert find(spec, home) is None

    wheel(tmp_path / "w", "gamma")
    env = await ensure(spec, home, lambda _: None)
    assert "gamma" in env.versions


@pytest.mark.slow  # makes a real environment
async def test_a_package_that_does_not_import_is_a_failure(tmp_path: Path, home: Home) -> None:
    wheel(tmp_path / "w", "delta", code="raise OSError('libcuda.so.1: no such file')")
    spec = EnvSpec("tiny", (install(tmp_path / "w", "delta"),), disk_bytes=0, imports=("delta",))
    with pytest.raises(SetupFailed, match=r"libcuda\.so\.1: no such file"):
        await ensure(spec, home, lambda _: None)
    assert find(spec, home) is None


async def test_no_room_is_seen_before_anything_is_made(tmp_path: Path, home: Home) -> None:
    spec = EnvSpec("tiny", (install(tmp_path, "alpha"),), disk_bytes=5 * 2**30)
    with pytest.raises(NoRoom, match=r"tiny нужно ещё 5\.0 ГиБ на диске, свободно 1\.0 ГиБ"):
        await ensure(spec, home, lambda _: None, free_disk=lambda _: 2**30)
    assert not spec.root(home).exists()


@pytest.mark.slow  # makes a real environment
async def test_an_interrupted_installation_goes_on_and_a_second_caller_waits(
    tmp_path: Path, home: Home
) -> None:
    first, second, started, go_on, spec = slow_package(tmp_path)
    lines: list[str] = []
    interrupted = asyncio.create_task(ensure(spec, home, lines.append))
    await until_exists(started)
    interrupted.cancel()
    with pytest.raises(asyncio.CancelledError):
        await interrupted
    assert find(spec, home) is None

    # As if pip had been killed between METADATA and RECORD: it must not be taken for whole.
    site = next(spec.root(home).glob("lib/*/site-packages"))
    (site / f"{first}-1.0.dist-info" / "RECORD").rename(tmp_path / "RECORD")
    (site / f"{second}-1.0.dist-info").mkdir()
    (site / f"{second}-1.0.dist-info" / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {second}\nVersion: 1.0\n"
    )
    started.unlink()
    lines.clear()
    waiting: list[str] = []
    installing = asyncio.create_task(ensure(spec, home, lines.append))
    await until_exists(started)
    other = asyncio.create_task(ensure(spec, home, waiting.append))
    while not waiting:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    go_on.touch()

    env = await installing
    assert await other == env
    assert "ждём" in waiting[0]
    assert len(waiting) == 1, "the one that waited installed nothing"
    assert "продолжаем прерванную установку, готово шагов: 1" in lines[0]
    assert not any("шаг 1" in line for line in lines), "finished steps are not repeated"
    assert (site / f"{second}.py").exists()


def slow_package(folder: Path) -> tuple[str, str, Path, Path, EnvSpec]:
    """A spec whose second step builds until the file `go_on` exists."""
    started, go_on = folder / "started", folder / "go-on"
    wheel(folder / "w", "quick")
    built = wheel(folder / "built", "slow")
    source = folder / "slow-source"
    source.mkdir()
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "hook"\nbackend-path = ["."]\n'
        '[project]\nname = "slow"\nversion = "1.0"\n'
    )
    hook = SLOW_SDIST_HOOK.format(started=str(started), go_on=str(go_on), wheel=str(built))
    (source / "hook.py").write_text(hook)
    steps = (install(folder / "w", "quick"), install(folder / "w", str(source)))
    return "quick", "slow", started, go_on, EnvSpec("tiny", steps, disk_bytes=0, imports=("slow",))


async def until_exists(path: Path) -> None:
    async with asyncio.timeout(60):
        while not path.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.slow  # makes a real environment
async def test_an_environment_whose_python_is_gone_is_made_again(
    tmp_path: Path, home: Home
) -> None:
    wheel(tmp_path / "w", "alpha")
    spec = EnvSpec("tiny", (install(tmp_path / "w", "alpha"),), disk_bytes=0)
    env = await ensure(spec, home, lambda _: None)
    env.python.unlink()
    assert find(spec, home) is None
    os.symlink("/no/such/python", env.python)  # noqa: PTH211
    assert find(spec, home) is None
    assert "alpha" in (await ensure(spec, home, lambda _: None)).versions


def test_the_key_depends_on_the_steps_and_nothing_else() -> None:
    steps = (PipStep("install", ("a",)),)
    spec = EnvSpec("x", steps, disk_bytes=1)
    assert spec.key == EnvSpec("x", steps, disk_bytes=2, imports=("a",)).key
    assert spec.key != EnvSpec("x", (PipStep("install", ("b",)),), disk_bytes=1).key
    assert spec.key != EnvSpec("x", (PipStep("uninstall", ("a",)),), disk_bytes=1).key
