"""Several hypotheses at the same time: chosen with what is pending known, judged like with like."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from advisor import policies, policy, runner
from advisor.calibration import calibrate
from advisor.context import Context
from advisor.nodes.decide import _against_both
from advisor.pace import pace_of
from advisor.policy.base import View
from knowledge.errors import BadInput
from knowledge.types import Decision, Hypothesis, TrialSpec
from tests.advisor.simulated import task
from tests.advisor.test_shape_session import measured, risky
from tools.arm import Measured
from tools.executors.base import Job
from tools.executors.local import Local
from tools.home import Home
from tools.preparing import World
from tools.store import Status, Store


class Wide(Local):
    """Has room for three, and remembers how many it ran at the same time."""

    name = "wide"

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.most = 0

    def room(self, spec: TrialSpec, hardware: object) -> int:
        return 3

    async def measure(self, job: Job, world: World) -> tuple[Measured, ...]:
        ids = {spec.trial_id for spec in job.specs}
        self.running |= ids
        self.most = max(self.most, len(self.running) if len(job.specs) == 1 else 0)
        try:
            return await super().measure(job, world)
        finally:
            self.running -= ids


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with Store.open(home.store, "test") as opened:
        yield opened


async def test_as_many_as_there_is_room_for_and_each_has_its_verdict(
    tiny_model: Path, store: Store, home: Home, tmp_path: Path
) -> None:
    wide = Wide()
    options = runner.Options(naive=False, reports=tmp_path, executor=wide.name)
    asked = task(tiny_model, trials=4).replace(policy="random")
    record = await runner.start(asked, options, store, home, lambda _: None, executor=wide)
    assert record.row.status is Status.DONE
    assert wide.most == 3
    assert len(record.hypotheses) == 4
    candidates = [hypothesis.candidate for _, hypothesis in record.hypotheses]
    assert len(set(candidates)) == 4
    judged = {verdict.hypothesis for verdict in record.verdicts}
    assert {hypothesis.content_id() for _, hypothesis in record.hypotheses} <= judged
    assert len({trial.spec.ordinal for trial in record.trials}) == len(record.trials)


async def test_a_batch_that_was_cut_off_goes_on_and_measures_nothing_twice(
    tiny_model: Path, store: Store, home: Home, tmp_path: Path
) -> None:
    options = runner.Options(naive=False, reports=tmp_path, executor="wide")
    asked = task(tiny_model, trials=3).replace(policy="random")
    ended = asyncio.Event()

    def watch(event: Any) -> None:
        if event.kind == "trial_finished" and event.payload["purpose"] == "hypothesis":
            ended.set()

    running = asyncio.create_task(runner.start(asked, options, store, home, watch, executor=Wide()))
    await ended.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (row,) = store.sessions()
    before = {t.trial_id: t.started_at for t in store.trials(row.session)}
    asked_for = store.hypotheses(row.session)

    with pytest.raises(BadInput, match="wide"):
        await runner.resume(row.session, store, home, lambda _: None)
    record = await runner.resume(row.session, store, home, lambda _: None, executor=Wide())
    assert record.row.status is Status.DONE
    assert before.items() <= {t.trial_id: t.started_at for t in record.trials}.items()
    assert record.hypotheses == asked_for


@pytest.mark.parametrize("name", ["random", "search", "gp", "grid", "knowledge", "portfolio"])
async def test_a_policy_proposes_nothing_that_is_pending(
    tiny_model: Path, store: Store, home: Home, tmp_path: Path, name: str
) -> None:
    proposed: list[Sequence[Hypothesis]] = []
    first = policies.load(name)

    class Watched:
        name = first.name

        def ask(self, view: View) -> Sequence[Hypothesis]:
            found = first.ask(view)
            assert not {one.candidate for one in found} & set(view.pending)
            proposed.append(found)
            return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, "load", lambda _: Watched())
        options = runner.Options(naive=False, reports=tmp_path, executor="wide")
        asked = task(tiny_model, trials=3).replace(policy=name)
        await runner.start(asked, options, store, home, lambda _: None, executor=Wide())
    assert len(proposed) >= 3


def test_a_neighbour_that_became_the_reference_must_be_beaten_too(tiny_model: Path) -> None:
    job = task(tiny_model)
    job = job.replace(model=job.model.replace(dummy_weights=True))
    ctx = Context("s", job, None, None, pace_of(job, simulated=True), print)  # type: ignore[arg-type]
    base, neighbour = measured(job.model, 100, 0), measured(job.model, 150, 1)
    slower, faster = measured(job.model, 120, 2), measured(job.model, 200, 3)

    beaten = _against_both(ctx, risky(slower), slower, (base, neighbour), None)
    assert beaten.decision is Decision.DROPPED
    assert beaten.speedup
    assert beaten.speedup.value == pytest.approx(1.2, rel=0.01)
    assert neighbour.trial_id in beaten.reason
    kept = _against_both(ctx, risky(faster), faster, (base, neighbour), None)
    assert kept.decision is Decision.KEPT
    assert kept.reference_trial_id == neighbour.trial_id
    assert kept.speedup
    assert kept.speedup.value == pytest.approx(200 / 150, rel=0.01)
    # It was predicted against another trial, so it says nothing of the predictions.
    assert calibrate([(risky(faster), kept)]) == calibrate([])
