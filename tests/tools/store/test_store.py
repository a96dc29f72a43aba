import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from knowledge.errors import BadInput, StoreError
from knowledge.types import Decision, Failure, Metric
from tests.tools.store import examples as ex
from tools.store import Status, Store
from tools.store.schema import migrations


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "advisor.duckdb"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path, "тест") as store:
        yield store


def test_a_session_comes_back_as_it_was_written(store: Store) -> None:
    store.create_session("s-one", ex.TASK, {"simulated": True, "budget": "6m"})
    trial, samples = ex.trial("s-one", 1), ex.samples(5)
    store.put_profile("s-one", ex.PROFILE)
    store.put_hypothesis("s-one", 1, ex.hypothesis())
    assert store.put_trial("s-one", trial, samples)
    store.put_verdict("s-one", ex.verdict(trial))
    store.put_production("s-one", ex.production(trial))
    store.append("s-one", "trial-finished", {"trial": trial.trial_id})
    store.set_status("s-one", Status.DONE)

    record = store.record("s-one")

    assert record.task == ex.TASK
    assert record.options == {"simulated": True, "budget": "6m"}
    assert record.profile == ex.PROFILE
    assert record.hypotheses == ((1, ex.hypothesis()),)
    assert record.trials == (trial,)
    assert record.verdicts == (ex.verdict(trial),)
    assert record.production == ex.production(trial)
    assert [event.payload for event in record.events] == [{"trial": trial.trial_id}]
    assert record.row.status == "done"
    assert record.row.model == ex.TASK.model.name
    assert store.samples(trial.trial_id) == samples
    assert store.trial(trial.trial_id) == trial
    assert store.trial("t99-nothing") is None


def test_everything_is_there_after_reopening(path: Path) -> None:
    with Store.open(path, "первый") as store:
        store.create_session("s-one", ex.TASK, {})
        store.put_trial("s-one", ex.trial("s-one", 1), ex.samples(3))
        before = store.record("s-one")
    with Store.open(path, "второй") as store:
        assert store.record("s-one") == before
        assert store.samples(before.trials[0].trial_id) == ex.samples(3)


def test_a_trial_is_written_once(store: Store) -> None:
    trial = ex.trial("s-one", 1)
    changed = trial.replace(failure=Failure(cause="crash", message="иначе"), measurement=None)

    assert store.put_trial("s-one", trial, ex.samples(2)) is True
    assert store.put_trial("s-one", changed, ex.samples(7)) is False

    assert store.trials("s-one") == (trial,)
    assert len(store.samples(trial.trial_id)) == 2


def test_a_trial_is_written_whole_or_not_at_all(store: Store) -> None:
    trial = ex.trial("s-one", 1)
    broken = ex.samples(1)[0].replace(index=2**40)  # more than the column holds

    with pytest.raises(StoreError, match="Запись в хранилище"):
        store.put_trial("s-one", trial, (ex.samples(1)[0], broken))

    assert store.trial(trial.trial_id) is None
    assert store.samples(trial.trial_id) == ()
    assert store.put_trial("s-one", trial, ex.samples(2)) is True


def test_a_failed_trial_has_no_measurements(store: Store) -> None:
    failed = ex.trial("s-one", 2).replace(
        measurement=None, failure=Failure(cause="out-of-memory", message="не хватило памяти")
    )
    assert store.put_trial("s-one", failed)
    assert store.trials("s-one") == (failed,)


def test_figures_can_be_queried_by_column(path: Path) -> None:
    trial = ex.trial("s-one", 1)
    with Store.open(path, "тест") as store:
        store.put_trial("s-one", trial, ex.samples(4))
    with duckdb.connect(str(path)) as db:
        figure = db.execute(
            "SELECT value, low, high, n FROM measurements WHERE metric = 'ttft_p50_ms'"
        ).fetchone()
        tokens = db.execute("SELECT sum(output_tokens), max(len(itl_ms)) FROM requests").fetchone()
    assert trial.measurement is not None
    expected = trial.measurement.metrics[Metric.TTFT_P50_MS]
    assert figure == (expected.value, expected.low, expected.high, expected.n)
    assert tokens == (4 * 3, 2)


def test_events_are_numbered_per_session(store: Store) -> None:
    numbers = [store.append("a", "step", {"i": i}).seq for i in range(3)]
    other = store.append("b", "step", {})
    assert (numbers, other.seq) == ([1, 2, 3], 1)
    assert [event.payload["i"] for event in store.events("a", after=1)] == [1, 2]
    assert store.events("a")[0].at.utcoffset() is not None


