"""On a fresh machine the model's converter and the engine are installed side by side."""

import asyncio

import pytest

from api import tasks
from api.tasks import Request, task_while_installing
from knowledge.errors import BadInput, SetupFailed
from tools.home import Home

_ASKED = {"model": "demo", "workload": "demo", "objective": "throughput", "engine": "vllm"}


@pytest.fixture
def home(tmp_path) -> Home:
    return Home.default({"ADVISOR_HOME": str(tmp_path)})


class Installer:
    """Stands in for pip: waits until it may go on, and tells what became of it."""

    def __init__(self, monkeypatch, fails=False):
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.cancelled = False
        self.fails = fails
        monkeypatch.setattr(tasks.envs, "ensure", self.ensure)

    async def ensure(self, spec, home, progress):
        self.begun.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.fails:
            raise SetupFailed("нет места", "Освободите место")


def resolving(monkeypatch, model):
    async def resolve(name, home, progress, *, dummy_weights=False):
        return await model()

    monkeypatch.setattr(tasks, "resolve", resolve)


async def test_the_model_is_made_while_the_engine_is_installed(monkeypatch, home):
    installer = Installer(monkeypatch)

    async def model():
        await installer.begun.wait()  # for ever, were they made one after the other
        raise BadInput("готово", "")

    resolving(monkeypatch, model)
    with pytest.raises(BadInput, match="готово"):
        await asyncio.wait_for(task_while_installing(Request(**_ASKED), home, print), 30)
    assert installer.cancelled


async def test_a_mistake_installs_nothing(monkeypatch, home):
    installer = Installer(monkeypatch)
    with pytest.raises(BadInput):
        await task_while_installing(Request(**_ASKED | {"objective": "moon"}), home, print)
    assert not installer.begun.is_set()


async def test_an_engine_that_can_not_be_installed_is_said(monkeypatch, home):
    installer = Installer(monkeypatch, fails=True)
    installer.may_end.set()
    stopped = []

    async def model():
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(True)

    resolving(monkeypatch, model)
    with pytest.raises(SetupFailed, match="нет места"):
        await task_while_installing(Request(**_ASKED), home, print)
    assert stopped


async def test_a_model_that_needs_no_converter_installs_nothing_beside(monkeypatch, home):
    installer = Installer(monkeypatch)

    async def model():
        raise BadInput("такой модели нет", "")

    resolving(monkeypatch, model)
    with pytest.raises(BadInput, match="такой модели нет"):
        await task_while_installing(Request(**_ASKED | {"model": "./there"}), home, print)
    assert not installer.begun.is_set()
