"""A risky step waits for a person's word: yes, no, silence, a stop in between."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from langgraph.runtime import RunControl

from advisor import approval, runner
from advisor.nodes import decide
from knowledge.types import Cause, Decision, Estimate, Event, QualityVerdict, TrialResult
from tests.advisor.simulated import task
from tools.home import Home
from tools.store import SessionRecord, Status, Store

WAIT_S = 60.0


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with Store.open(home.store, "test") as opened:
        yield opened


@pytest.fixture
def every_trial_is_expensive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approval, "EXPENSIVE_SHARE", 0.0)


async def session(
    store: Store, home: Home, model: Path, said: bool | None, wait_s: float | None = WAIT_S
) -> tuple[SessionRecord, list[Event]]:
    """A session whose every question is answered by `said`; None: nobody answers."""
    seen: list[Event] = []

    def watch(event: Event) -> None:
        seen.append(event)
        if event.kind == approval.ASKED and said is not None:
            answer = {"id": event.payload["id"], "approved": said, "by": "tester"}
            store.append(event.session, approval.ANSWERED, answer)

    options = runner.Options(naive=False, reports=home.data / "reports", approval_wait_s=wait_s)
    record = await runner.start(task(model, trials=1), options, store, home, watch)
    return record, seen


def hypothesis_trial(record: SessionRecord) -> TrialResult:
    return next(t for t in record.trials if t.spec.purpose == "hypothesis")


@pytest.mark.usefixtures("every_trial_is_expensive")
async def test_an_approved_trial_is_measured(store: Store, home: Home, tiny_model: Path) -> None:
    record, seen = await session(store, home, tiny_model, said=True)
    assert record.row.status is Status.DONE
    assert [e.kind for e in seen].count(approval.ASKED) == 1
    assert hypothesis_trial(record).measurement


@pytest.mark.usefixtures("every_trial_is_expensive")
async def test_a_declined_trial_is_left_out_and_the_session_goes_on(
    store: Store, home: Home, tiny_model: Path
) -> None:
    record, _ = await session(store, home, tiny_model, said=False)
    assert record.row.status is Status.DONE
    trial = hypothesis_trial(record)
    assert trial.failure
    assert trial.failure.cause is Cause.DECLINED
    (verdict,) = [v for v in record.verdicts if v.trial_id == trial.trial_id]
    assert (verdict.decision, verdict.reason) == (Decision.DROPPED, "дорогой замер не одобрен")


@pytest.mark.usefixtures("every_trial_is_expensive")
async def test_silence_is_a_no(store: Store, home: Home, tiny_model: Path) -> None:
    record, seen = await session(store, home, tiny_model, said=None, wait_s=0.2)
    (answer,) = [e for e in seen if e.kind == approval.ANSWERED]
    assert (answer.payload["approved"], answer.payload["reason"]) == (False, "нет ответа")
    assert hypothesis_trial(record).failure


@pytest.mark.usefixtures("every_trial_is_expensive")
async def test_nobody_is_asked_unless_wanted(store: Store, home: Home, tiny_model: Path) -> None:
    _, seen = await session(store, home, tiny_model, said=None, wait_s=None)
    assert approval.ASKED not in [e.kind for e in seen]


@pytest.mark.usefixtures("every_trial_is_expensive")
async def test_a_stop_while_it_waits_then_a_resume_asks_no_second_time(
    store: Store, home: Home, tiny_model: Path
) -> None:
    control = RunControl()
    asked: list[Event] = []

    def watch(event: Event) -> None:
        if event.kind == approval.ASKED:
            asked.append(event)
            control.request_drain()

    options = runner.Options(naive=False, reports=home.data / "reports", approval_wait_s=WAIT_S)
    name = runner.create(task(tiny_model, trials=1), options, store, datetime.now(UTC))
    with pytest.raises(asyncio.CancelledError):
        await runner.resume(name, store, home, watch, control)
    assert store.session(name).status is Status.CANCELLED
    store.append(name, approval.ANSWERED, {"id": asked[0].payload["id"], "approved": True})
    record = await runner.resume(name, store, home, watch)
    assert record.row.status is Status.DONE
    assert len(asked) == 1
    assert hypothesis_trial(record).measurement


@pytest.mark.parametrize("said", [True, False])
async def test_quality_below_the_floor_is_taken_only_on_a_word(
    store: Store, home: Home, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, said: bool
) -> None:
    """The simulated engine's quality never falls: the verdict of a loss is put in its place."""
    loss = Estimate(value=0.3, low=0.2, high=0.4, n=9)
    worse = QualityVerdict(non_inferior=False, loss_nats_per_token=loss, margin=0.02)
    judge = decide.judge

    def lossy(*given: object) -> object:
        verdict = judge(*given)  # type: ignore[arg-type]
        gain = Estimate(value=2.0, low=1.9, high=2.1, n=9)
        return verdict.replace(
            decision=Decision.DROPPED, reason="качество: потеря", speedup=gain, quality=worse
        )

    monkeypatch.setattr(decide, "judge", lossy)
    monkeypatch.setattr("advisor.nodes.production_test.quality_of", lambda *_: worse)
    monkeypatch.setattr("advisor.nodes.production_test.figure", lambda *_: None)
    record, seen = await session(store, home, tiny_model, said=said)
    (question,) = [e for e in seen if e.kind == approval.ASKED]
    assert question.payload["about"] == "quality"
    assert "0,3" in str(question.payload["text"])
    trial = hypothesis_trial(record)
    verdict = next(v for v in record.verdicts if v.trial_id == trial.trial_id)
    assert (verdict.decision is Decision.KEPT) == said
    assert record.production
    assert "качество победителя хуже" not in record.production.reason
