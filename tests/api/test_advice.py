"""An LLM advises sessions of the service: asked by the service, which alone holds the key."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from multiprocessing import Pipe
from typing import Any

import pytest

from advisor.policy.advice import ASKED, Adviser, AskFailed
from api.advice import adviser_over, offered
from api.service.remote_store import RemoteStore, serve
from api.settings import Settings
from tests.api.conftest import serving, wait_state
from tests.api.test_sessions import start
from tests.recorded_llm import RecordedLlm

SECRET = "sk-very-secret"
ANSWER = json.dumps({"proposals": [], "comment": ""})


@pytest.fixture
async def endpoint() -> AsyncIterator[RecordedLlm]:
    async with RecordedLlm().listening() as script:
        script.content = ANSWER
        yield script


@pytest.fixture
def over_a_pipe() -> Iterator[Callable[..., Any]]:
    """The session's side of a pipe whose other end offers the LLM of these settings."""
    threads = []

    async def open_it(alive: Callable[[], bool] = lambda: True, **settings: Any) -> Adviser | None:
        ours, theirs = Pipe()
        given = offered(Settings(**settings), asyncio.get_running_loop(), alive)
        thread = threading.Thread(target=serve, args=(ours, given), daemon=True)
        thread.start()
        threads.append((thread, ours, theirs))
        return await asyncio.to_thread(adviser_over, RemoteStore(theirs))

    yield open_it
    for thread, ours, theirs in threads:
        theirs.close()
        thread.join(5)
        assert not thread.is_alive()
        ours.close()


async def test_the_answer_comes_over_the_pipe_and_the_budget_with_it(
    endpoint: RecordedLlm, over_a_pipe: Callable[..., Any]
) -> None:
    adviser = await over_a_pipe(
        llm_url=f"http://127.0.0.1:{endpoint.port}/v1", llm_api_key=SECRET, llm_session_tokens=777
    )
    assert adviser.budget.tokens == 777
    answer = await adviser.ask("что попробовать", {"type": "object"})
    assert (answer.text, answer.cut, answer.used) == (ANSWER, False, (900, 100))
    assert endpoint.requests[0]["messages"][1]["content"] == "что попробовать"


async def test_what_goes_wrong_has_its_name(over_a_pipe: Callable[..., Any]) -> None:
    adviser = await over_a_pipe(llm_url="http://127.0.0.1:9/v1")
    with pytest.raises(AskFailed, match="APIConnectionError"):
        await adviser.ask("что попробовать", {})
    assert await over_a_pipe() is None


async def test_nobody_is_asked_for_a_session_that_is_gone(
    endpoint: RecordedLlm, over_a_pipe: Callable[..., Any]
) -> None:
    endpoint.silent = True
    adviser = await over_a_pipe(lambda: False, llm_url=f"http://127.0.0.1:{endpoint.port}/v1")
    with pytest.raises(AskFailed, match="Cancelled"):
        await adviser.ask("что попробовать", {})


def test_a_session_of_the_service_is_advised(
    settings_of: Callable[..., Settings], models: Any
) -> None:
    script, ready, done = RecordedLlm(), threading.Event(), asyncio.Event()
    script.content = ANSWER
    loop = asyncio.new_event_loop()

    async def endpoint() -> None:
        async with script.listening():
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(endpoint(),))
    thread.start()
    try:
        assert ready.wait(10)
        url = f"http://127.0.0.1:{script.port}/v1"
        with serving(settings_of(llm_url=url, llm_api_key=SECRET), models) as live:
            with live.client() as client:
                session = start(live, client)["id"]
                wait_state(client, session, "done")
                kinds = [
                    json.loads(line.removeprefix("data: "))["kind"]
                    for line in client.get(f"/v1/sessions/{session}/events").text.splitlines()
                    if line.startswith('data: {"seq"')
                ]
            assert ASKED in kinds
            log = live.settings.folders().session_dir(session) / "worker.log"
            assert SECRET not in log.read_text()
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
        loop.close()
    assert script.requests
