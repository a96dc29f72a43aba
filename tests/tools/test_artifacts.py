import asyncio
from pathlib import Path

import pytest

from knowledge.errors import ArtifactFailed, BadInput, NoRoom
from knowledge.types import Artifact, Hardware, ModelSpec
from tests.tools.quantizers.conftest import hardware, home, model
from tools import artifacts
from tools.envs import Environment, EnvSpec
from tools.home import Home
from tools.quantizers import ArtifactReport
from tools.quantizers.base import Progress

__all__ = ["hardware", "home", "model"]

RECIPE = Artifact(quantizer="fake", scheme="w8a8")


class FakeQuantizer:
    """Writes one file, slowly; fails or is cut off when told to."""

    name = "fake"
    schemes = ("w8a8",)

    def __init__(self) -> None:
        self.made = 0
        self.needs_bytes = 0
        self.fails = False
        self.go_on: asyncio.Event | None = None
        self.begun = asyncio.Event()

    def env_spec(self, hardware: Hardware) -> EnvSpec:
        return EnvSpec("fake", (), 0)

    def memory_needed_bytes(self, artifact: Artifact, model: ModelSpec) -> int:
        return self.needs_bytes

    def validate(self, artifact: Artifact, model: ModelSpec) -> None:
        if artifact.scheme not in self.schemes:
            raise BadInput("нет такой схемы")

    async def make(
        self,
        artifact: Artifact,
        model: ModelSpec,
        env: Environment,
        out_dir: Path,
        home: Home,
        progress: Progress,
    ) -> ArtifactReport:
        self.made += 1
        self.begun.set()
        (out_dir / "model.safetensors").write_bytes(b"0" * 100)
        if self.go_on:
            await self.go_on.wait()
        if self.fails:
            raise ArtifactFailed("не вышло", log_tail=("boom",))
        return ArtifactReport(bytes_before=400, bytes_after=100, seconds=0.1)


@pytest.fixture
def quantizer(monkeypatch: pytest.MonkeyPatch) -> FakeQuantizer:
    fake = FakeQuantizer()

    async def ready(spec: EnvSpec, home: Home, progress: Progress) -> Environment:
        return Environment(home.envs, home.envs / "python", {"fakelib": "1.0"})

    monkeypatch.setattr(artifacts, "load", lambda name: fake)
    monkeypatch.setattr("tools.envs.ensure", ready)
    return fake


def quiet(line: str) -> None:
    pass


async def test_made_once_and_then_found(
    quantizer: FakeQuantizer, model: ModelSpec, hardware: Hardware, home: Home
) -> None:
    path = await artifacts.ensure(RECIPE, model, hardware, home, quiet)
    assert (path / "model.safetensors").is_file()
    assert await artifacts.ensure(RECIPE, model, hardware, home, quiet) == path
    assert quantizer.made == 1
    manifest = artifacts.find(RECIPE, model, home)
    assert manifest is not None
    assert manifest.report.bytes_after == 100
    assert manifest.versions == {"fakelib": "1.0"}
    assert manifest.model_fingerprint == model.fingerprint


async def test_another_model_or_recipe_is_another_artifact(
    quantizer: FakeQuantizer, model: ModelSpec, hardware: Hardware, home: Home
) -> None:
    variants = [
        (RECIPE, model),
        (RECIPE, model.replace(fingerprint="f2")),
        (RECIPE.replace(options={"samples": 8}), model),
    ]
    paths = {await artifacts.ensure(r, m, hardware, home, quiet) for r, m in variants}
    assert len(paths) == quantizer.made == 3


async def test_two_callers_make_it_once_and_the_second_is_told(
    quantizer: FakeQuantizer, model: ModelSpec, hardware: Hardware, home: Home
) -> None:
    quantizer.go_on = asyncio.Event()
    told: list[str] = []

    def second_waits(line: str) -> None:
        told.append(line)
        assert quantizer.go_on
        quantizer.go_on.set()

    both = await asyncio.gather(
        artifacts.ensure(RECIPE, model, hardware, home, quiet),
        artifacts.ensure(RECIPE, model, hardware, home, second_waits),
    )
    assert both[0] == both[1]
    assert quantizer.made == 1
    assert "другой процесс" in told[0]


async def test_a_failure_leaves_nothing_that_looks_ready(
    quantizer: FakeQuantizer, model: ModelSpec, hardware: Hardware, home: Home
) -> None:
    quantizer.fails = True
    with pytest.raises(ArtifactFailed):
        await artifacts.ensure(RECIPE, model, hardware, home, quiet)
    assert artifacts.find(RECIPE, model, home) is None
    assert not list(home.artifacts.rglob("*.safetensors"))
    quantizer.fails = False
    assert (await artifacts.ensure(RECIPE, model, hardware, home, quiet)).is_dir()


async def test_a_cancelled_making_leaves_nothing_either(
    quantizer: FakeQuantizer, model: ModelSpec, hardware: Hardware, home: Home
) -> None:
    quantizer.go_on = asyncio.Event()
    making = asyncio.create_task(artifacts.ensure(RECIPE, model, hardware, home, quiet))
    await quantizer.begun.wait()
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert artifacts.find(RECIPE, model, home) is None


@pytest.mark.parametrize("damage", ["lost", "truncated", "manifest"])
async def test_a_damaged_artifact_is_made_again(
    damage: str, quantizer: FakeQuantizer, model: ModelSpec, hardware: Hardware, home: Home
) -> None:
    path = await artifacts.ensure(RECIPE, model, hardware, home, quiet)
    if damage == "lost":
        (path / "model.safetensors").unlink()
    elif damage == "truncated":
        (path / "model.safetensors").write_bytes(b"0")
    else:
        (path / "manifest.json").write_text("{")
    await artifacts.ensure(RECIPE, model, hardware, home, quiet)
    assert quantizer.made == 2
    assert artifacts.find(RECIPE, model, home) is not None


async def test_a_short_disk_is_said_before_anything_is_made(
    quantizer: FakeQuantizer, model: ModelSpec, hardware: Hardware, home: Home
) -> None:
    huge = model.replace(weights_bytes=10**18)
    with pytest.raises(NoRoom, match="свободно"):
        await artifacts.ensure(RECIPE, huge, hardware, home, quiet)
    assert quantizer.made == 0


async def test_a_wrong_recipe_is_refused_first(
    quantizer: FakeQuantizer, model: ModelSpec, hardware: Hardware, home: Home
) -> None:
    with pytest.raises(BadInput):
        await artifacts.ensure(RECIPE.replace(scheme="w1"), model, hardware, home, quiet)
    assert not home.artifacts.exists()


async def test_too_little_memory_is_said_before_anything_is_made(
    quantizer: FakeQuantizer, model: ModelSpec, hardware: Hardware, home: Home
) -> None:
    quantizer.needs_bytes = 2**60
    with pytest.raises(NoRoom, match="памяти"):
        await artifacts.ensure(RECIPE, model, hardware, home, lambda _: None)
    assert not quantizer.made


def test_a_folder_among_the_options_counts_by_what_is_in_it(
    model: ModelSpec, home: Home, tmp_path: Path
) -> None:
    student = tmp_path / "student"
    student.mkdir()
    (student / "config.json").write_text("{}")
    recipe = RECIPE.replace(options={"student": str(student)})
    before = artifacts.folder(recipe, model, home)
    assert artifacts.folder(recipe, model, home) == before
    (student / "config.json").write_text('{"other": 1}')
    assert artifacts.folder(recipe, model, home) != before
