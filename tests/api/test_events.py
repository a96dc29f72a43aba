"""The event stream: replay and live are one sequence, for watchers fast and slow."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.service import events as module
from api.service.events import Events
from tests.advisor.simulated import task
from tools.home import Home
from tools.store import Store

SESSION = "s"


@pytest.fixture
async def stream(home: Home, tiny_model: Path) -> AsyncIterator[tuple[Store, Events]]:
    with Store.open(home.store, "test") as store:
        store.create_session(SESSION, task(tiny_model), {})
        events = Events(store)
        events.begin(SESSION)
        yield store, events
        await events.close()


def publish(store: Store, events: Events, count: int) -> None:
    for n in range(count):
        events.publish(store.append(SESSION, "progress", {"n": n}))


async def collect(events: Events, after: int = 0) -> list[int]:
    return [e.event.seq async for batch in events.follow(SESSION, after) for e in batch]


async def test_what_was_before_and_what_comes_is_one_sequence(
    stream: tuple[Store, Events],
) -> None:
    store, events = stream
    publish(store, events, 700)  # more than one page of the store
    early = asyncio.create_task(collect(events))
    later = asyncio.create_task(collect(events, after=650))
    await asyncio.sleep(0.05)
    publish(store, events, 30)
    await asyncio.sleep(0.05)
    publish(store, events, 5)
    events.end(SESSION)
    assert await early == list(range(1, 736))
    assert await later == list(range(651, 736))


async def test_a_watcher_that_sleeps_through_the_ring_is_given_the_rest_from_the_store(
    stream: tuple[Store, Events], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RING", 16)
    store, events = stream
    publish(store, events, 3)
    watcher = events.follow(SESSION)
    seen = [e.event.seq for e in await anext(watcher)]
    publish(store, events, 100)  # the ring keeps 16 of them
    publish_later = asyncio.get_running_loop().call_later(0.05, events.end, SESSION)
    seen += [e.event.seq async for batch in watcher for e in batch]
    publish_later.cancel()
    assert seen == list(range(1, 104))


async def test_events_that_come_while_the_store_is_read_are_neither_lost_nor_doubled(
    stream: tuple[Store, Events], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, events = stream
    publish(store, events, 10)
    inner = events._stored

    async def slow(session: str, after: int) -> object:
        publish(store, events, 1)
        found = await inner(session, after)
        publish(store, events, 1)
        return found

    monkeypatch.setattr(events, "_stored", slow)
    watching = asyncio.create_task(collect(events))
    await asyncio.sleep(0.1)
    events.end(SESSION)
    seen = await watching
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) >= 12


async def test_many_watchers_share_the_events_and_leave_nothing_behind(
    stream: tuple[Store, Events],
) -> None:
    store, events = stream
    watching = [asyncio.create_task(collect(events, after)) for after in range(50)]
    await asyncio.sleep(0.05)
    assert events.watchers == 50
    for _ in range(20):
        publish(store, events, 5)
        await asyncio.sleep(0.005)
    events.end(SESSION)
    for after, seen in enumerate(await asyncio.gather(*watching)):
        assert seen == list(range(after + 1, 101))
    assert events.watchers == 0
    assert events._channels == {}


async def test_silence_is_broken_by_a_sign_of_life(
    stream: tuple[Store, Events], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, events = stream
    publish(store, events, 1)
    watcher = events.follow(SESSION)
    assert len(await anext(watcher)) == 1
    asyncio.get_running_loop().call_later(0.05, events._wake, SESSION)
    assert await anext(watcher) == []
    assert module.sse_bytes([]) == b": ping\n\n"
    await watcher.aclose()


async def test_a_stop_of_the_service_lets_watchers_go(stream: tuple[Store, Events]) -> None:
    store, events = stream
    publish(store, events, 2)
    watching = asyncio.create_task(collect(events))
    await asyncio.sleep(0.05)
    await events.close()
    assert await asyncio.wait_for(watching, 5) == [1, 2]
