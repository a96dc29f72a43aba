import json
import sys
from pathlib import Path

import pytest

from knowledge.errors import BadInput, SetupFailed
from tools import registered
from tools.envs import EnvSpec, find
from tools.home import Home
from tools.process import clean_env, run_job

HERE = Path(sys.executable)


def package(folder: Path, name: str, code: str = "") -> Path:
    """A package as pip lays it out under a site folder."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-3.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 3.5\n")
    return folder


async def test_an_interpreter_and_a_site_folder_serve_as_an_environment(
    tmp_path: Path, home: Home
) -> None:
    site = package(tmp_path / "it's a site", "fast_engine", "WORD = 'found'")
    made = await registered.register("engine", ("fast_engine",), HERE, [site], home)
    assert made.versions["fast-engine"] == "3.5"
    spec = EnvSpec("engine", (), disk_bytes=0, imports=("fast_engine",))
    assert find(spec, home) == made, "no environment of our own is looked for"
    script = tmp_path / "job.py"
    script.write_text(
        "import json, sys, fast_engine\n"
        "print(json.dumps({'result': {'word': fast_engine.WORD, 'prefix': sys.prefix}}))"
    )
    answer = await run_job(made.python, script, {}, log_path=tmp_path / "log", deadline_s=30)
    assert answer == {"word": "found", "prefix": sys.prefix}


async def test_what_does_not_import_is_not_registered(tmp_path: Path, home: Home) -> None:
    site = package(tmp_path / "site", "broken", "raise ImportError('libcudart.so.13: not found')")
    with pytest.raises(SetupFailed, match=r"libcudart\.so\.13"):
        await registered.register("engine", ("broken",), HERE, [site], home)
    assert registered.find("engine", home) is None
    assert not list(home.envs.glob("engine-*"))


async def test_paths_that_are_not_there_are_named(tmp_path: Path, home: Home) -> None:
    with pytest.raises(BadInput, match="nowhere"):
        await registered.register("engine", (), tmp_path / "nowhere", [], home)
    with pytest.raises(BadInput, match="no-site"):
        await registered.register("engine", (), HERE, [tmp_path / "no-site"], home)


async def test_an_interpreter_that_was_removed_is_no_environment(
    tmp_path: Path, home: Home
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{HERE}" "$@"\n')
    python.chmod(0o755)
    await registered.register("engine", ("json",), python, [], home)
    python.unlink()
    assert registered.find("engine", home) is None


async def test_forgetting_leaves_the_packages_alone(tmp_path: Path, home: Home) -> None:
    site = package(tmp_path / "site", "kept")
    await registered.register("engine", ("kept",), HERE, [site], home)
    assert registered.forget("engine", home)
    assert not registered.forget("engine", home)
    assert (site / "kept.py").exists()


def test_settings_of_gpu_links_reach_the_engine() -> None:
    """An operator who switched NVLink multicast off did so for every process."""
    base = {"NCCL_NVLS_ENABLE": "0", "NVSHMEM_DISABLE_NVLS": "1", "SECRET_TOKEN": "x"}
    passed = clean_env(base=base)
    assert passed["NCCL_NVLS_ENABLE"] == "0"
    assert passed["NVSHMEM_DISABLE_NVLS"] == "1"
    assert "SECRET_TOKEN" not in json.dumps(passed)