def test_what_append_returns_is_what_events_gives(store: Store) -> None:
    event = store.append("a", "step", {"metric": Metric.TTFT_P50_MS, "tuple": (1, 2)})
    assert store.events("a") == (event,)


def test_the_last_row_is_in_force(store: Store) -> None:
    trial = ex.trial("s-one", 1)
    store.put_hypothesis("s-one", 1, ex.hypothesis())
    store.put_hypothesis("s-one", 1, ex.hypothesis().replace(title="Другая"))
    store.put_verdict("s-one", ex.verdict(trial))
    store.put_verdict("s-one", ex.verdict(trial).replace(decision=Decision.DROPPED))

    assert [h.title for _, h in store.hypotheses("s-one")] == ["Другая"]
    assert [v.decision for v in store.verdicts("s-one")] == ["dropped"]


def test_sessions_are_listed_newest_first_and_found_by_a_prefix(store: Store) -> None:
    for name in ("abc-1", "abd-2", "xyz-3"):
        store.create_session(name, ex.TASK, {})
    assert [row.session for row in store.sessions()] == ["xyz-3", "abd-2", "abc-1"]
    assert store.session("x").session == "xyz-3"
    assert store.session("abc-1").status == "created"
    with pytest.raises(BadInput, match="несколько сессий: abd-2, abc-1"):
        store.session("ab")
    with pytest.raises(BadInput, match="Похожие: abc-1"):
        store.session("abx-1")
    with pytest.raises(BadInput, match="advisor sessions"):
        store.session("")
    with pytest.raises(BadInput, match="уже есть"):
        store.create_session("abc-1", ex.TASK, {})


def test_an_unknown_status_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="почти"):
        store.set_status("s-one", "почти")


def test_a_held_store_names_its_holder(store: Store, path: Path) -> None:
    assert store.sessions() == ()
    with pytest.raises(StoreError) as caught:
        Store.open(path, "второй")
    assert f"«тест» (pid {os.getpid()}" in caught.value.message
    assert caught.value.hint


def test_another_process_is_refused_too(store: Store, path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from tools.store import Store\n"
        "from knowledge.errors import StoreError\n"
        "try:\n    Store.open(pathlib.Path(sys.argv[1]), 'другой')\n"
        "except StoreError as error:\n    print(error.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True, text=True, check=True, env=os.environ | {"PYTHONUTF8": "1"},
    )  # fmt: skip
    assert f"(pid {os.getpid()}" in done.stdout
    assert store.sessions() == ()


def test_a_newer_store_is_refused_and_left_as_it_is(path: Path) -> None:
    Store.open(path, "тест").close()
    with duckdb.connect(str(path)) as db:
        db.execute("INSERT INTO schema_version VALUES (99, now()::TIMESTAMP, '9.9')")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="схема 99"):
        Store.open(path, "тест")
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database" * 500)
    with pytest.raises(StoreError, match="не открывается"):
        Store.open(path, "тест")
    with pytest.raises(StoreError, match="не открывается"):  # and it was let go of
        Store.open(path, "тест")


def test_migrations_are_numbered_without_gaps() -> None:
    assert list(migrations()) == list(range(1, len(migrations()) + 1))


_WRITER = """
import json, os, pathlib, signal, sys
from tests.tools.store import examples as ex
from tools.store import Store
store = Store.open(pathlib.Path(sys.argv[1]), "писатель")
store.create_session("s-one", ex.TASK, {})
for ordinal in range(3):
    trial = ex.trial("s-one", ordinal)
    store.put_trial("s-one", trial, ex.samples(50))
    store.append("s-one", "trial-finished", {"trial": trial.trial_id})
    print(trial.trial_id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_put_returned_from_survives_kill_9(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WRITER, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    reported = done.stdout.split()
    assert len(reported) == 3
    assert json.loads(path.with_name(path.name + ".holder").read_text())["who"] == "писатель"
    with Store.open(path, "читатель") as store:  # the dead holder does not hold it any more
        assert [trial.trial_id for trial in store.trials("s-one")] == reported
        assert [event.seq for event in store.events("s-one")] == [1, 2, 3]
        assert all(len(store.samples(trial)) == 50 for trial in reported)


def test_closing_waits_for_the_call_of_another_thread(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s.duckdb", "test")
    began, seen = threading.Event(), []

    def read() -> None:
        with store._lock:
            began.set()
            seen.append(store._rows("SELECT count(*) FROM range(30000000)")[0][0])

    reader = threading.Thread(target=read)
    reader.start()
    began.wait()
    store.close()
    reader.join()
    assert seen == [30_000_000]
