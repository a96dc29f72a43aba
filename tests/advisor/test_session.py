"""A whole session on the simulated engine, as a user would get it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from advisor import runner
from knowledge.errors import BadInput, NoRoom
from knowledge.types import Event, Metric, Slo
from tests.advisor.simulated import task
from tools.home import Home
from tools.process import leftovers
from tools.store import Status, Store


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with Store.open(home.store, "test") as opened:
        yield opened


async def test_from_profile_to_report(
    tiny_model: Path, store: Store, home: Home, tmp_path: Path
) -> None:
    seen: list[Event] = []
    options = runner.Options(naive=False, reports=tmp_path / "reports")
    record = await runner.start(task(tiny_model), options, store, home, seen.append)

    assert record.row.status is Status.DONE
    assert record.profile
    assert len(record.hypotheses) == 3
    for ordinal, hypothesis in record.hypotheses:
        assert any(t.spec.ordinal == ordinal for t in record.trials), hypothesis.title
        assert hypothesis.predicted_speedup.low < hypothesis.predicted_speedup.high
    judged = {v.hypothesis for v in record.verdicts}
    assert {h.content_id() for _, h in record.hypotheses} <= judged
    assert record.production
    assert record.production.handed_in in ("winner", "default")
    (report,) = (tmp_path / "reports").glob("*.md")
    assert "симулятор" in report.read_text()
    assert [e.seq for e in seen] == sorted(e.seq for e in seen)
    assert leftovers() == []


async def test_every_figure_comes_from_requests_in_the_store(
    tiny_model: Path, store: Store, home: Home, tmp_path: Path
) -> None:
    options = runner.Options(naive=False, reports=tmp_path)
    record = await runner.start(task(tiny_model, trials=1), options, store, home, lambda _: None)
    for trial in record.trials:
        assert trial.measurement
        assert trial.measurement.requests > 0
        assert len(store.samples(trial.trial_id)) >= trial.measurement.requests
        assert trial.launch
        assert trial.launch.memory_returned is not None


async def test_an_impossible_slo_is_infeasible_and_names_the_nearest(
    tiny_model: Path, store: Store, home: Home, tmp_path: Path
) -> None:
    slo = Slo(metric=Metric.TPOT_P95_MS, limit=0.0001)
    record = await runner.start(
        task(tiny_model, trials=1, slos=(slo,)),
        runner.Options(naive=False, reports=tmp_path),
        store,
        home,
        lambda _: None,
    )
    assert record.row.status is Status.INFEASIBLE
    assert record.production
    assert not record.production.slos_met


async def test_cancelled_in_the_middle_then_resumed_measures_nothing_twice(
    tiny_model: Path, store: Store, home: Home, tmp_path: Path
) -> None:
    finished = asyncio.Event()

    def watch(event: Event) -> None:
        if event.kind == "trial_finished":
            finished.set()

    options = runner.Options(naive=False, reports=tmp_path)
    running = asyncio.create_task(
        runner.start(task(tiny_model, trials=2), options, store, home, watch)
    )
    await finished.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (row,) = store.sessions()
    assert row.status is Status.CANCELLED
    before = {t.trial_id: t.started_at for t in store.trials(row.session)}
    assert leftovers() == []

    record = await runner.resume(row.session, store, home, lambda _: None)
    assert record.row.status is Status.DONE
    after = {t.trial_id: t.started_at for t in record.trials}
    assert before.items() <= after.items()
    assert [t.spec.ordinal for t in record.trials] == sorted(
        {t.spec.ordinal for t in record.trials}
    )


def test_a_model_that_can_not_fit_is_refused_before_anything_starts(tiny_model: Path) -> None:
    huge = task(tiny_model)
    model = huge.model.replace(weights_bytes=2**50)
    with pytest.raises(NoRoom, match="свободно"):
        runner.require_room(huge.replace(model=model, engine="vllm"))


def test_a_budget_below_the_baseline_is_refused(tiny_model: Path) -> None:
    with pytest.raises(BadInput, match="бюджет"):
        runner.require_budget(task(tiny_model, seconds=1), naive=False)


async def test_a_finished_session_is_not_run_again(
    tiny_model: Path, store: Store, home: Home, tmp_path: Path
) -> None:
    options = runner.Options(naive=False, reports=tmp_path)
    record = await runner.start(task(tiny_model, trials=1), options, store, home, lambda _: None)
    again = await runner.resume(record.row.session, store, home, lambda _: None)
    assert again == record
