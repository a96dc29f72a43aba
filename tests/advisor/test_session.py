"""A whole session on the simulated engine, as a user would get it."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from advisor import pace, policy, runner
from advisor.nodes import hypothesize
from advisor.policy.base import View
from advisor.report.summary import summary
from knowledge.errors import BadInput, NoRoom, NothingMeasured
from knowledge.types import Change, Decision, Event, Hypothesis, Interval, Metric, Slo
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


@pytest.mark.parametrize(("short_s", "tried"), [(0.2, 1), (1e6, 0)])
async def test_a_slow_default_leaves_room_for_the_first_hypothesis_but_not_for_any_price(
    short_s: float, tried: int, tiny_model: Path, store: Store, home: Home, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(hypothesize, "remaining_s", lambda state, ctx: -short_s)
    options = runner.Options(naive=False, reports=tmp_path)
    record = await runner.start(task(tiny_model), options, store, home, lambda _: None)
    assert record.row.status is Status.DONE
    assert len(record.hypotheses) == tried


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
    assert record.production.highest_load == {}
    near = summary(record).nearest
    assert near
    assert near.binding == slo
    assert near.violation > 0
    assert near.trial_id in {trial.trial_id for trial in record.trials}


async def test_the_users_own_flags_stand_in_every_trial(
    tiny_model: Path, store: Store, home: Home, tmp_path: Path
) -> None:
    asked = task(tiny_model, trials=3).replace(flags={"max-num-seqs": 3})
    record = await runner.start(
        asked, runner.Options(naive=False, reports=tmp_path), store, home, lambda _: None
    )
    tried = [trial.spec.candidate.config.flags for trial in record.trials]
    assert len(tried) >= 5
    assert all(flags["max-num-seqs"] == 3 for flags in tried)
    assert any(flags != {"max-num-seqs": 3} for flags in tried)


class Ruinous:
    """Proposes an engine that dies, one that hangs, and then nothing."""

    name = "ruinous"

    def ask(self, view: View) -> Sequence[Hypothesis]:
        changes = [Change(flags={"crash-after-s": 0.2}), Change(flags={"hang-at-start": True})]
        return [
            Hypothesis(
                technique="ruin",
                policy=self.name,
                title=str(change.flags),
                rationale="",
                change=change,
                candidate=view.base.apply(change),
                parent=view.base.content_id(),
                metric=view.metric,
                predicted_speedup=Interval(low=0.9, high=1.1),
                cost_s=1,
            )
            for change in changes
            if view.is_new(view.base.apply(change))
        ]


async def test_an_engine_that_dies_or_hangs_costs_its_trial_and_not_the_session(
    tiny_model: Path,
    store: Store,
    home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(policy, "load", lambda _: Ruinous())
    monkeypatch.setattr(pace, "SIMULATED", replace(pace.SIMULATED, deadline_s=20))
    record = await runner.start(
        task(tiny_model), runner.Options(naive=False, reports=tmp_path), store, home, lambda _: None
    )
    assert record.row.status is Status.DONE
    assert [v.decision for v in record.verdicts] == [Decision.CRASHED, Decision.CRASHED]
    assert record.production
    assert record.production.handed_in == "default"
    assert leftovers() == []


async def test_the_highest_load_under_the_slos_is_found_and_reported(
    tiny_model: Path, store: Store, home: Home, tmp_path: Path
) -> None:
    slo = Slo(metric=Metric.E2E_P95_MS, limit=60_000)
    record = await runner.start(
        task(tiny_model, trials=1, slos=(slo,)),
        runner.Options(naive=False, reports=tmp_path),
        store,
        home,
        lambda _: None,
    )
    assert record.production
    found = record.production.highest_load
    assert found
    assert found["streams"] > 4
    assert found["e2e_p95_ms"] <= slo.limit
    (report,) = tmp_path.glob("*.md")
    assert "SLO ещё выполняются" in report.read_text(encoding="utf-8")


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


async def test_an_engine_too_slow_to_be_measured_is_told_what_would_help(
    tiny_model: Path, store: Store, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.arm._DRAIN_S", 0.3)
    slow = task(tiny_model).replace(flags={"time-scale": 2000.0})
    options = runner.Options(naive=False, reports=tmp_path)
    with pytest.raises(NothingMeasured) as caught:
        await runner.start(slow, options, store, home, lambda _: None)
    assert "ни один запрос не завершился" in str(caught.value)
    assert "закрепите настройку: --flag" in str(caught.value.hint)
    assert leftovers() == []
