"""A gain that drowns in the noise of launches is launched again, as far as the budget reaches."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from advisor import launches, pace, runner
from advisor.launches import Plan
from advisor.nodes.production_test import _settled
from knowledge.types import Cause, Failure
from tests.advisor.simulated import task
from tests.advisor.test_turns import ctx, result
from tools.home import Home
from tools.process import leftovers
from tools.store import SessionRecord, Store

__all__ = ["ctx"]


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with Store.open(home.store, "test") as opened:
        yield opened


async def session(
    model: Path, store: Store, home: Home, folder: Path, seconds: float
) -> SessionRecord:
    options = runner.Options(naive=False, reports=folder)
    asked = task(model, trials=2, seconds=seconds)
    return await runner.start(asked, options, store, home, lambda _: None)


async def test_both_are_launched_again_and_the_report_says_so(
    tiny_model: Path, store: Store, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So wide that no gain of this engine could stand out of one launch, nor of three.
    monkeypatch.setattr(pace, "SIMULATED", replace(pace.SIMULATED, launch_cv=0.09))
    monkeypatch.setattr("knowledge.statistics.launches.bounds", lambda looks: dict.fromkeys(
        range(1, looks + 1), 50.0))  # fmt: skip
    record = await session(tiny_model, store, home, tmp_path, 300)
    tested = record.production
    assert tested
    assert len(tested.again) == 2
    assert tested.handed_in == "default"
    assert "пар 3 из 3" in tested.launches
    cold = [trial for trial in record.trials if trial.spec.purpose == "production"]
    assert len({trial.trial_id for trial in cold}) == 6
    assert {t.trial_id for t in cold} == {
        *(tested.default_trial_id, tested.winner_trial_id),
        *(one for pair in tested.again for one in pair),
    }
    assert [trial.quality is not None for trial in cold].count(True) <= 2
    (report,) = tmp_path.glob("*.md")
    text = report.read_text()
    assert "Пар 3 из 3, разброс между запусками больше выигрыша" in text
    assert "запускаются с нуля ещё раз" in text
    assert leftovers() == []


async def test_a_clear_gain_is_launched_once(
    tiny_model: Path, store: Store, home: Home, tmp_path: Path
) -> None:
    record = await session(tiny_model, store, home, tmp_path, 300)
    tested = record.production
    assert tested
    if tested.handed_in == "winner":
        assert tested.again == ()
        assert "пар 1 из" in tested.launches


def test_the_budget_says_how_often(ctx: object) -> None:
    one = (result(ctx, 0, 100, 100), result(ctx, 1, 110, 110))  # type: ignore[arg-type]
    assert not launches.room_for_another(Plan(1, 1e6), [one])
    assert launches.room_for_another(Plan(2, 1e6), [one])
    assert not launches.room_for_another(Plan(2, 1e6), [one, one])
    assert not launches.room_for_another(Plan(2, -1.0), [one])


def test_a_winner_that_does_not_start_again_is_not_handed_in(ctx: object) -> None:
    first = (result(ctx, 0, 100, 100), result(ctx, 1, 150, 150))  # type: ignore[arg-type]
    gone = result(ctx, 3, 150, 150).replace(  # type: ignore[arg-type]
        measurement=None, failure=Failure(cause=Cause.OUT_OF_MEMORY, message="не хватило памяти")
    )
    settled = _settled(ctx, [first, (result(ctx, 2, 100, 100), gone)], True)  # type: ignore[arg-type]
    assert settled
    assert settled[0] == "default"
    assert "не хватило памяти" in settled[1]
