"""The parts behind the edges: token buckets, the queue on disk, keys, a process that dies."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from api.schemas import SessionRequest
from api.service import Service
from api.service.database import Database
from api.service.jobs import Job, Jobs
from api.service.keys import Keys
from api.service.limits import Limiter
from api.settings import Settings
from knowledge.errors import BadInput
from tests.api.conftest import PATIENCE_S, RUN, quick
from tools.process import leftovers


def test_a_bucket_gives_what_it_holds_and_fills_again() -> None:
    now = 0.0
    limiter = Limiter(per_minute=60, burst=3, clock=lambda: now)
    assert [limiter.wait_s("a") for _ in range(4)] == [0, 0, 0, 1]
    assert limiter.wait_s("b") == 0
    now = 2.0
    assert [limiter.wait_s("a") for _ in range(3)] == [0, 0, 1]


def test_names_that_are_long_unused_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.service.limits._MOST_BUCKETS", 10)
    limiter = Limiter(per_minute=1, burst=1, clock=lambda: 0.0)
    for number in range(100):
        limiter.wait_s(str(number))
    assert len(limiter._buckets) == 10


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "service.sqlite")


def job(session: str) -> Job:
    return Job(session, "queued", "api", "key", "2026-01-01T00:00:00+00:00")


def test_the_queue_survives_and_keeps_its_order(database: Database, tmp_path: Path) -> None:
    jobs = Jobs(database)
    for name in ("a", "b", "c", "d"):
        jobs.add(job(name))
    taken = jobs.take()
    assert taken
    assert (taken.session, taken.state) == ("a", "running")
    assert jobs.move("c", ("queued",), "cancelling")
    assert not jobs.move("c", ("queued",), "cancelling")
    jobs.end("b")
    database.close()
    reopened = Jobs(Database(tmp_path / "service.sqlite"))
    assert [one.session for one in reopened.recover()] == ["c"]
    assert [one.session for one in reopened.waiting()] == ["a", "d"]
    reopened.add(job("a"))  # a resume goes to the end
    assert [one.session for one in reopened.waiting()] == ["d", "a"]


def test_a_key_works_until_it_is_revoked(database: Database, tmp_path: Path) -> None:
    keys = Keys(database)
    text = keys.create("bot", ("run",))
    principal = keys.check(text)
    assert principal
    assert principal.scopes == {"read", "run"}
    assert keys.check(text[:-1] + ("A" if text[-1] != "A" else "B")) is None
    assert keys.check("adv_" + "0" * 8 + "_x") is None
    token = keys.log_in(text)
    assert token
    assert keys.check_login(token) == principal
    Keys(Database(tmp_path / "service.sqlite")).revoke(principal.key_id)  # another process
    assert keys.check(text) is None
    assert keys.check_login(token) is None


@pytest.mark.parametrize(("name", "scope"), [("", "run"), ("x", "root"), ("a\nb", "read")])
def test_a_wrong_key_is_not_made(database: Database, name: str, scope: str) -> None:
    with pytest.raises(BadInput):
        Keys(database).create(name, (scope,))


@pytest.fixture
async def service(settings_of: Callable[..., Settings]) -> AsyncIterator[Service]:
    async with Service.open(settings_of(drain_s=0)) as opened:
        yield opened


async def test_a_sessions_process_that_dies_is_started_again_and_then_given_up(
    service: Service, models: Path
) -> None:
    request = SessionRequest(**quick(models / "tiny"))
    view, _ = await service.submit(request, RUN, "api")
    pids: set[int] = set()
    async with asyncio.timeout(PATIENCE_S):
        while (await service.session(view.id)).state in ("queued", "running"):
            running = service.lanes.find(view.id)
            if running and running.process.pid not in pids:
                pids.add(running.process.pid)
                os.kill(running.process.pid, signal.SIGKILL)
            await asyncio.sleep(0.05)
    ended = await service.session(view.id)
    assert ended.state == "failed"
    assert ended.error
    assert "умер" in ended.error
    assert len(pids) == 3
    assert leftovers() == []
    assert service.lanes.running == {0: None}


async def test_two_equal_sessions_in_one_second_are_two(service: Service, models: Path) -> None:
    request = SessionRequest(**quick(models / "tiny"))
    views = [(await service.submit(request, RUN, "api"))[0] for _ in range(3)]
    assert len({view.id for view in views}) == 3
    for view in reversed(views):
        await service.cancel(view.id, 0)


async def test_the_same_idempotency_key_at_the_same_time_is_one_session(
    service: Service, models: Path
) -> None:
    request = SessionRequest(**quick(models / "tiny"))
    answers = await asyncio.gather(
        *(service.submit(request, RUN, "api", idempotency_key="k") for _ in range(5))
    )
    assert len({view.id for view, _ in answers}) == 1
    assert sum(new for _, new in answers) == 1
    await service.cancel(answers[0][0].id, 0)
