"""Object storage: artifacts made once for all machines, samples seen by all replicas."""

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest

from api.service.replicas.backend import files_of
from knowledge.errors import BadInput, StoreError
from knowledge.types import Hardware, ModelSpec
from tests.tools.store import examples
from tests.tools.test_artifacts import (
    RECIPE,
    FakeQuantizer,
    hardware,
    home,
    model,
    quantizer,
    quiet,
)
from tools import artifacts
from tools.home import Home
from tools.objects import Objects
from tools.store.sample_files import InFolder, InObjects, SampleFiles

__all__ = ["hardware", "home", "model", "quantizer"]

BUCKET = Objects("memory://bucket/advisor")


@pytest.fixture(autouse=True)
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()


@pytest.fixture
def machines(tmp_path: Path) -> tuple[Home, Home]:
    """Two that share nothing but a bucket."""
    first, second = (
        Home(data=tmp_path / n / "data", cache=tmp_path / n / "cache", objects=BUCKET) for n in "ab"
    )
    return first, second


def test_files_go_there_and_come_back(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"123")
    BUCKET.check()
    assert not BUCKET.get("x/y", target)
    assert not target.exists()
    BUCKET.put(source, "x/y")
    assert BUCKET.get("x/y", target)
    assert target.read_bytes() == b"123"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("/mnt/volume", "не адрес"),
        ("file:///mnt/volume", "не адрес"),
        ("s3://", "не адрес"),
        ("s4://bucket", "открыть нечем"),
    ],
)
def test_an_address_that_nothing_speaks_is_one_line(url: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Objects(url).check()


@pytest.fixture
def dead_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    def dead(*_: object, **__: object) -> None:
        raise ConnectionError("no route\nto host")

    for name in ("put_file", "get_file"):
        monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem." + name, dead)


@pytest.mark.usefixtures("dead_storage")
def test_a_dead_storage_is_one_line(tmp_path: Path) -> None:
    for act in (BUCKET.check, lambda: BUCKET.put(tmp_path, "x"), lambda: BUCKET.get("x", tmp_path)):
        with pytest.raises(StoreError, match="no route$|no route[.]") as caught:
            act()
        assert "\n" not in str(caught.value)


def test_the_environment_names_it(tmp_path: Path) -> None:
    found = Home.default({"ADVISOR_HOME": str(tmp_path), "ADVISOR_OBJECTS": BUCKET.url})
    assert found.objects == BUCKET
    assert Home.default({"HOME": str(tmp_path)}).objects is None


async def test_an_artifact_is_made_on_one_machine_and_taken_by_the_other(
    quantizer: FakeQuantizer, model: ModelSpec, hardware: Hardware, machines: tuple[Home, Home]
) -> None:
    said: list[str] = []
    made, taken = [await artifacts.ensure(RECIPE, model, hardware, one, said.append)
                   for one in machines]  # fmt: skip
    assert quantizer.made == 1
    assert (taken / "model.safetensors").read_bytes() == (made / "model.safetensors").read_bytes()
    assert artifacts.find(RECIPE, model, machines[1]) == artifacts.find(RECIPE, model, machines[0])
    assert any("взята из memory://" in line for line in said)


@pytest.mark.parametrize("damage", ["lost", "cut", "manifest", "outside"])
async def test_a_damaged_copy_is_made_anew(
    damage: str,
    quantizer: FakeQuantizer,
    model: ModelSpec,
    hardware: Hardware,
    machines: tuple[Home, Home],
    memory: fsspec.AbstractFileSystem,
) -> None:
    path = await artifacts.ensure(RECIPE, model, hardware, machines[0], quiet)
    there = f"/bucket/advisor/artifacts/{path.name}"
    manifest = json.loads(memory.cat_file(f"{there}/manifest.json"))
    if damage == "lost":
        memory.rm_file(f"{there}/model.safetensors")
    elif damage == "cut":
        memory.pipe_file(f"{there}/model.safetensors", b"0")
    elif damage == "manifest":
        memory.pipe_file(f"{there}/manifest.json", b"{")
    else:
        manifest["files"] = {"../../escaped": 3}
        memory.pipe_file(f"{there}/manifest.json", json.dumps(manifest).encode())
        memory.pipe_file("/bucket/advisor/escaped", b"123")
    second = await artifacts.ensure(RECIPE, model, hardware, machines[1], quiet)
    assert quantizer.made == 2
    assert [one.name for one in machines[1].artifacts.iterdir() if one.is_dir()] == [
        ".partial",
        second.name,
    ]
    assert not list((machines[1].artifacts / ".partial").iterdir())
    assert (second / "model.safetensors").stat().st_size == 100
    assert not list(machines[1].cache.rglob("escaped"))
    third = replace(machines[1], cache=machines[1].cache.with_name("third"))
    await artifacts.ensure(RECIPE, model, hardware, third, quiet)
    assert quantizer.made == 2  # what was damaged there has been replaced


@pytest.mark.usefixtures("dead_storage")
async def test_without_the_storage_the_artifact_is_made_all_the_same(
    quantizer: FakeQuantizer, model: ModelSpec, hardware: Hardware, machines: tuple[Home, Home]
) -> None:
    said: list[str] = []
    path = await artifacts.ensure(RECIPE, model, hardware, machines[0], said.append)
    assert (path / "model.safetensors").is_file()
    assert [line for line in said if "no route" in line and "сделана здесь" in line]
    assert [line for line in said if "не удалось положить" in line]


@pytest.mark.parametrize("kind", ["folder", "objects"])
def test_samples_are_read_as_they_were_written(kind: str, tmp_path: Path) -> None:
    files: SampleFiles = InFolder(tmp_path) if kind == "folder" else InObjects(BUCKET)
    assert files.read("t00") == ()
    written = tuple(examples.samples(3))
    files.write("t00", written)
    assert files.read("t00") == written


def test_replicas_keep_samples_in_the_bucket_where_there_is_one(
    tmp_path: Path, machines: tuple[Home, Home]
) -> None:
    assert files_of(tmp_path, machines[0]) == InObjects(BUCKET)
    assert files_of(tmp_path, replace(machines[0], objects=None)) == InFolder(tmp_path / "requests")
    with pytest.raises(BadInput, match="не адрес"):
        files_of(tmp_path, replace(machines[0], objects=Objects("bucket")))


async def test_a_fetch_that_is_cancelled_leaves_nothing(
    quantizer: FakeQuantizer,
    model: ModelSpec,
    hardware: Hardware,
    machines: tuple[Home, Home],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await artifacts.ensure(RECIPE, model, hardware, machines[0], quiet)
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    get, fetch = Objects.get, artifacts._fetch

    def slow(self: Objects, name: str, local: Path) -> bool:
        begun.set()
        go_on.wait(20)
        return get(self, name, local)

    def watched(*given: Any) -> bool:
        try:
            return fetch(*given)
        finally:
            ended.set()

    monkeypatch.setattr(Objects, "get", slow)
    monkeypatch.setattr(artifacts, "_fetch", watched)
    task = asyncio.create_task(artifacts.ensure(RECIPE, model, hardware, machines[1], quiet))
    await asyncio.to_thread(begun.wait, 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    assert await asyncio.to_thread(ended.wait, 20)
    assert artifacts.find(RECIPE, model, machines[1]) is None
    assert not list((machines[1].artifacts / ".partial").iterdir())
    assert quantizer.made == 1
