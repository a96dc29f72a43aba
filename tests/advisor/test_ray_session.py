"""A whole session whose trials run on Ray, on the simulated engine."""

from pathlib import Path
from typing import Any

from advisor import runner
from knowledge.types import Event
from tests.advisor.simulated import task
from tests.ray_cluster import ray
from tools import executors
from tools.home import Home
from tools.process import leftovers
from tools.store import Status, Store

__all__ = ["ray"]


async def test_from_profile_to_report_with_two_hypotheses_at_once(
    ray: Any, tiny_model: Path, home: Home, tmp_path: Path
) -> None:
    seen: list[Event] = []
    executor = executors.connect("ray")
    options = runner.Options(naive=False, reports=tmp_path / "reports", executor="ray")
    asked = task(tiny_model, trials=2).replace(policy="random")
    with Store.open(home.store, "test") as store:
        record = await runner.start(asked, options, store, home, seen.append, executor=executor)
        for trial in record.trials:
            assert trial.measurement, trial.failure
            assert len(store.samples(trial.trial_id)) >= trial.measurement.requests
    assert record.row.status is Status.DONE
    assert len(record.hypotheses) == 2
    kinds = [event.kind for event in seen if event.payload.get("purpose") == "hypothesis"]
    assert kinds[:2] == ["trial_started", "trial_started"]
    assert list((tmp_path / "reports").glob("*.md"))
    assert leftovers() == []
