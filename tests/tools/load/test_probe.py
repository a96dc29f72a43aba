import pytest

from knowledge.errors import BadInput, EngineFailed
from knowledge.types import Cause
from tests.tools.load.server import ExactServer
from tools.load.probe import models, server_kind, wait_ready


async def test_the_models_of_a_server_are_listed() -> None:
    async with ExactServer() as server:
        assert await models(server.url) == ["exact"]
        assert await models(server.url + "/v1") == ["exact"]


async def test_a_url_with_no_openai_server_behind_it_is_bad_input() -> None:
    async with ExactServer() as server:
        with pytest.raises(BadInput, match="OpenAI"):
            await models(server.url + "/elsewhere")
    with pytest.raises(BadInput, match="не отвечает"):
        await models(server.url, "sk-secret")


async def test_the_kind_of_server_is_told_by_its_models() -> None:
    async with ExactServer() as server:
        assert await server_kind(server.url) == "vllm"
    assert await server_kind(server.url) == "unknown"


async def test_waiting_ends_when_the_server_answers() -> None:
    async with ExactServer() as server:
        assert await wait_ready(server.url, lambda: True, 5) < 5


@pytest.mark.parametrize(("alive", "cause"), [(True, Cause.TIMEOUT), (False, Cause.CRASH)])
async def test_waiting_ends_with_the_process_or_the_deadline(alive: bool, cause: Cause) -> None:
    async with ExactServer() as server:
        url = server.url
    with pytest.raises(EngineFailed) as caught:
        await wait_ready(url, lambda: alive, 0.1)
    assert caught.value.cause is cause
