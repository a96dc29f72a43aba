"""The queue with leases and the store over PostgreSQL, without a service."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.service.jobs import Job
from api.service.keys import Keys
from knowledge.errors import BadInput, StoreError
from knowledge.types import AnswerPair, HumanEvaluation, HumanVote
from tests.tools.store import examples as ex
from tools.store import Status

pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from api.service.replicas.leases import LeasedJobs, LeaseLost
from api.service.replicas.tables import PostgresTables
from tools.store.postgres import PostgresStore
from tools.store.sample_files import InFolder


@pytest.fixture
def tables(url: str) -> Iterator[PostgresTables]:
    opened = PostgresTables.open(url)
    yield opened
    opened.close()


@pytest.fixture
def store(tables: PostgresTables, tmp_path: Path) -> PostgresStore:
    return PostgresStore.over(tables.server, InFolder(tmp_path))


def jobs_of(tables: PostgresTables, machine: str = "m") -> LeasedJobs:
    made = LeasedJobs(tables, lambda _session: "m")
    made.machine = machine
    return made


def job(session: str) -> Job:
    return Job(session, "queued", "api", "key", "2026-01-01T00:00:00+00:00")


def expire(tables: PostgresTables, session: str) -> None:
    tables.write(
        "UPDATE jobs SET expires_at = clock_timestamp() - interval '1 second' WHERE session = ?",
        session,
    )


def test_two_that_take_at_once_never_take_the_same(tables: PostgresTables) -> None:
    one, two = jobs_of(tables), jobs_of(tables)
    names = [f"s{n:02d}" for n in range(40)]
    for name in names:
        one.add(job(name))

    def all_of(jobs: LeasedJobs) -> list[str]:
        return [found.session for found in iter(jobs.take, None)]

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(all_of, (one, two))
    assert sorted(first + second) == names
    assert first == sorted(first)
    assert second == sorted(second)


def test_an_orphan_goes_back_to_its_place_and_its_holder_is_refused(
    tables: PostgresTables, store: PostgresStore
) -> None:
    dead, heir = jobs_of(tables), jobs_of(tables)
    store.create_session("s-one", ex.TASK, {})
    for name in ("s-one", "s-two"):
        dead.add(job(name))
    assert dead.take()
    ours = store.guarded(dead.guard("s-one"))
    assert ours.put_trial("s-one", ex.trial("s-one", 1), ex.samples(5))
    assert heir.reap() == []
    expire(tables, "s-one")
    (orphan,) = heir.reap()
    assert (orphan.session, orphan.holder, orphan.state) == ("s-one", dead.holder, "running")
    assert [one.session for one in heir.waiting()] == ["s-one", "s-two"]
    taken = heir.take()
    assert taken
    assert taken.session == "s-one"
    assert dead.renew(["s-one"]) == set()
    assert not dead.holds("s-one")
    assert heir.holds("s-one")
    with pytest.raises(LeaseLost):
        ours.put_trial("s-one", ex.trial("s-one", 2), ex.samples(5))
    with pytest.raises(LeaseLost):
        ours.append("s-one", "progress", {})
    dead.end("s-one")
    dead.died("s-one")
    assert heir.active() == {"s-one": "running", "s-two": "queued"}
    assert [trial.spec.ordinal for trial in store.trials("s-one")] == [1]


def test_the_same_replica_is_refused_under_an_old_lease(tables: PostgresTables) -> None:
    jobs = jobs_of(tables)
    jobs.add(job("s"))
    jobs.take()
    old = jobs.guard("s")
    expire(tables, "s")
    jobs.reap()
    assert jobs.take()
    with pytest.raises(LeaseLost):
        old()
    jobs.guard("s")()


def test_a_cancellation_reaches_the_holder_and_outlives_who_asked(tables: PostgresTables) -> None:
    holder, asker = jobs_of(tables), jobs_of(tables)
    for name in ("runs", "waits"):
        holder.add(job(name))
    holder.take()
    assert asker.move("runs", ("running",), "cancelling", 3.0)
    assert holder.to_cancel() == [("runs", 3.0)]
    assert asker.move("waits", ("queued",), "cancelling")
    assert holder.reap() == []
    expire(tables, "waits")
    assert [(one.session, one.state) for one in holder.reap()] == [("waits", "cancelling")]
    holder.end("waits")
    assert set(asker.active()) == {"runs"}


def test_a_session_runs_on_machines_of_its_kind_alone(tables: PostgresTables) -> None:
    one, unlike = jobs_of(tables), jobs_of(tables, machine=ex.TASK.hardware.machine)
    one.add(job("s"))
    assert unlike.take() is None
    assert one.take()
    one.release("s")
    assert [waiting.deaths for waiting in one.waiting()] == [0]


def test_the_store_gives_back_what_it_was_given(store: PostgresStore) -> None:
    store.create_session("s-one", ex.TASK, {"simulated": True})
    trial, samples = ex.trial("s-one", 1), ex.samples(5)
    store.put_profile("s-one", ex.PROFILE)
    store.put_hypothesis("s-one", 1, ex.hypothesis())
    assert store.put_trial("s-one", trial, samples)
    assert not store.put_trial("s-one", trial, samples)
    store.put_verdict("s-one", ex.verdict(trial))
    store.put_production("s-one", ex.production(trial))
    with ThreadPoolExecutor(8) as pool:
        numbers = sorted(
            event.seq for event in pool.map(store.append, ["s-one"] * 40, ["x"] * 40, [{}] * 40)
        )
    store.set_status("s-one", Status.DONE)
    record = store.record("s-one")
    assert numbers == list(range(1, 41)) == [event.seq for event in record.events]
    assert (record.task, record.profile, record.trials) == (ex.TASK, ex.PROFILE, (trial,))
    assert record.hypotheses == ((1, ex.hypothesis()),)
    assert (record.verdicts, record.production) == ((ex.verdict(trial),), ex.production(trial))
    assert record.row.status == "done"
    assert store.samples(trial.trial_id) == samples
    assert store.samples("nothing") == ()
    with pytest.raises(BadInput):
        store.create_session("s-one", ex.TASK, {})
    with pytest.raises(BadInput):
        store.record("s-two")


def test_a_newer_versions_tables_are_left_alone(tables: PostgresTables, tmp_path: Path) -> None:
    tables.write("INSERT INTO schema_version VALUES (99, now()::timestamp, '9.9')")
    with pytest.raises(StoreError, match="более новой версией"):
        PostgresStore.over(tables.server, InFolder(tmp_path))


def test_a_revoked_key_is_refused_by_all(tables: PostgresTables, url: str) -> None:
    elsewhere = PostgresTables.open(url)
    keys, others = Keys(tables), Keys(elsewhere)
    text = keys.create("bot", ("run",))
    principal = others.check(text)
    assert principal
    keys.revoke(principal.key_id)
    assert others.check(text) is None
    elsewhere.close()


def test_evaluations_with_the_votes_in_force(store: PostgresStore) -> None:
    pairs = tuple(
        AnswerPair(pair=f"p{n}", prompt="100 % of what?", baseline="a", candidate="b")
        for n in range(2)
    )
    made = HumanEvaluation(
        evaluation="e", baseline_trial_id="t0", candidate_trial_id="t1", decoding="greedy",
        pairs=pairs,
    )  # fmt: skip
    store.put_evaluation("s-one", made)
    side = store.left_side("e", "p0", "me")
    at = datetime(2026, 11, 25, tzinfo=UTC)
    votes = [
        HumanVote(pair="p0", rater="me", choice=choice, left=side, at=at)
        for choice in ("baseline", "candidate")
    ]
    for vote in votes:
        store.put_vote("e", vote)
    assert store.evaluation("s-one") == made.model_copy(update={"votes": (votes[1],)})
    assert store.evaluated() == (("s-one", 2, 1),)
    assert store.left_side("e", "p0", "me") == side
