"""The spread of launches is learned from what was launched twice, and only on the same machine."""

import math
import random
from types import SimpleNamespace

import pytest

from advisor.launch_noise import of_launches, of_machine
from knowledge.types import Estimate, Metric, Objective
from tests.advisor.report import examples as ex

METRIC = Metric.OUTPUT_TOKENS_PER_S
USUAL = 0.015


def launched(ordinal: int, value: float, error: float = 0.0, purpose: str = "baseline"):
    trial = ex.TRIALS[0]
    half = 1.96 * error
    estimate = Estimate(value=value, low=value * math.exp(-half), high=value * math.exp(half), n=10)
    assert trial.measurement
    return trial.replace(
        spec=trial.spec.replace(ordinal=ordinal, purpose=purpose),
        measurement=trial.measurement.replace(metrics={METRIC: estimate}),
    )


def sessions(count: int, cv: float, error: float):
    """The default launched twice in each: launches and windows both scatter."""
    rng = random.Random(0)
    spread = math.hypot(cv, error)
    return [
        (METRIC, [launched(k, 100 * math.exp(rng.gauss(0, spread)), error) for k in range(2)])
        for _ in range(count)
    ]


def test_nothing_seen_is_the_usual():
    assert of_launches([], USUAL).cv == pytest.approx(USUAL)
    once = [(METRIC, [launched(0, 100.0)]), (METRIC, [])]
    assert of_launches(once, USUAL).repeats == 0


@pytest.mark.parametrize("cv", [0.008, 0.03, 0.06])
def test_many_repeated_launches_tell_the_spread_beyond_that_of_the_windows(cv):
    seen = of_launches(sessions(200, cv, 0.7 * cv), USUAL)
    assert seen.repeats == 200
    assert seen.cv == pytest.approx(cv, rel=0.35)


def test_one_odd_launch_moves_it_little_and_no_machine_is_beyond_measure():
    odd = [(METRIC, [launched(0, 100.0), launched(1, 110.0)])]
    assert USUAL < of_launches(odd, USUAL).cv < 0.04
    assert of_launches(sessions(200, 0.5, 0.01), USUAL).cv == 0.1


def test_the_naive_reference_and_what_was_not_measured_tell_nothing():
    naive = [launched(0, 100.0, purpose="naive"), launched(1, 150.0, purpose="naive")]
    failed = launched(2, 100.0).replace(measurement=None)
    assert of_launches([(METRIC, [*naive, failed])], USUAL).repeats == 0


def test_only_this_machine_and_this_engine_count():
    here = ex.TASK.replace(objective=Objective.THROUGHPUT)
    faster = here.hardware.replace(isa=(*here.hardware.isa, "avx512f"))
    tasks = {
        "same": here, "own": here, "engine": here.replace(engine="llamacpp"),
        "machine": here.replace(hardware=faster),
    }  # fmt: skip
    store = SimpleNamespace(
        sessions=lambda: [SimpleNamespace(session=k, engine=t.engine) for k, t in tasks.items()],
        task=tasks.__getitem__,
        trials=lambda name: [launched(0, 100.0), launched(1, 104.0)] if name != "own" else [],
    )
    assert of_machine(store, here, USUAL, but="own").repeats == 1
