"""Every executor does the same: what a trial shows is its result, and nothing is left running."""

import asyncio
import pickle
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from knowledge.errors import BadInput, EngineFailed
from knowledge.types import (
    Candidate,
    Cause,
    EngineConfig,
    FlagValue,
    LoadPlan,
    TrialSpec,
)
from tests.advisor.simulated import HARDWARE, task
from tests.tools.executors import steps
from tools import executors
from tools.executors.base import Executor, Job, Needs, needs_of
from tools.home import Home
from tools.preparing import World
from tools.process import leftovers

GPUS = HARDWARE.replace(
    device=HARDWARE.device.replace(kind="cuda", name="test GPU"), cores=32, device_count=4
)


@pytest.fixture(params=executors.names())
async def executor(request: pytest.FixtureRequest) -> AsyncIterator[Executor]:
    if request.param != executors.LOCAL:
        request.getfixturevalue(request.param)
    connected = executors.connect(request.param)
    yield connected
    await connected.close()


def spec(model: Path, ordinal: int = 0, engine: str = "sim", **flags: FlagValue) -> TrialSpec:
    asked = task(model)
    named = {name.replace("_", "-"): value for name, value in flags.items()}
    return TrialSpec(
        session="test",
        ordinal=ordinal,
        purpose="hypothesis",
        candidate=Candidate(config=EngineConfig(engine=engine, flags=named)),
        model=asked.model,
        workload=asked.workload,
        load=LoadPlan(warmup_s=0.1, round_s=0.6, rounds=1),
        deadline_s=120,
    )


async def test_a_trial_is_measured_with_its_samples(
    executor: Executor, world: World, tiny_model: Path
) -> None:
    (measured,) = await executor.measure(Job((spec(tiny_model),)), world)
    assert measured.result.failure is None
    assert measured.result.measurement
    assert measured.result.measurement.metrics
    assert len(measured.samples) >= measured.result.measurement.requests
    assert leftovers() == []


async def test_what_a_candidate_does_wrong_is_its_result(
    executor: Executor, world: World, tiny_model: Path
) -> None:
    bad = Job((spec(tiny_model, no_such_flag=1),))
    (measured,) = await executor.measure(bad, world)
    assert measured.result.failure
    assert measured.result.failure.cause is Cause.BAD_FLAG
    assert leftovers() == []


async def test_two_in_turns_end_when_the_answer_is_clear(
    executor: Executor, world: World, lines: list[str], tiny_model: Path
) -> None:
    long = LoadPlan(warmup_s=0.1, round_s=0.5, rounds=5)
    pair = tuple(spec(tiny_model, n).replace(load=long) for n in range(2))
    measured = await executor.measure(Job(pair, until=Enough(2)), world)
    assert [len(one.result.measurement.rounds) for one in measured if one.result.measurement] == [
        2,
        2,
    ]
    assert measured[1].result.pair == pair[0].trial_id
    assert "хватит" in lines


class Enough:
    """After so many rounds; asked where the trial runs, so it can be pickled."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds

    def __call__(self, arms: object) -> str:
        assert isinstance(arms, list)
        return "хватит" if len(arms[0]) >= self.rounds else ""


async def test_a_step_gives_its_value_and_its_lines(
    executor: Executor, world: World, lines: list[str]
) -> None:
    assert await executor.call(steps.tell, "раз", world=world) == "раз, test CPU"
    assert lines == ["слышу раз", "и ещё"]


async def test_the_error_of_a_step_arrives_whole(executor: Executor, world: World) -> None:
    with pytest.raises(BadInput) as bad:
        await executor.call(steps.refuse, world=world)
    assert (bad.value.message, bad.value.hint) == ("так нельзя", "надо иначе")
    with pytest.raises(EngineFailed) as failed:
        await executor.call(steps.fail, world=world)
    assert failed.value.cause is Cause.OUT_OF_MEMORY
    assert failed.value.log_tail == ("последняя строка",)


async def test_cancelling_tears_down(executor: Executor, world: World, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    running = asyncio.create_task(executor.call(steps.hang, trace, world=world))
    while not trace.exists():  # noqa: ASYNC110 - it is written by another process
        await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    async with asyncio.timeout(30):  # a cluster may say that it is over a moment before it is
        while trace.read_text() != "torn down":  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)


async def test_the_machine_is_looked_at(executor: Executor, home: Home) -> None:
    found = await executor.inspect(home, print)
    assert found.cores > 0
    assert found.host_memory_bytes > 0


def test_there_is_room_for_one_at_least(executor: Executor, tiny_model: Path) -> None:
    most = executor.room(spec(tiny_model), HARDWARE)
    assert most == (1 if executor.name == executors.LOCAL else 2)
    assert executor.room(spec(tiny_model), HARDWARE.replace(cores=64)) >= 1


@pytest.mark.parametrize(
    ("engine", "flags", "needs"),
    [
        ("vllm", {}, Needs(cpus=8, gpus=1)),
        ("vllm", {"tensor-parallel-size": 2}, Needs(cpus=16, gpus=2)),
        ("vllm", {"tensor-parallel-size": 2, "pipeline-parallel-size": 2}, Needs(32, 4)),
        ("sglang", {"tp-size": 4, "dp-size": 4, "enable-dp-attention": True}, Needs(32, 4)),
        ("sglang", {"dp-size": 2}, Needs(16, 2)),
        ("transformers", {}, Needs(8, 1)),
        (
            "vllm",
            {"pipeline-parallel-size": 8, "distributed-executor-backend": "ray"},
            Needs(32, 8, over_nodes=True),
        ),
    ],
)
def test_a_trial_takes_the_gpus_of_its_configuration(
    tiny_model: Path, engine: str, flags: dict[str, FlagValue], needs: Needs
) -> None:
    assert needs_of((spec(tiny_model, engine=engine, **flags),), GPUS) == needs


def test_on_a_cpu_a_real_engine_has_the_machine_to_itself(tiny_model: Path) -> None:
    assert needs_of((spec(tiny_model, engine="vllm"),), HARDWARE) == Needs(HARDWARE.cores)
    assert needs_of((spec(tiny_model),), HARDWARE) == Needs(1)


def test_an_unknown_executor_names_what_there_is() -> None:
    with pytest.raises(BadInput, match=r"rya.*ray"):
        executors.connect("rya")


def test_errors_survive_a_change_of_process() -> None:
    error = EngineFailed(Cause.CRASH, "упал", ("a", "b"))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (str(again), again.cause, again.log_tail) == ("упал", Cause.CRASH, ("a", "b"))
    hinted = pickle.loads(pickle.dumps(BadInput("что", "как")))  # noqa: S301
    assert (type(hinted), str(hinted)) == (BadInput, "что. как")
