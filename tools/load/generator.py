"""The load generator: a round of closed-loop or open-loop traffic, every token with its time.

The instrument all figures come from. Arrival times are the kernel's where it gives them
(connection.py), prompts are made and arrivals are drawn before the round, garbage collection is off
during it, answers become samples when nothing else is due, and what the client did badly itself is
part of the outcome.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from knowledge.errors import BadInput
from knowledge.types import ClosedLoop, OpenLoop, RequestSample, Workload
from tools.load.arrivals import Due, schedule
from tools.load.clock import LoopLag, without_gc
from tools.load.health import ClientHealth, processes_for
from tools.load.prompts import PromptSource
from tools.load.round import Enough, Round
from tools.load.sample import Recount
from tools.load.session import Session
from tools.load.target import Target

if TYPE_CHECKING:
    from tools.load.fleet import Spawn

__all__ = ["RoundOutcome", "Target", "run_round"]

_OPEN_LOOP_CONNECTIONS = 16
_MOST_PREPARED, _PREPARE_STEPS = 20_000, 60


@dataclass(frozen=True)
class RoundOutcome:
    """Every request of a round, in the order of sending, and how well the client itself did."""

    samples: tuple[RequestSample, ...]
    loop_lag_p99_ms: float
    client: ClientHealth = field(default_factory=ClientHealth)
    saturated: bool = False
    """Broken off early, since requests came faster than the server began to answer them."""
    recounts: tuple[Recount, ...] = ()
    """Of up to 200 answers a process: tokens claimed by the server against those of the text."""
    ended_s: float | None = None
    """When `enough` ended the round before its time."""


async def run_round(  # noqa: PLR0913 - all but the first three by name
    target: Target,
    workload: Workload,
    prompts: PromptSource,
    *,
    round_index: int,
    duration_s: float,
    drain_s: float,
    seed: int,
    on_sample: Callable[[RequestSample], None] | None = None,
    silence_timeout_s: float = 120.0,
    stop_saturated: bool = False,
    enough: Enough | None = None,
    processes: int | None = None,
    spawn: "Spawn | None" = None,
) -> RoundOutcome:
    """Load the server for `duration_s`, then wait at most `drain_s` for what is under way.

    What the drain cuts off has the error "cut", what fell silent "timeout". Raises BadInput when
    the server can't be reached at the start; later failures are samples with an error.
    stop_saturated: end an open-loop round as soon as the queue grows without end. enough: end a
    closed-loop round of one process in its second half, once this is so. processes: None takes more
    than one for the next round once a core was full. spawn: where they are started, if not here.
    """
    arrival = workload.arrival
    rng = random.Random(f"{seed}/{round_index}")
    due = None if isinstance(arrival, ClosedLoop) else schedule(arrival, duration_s, rng)
    count = processes or prompts.processes
    if spawn and due is not None and prompts.traced:
        raise BadInput(
            "запросы из файла с интервалами отправки не делятся между клиентами",
            "Задайте --concurrency вместо --rate или возьмите --executor local",
        )
    # A trace's own arrival times are one sequence: it is not split.
    if (count > 1 or spawn) and (due is None or not prompts.traced):
        from tools.load.fleet import LocalPipe, run_fleet

        await _prepare(prompts, _expected(arrival, due, prompts, duration_s))
        outcome = await run_fleet(
            target, workload, prompts, due, count,
            round_index=round_index, duration_s=duration_s, drain_s=drain_s,
            silence_timeout_s=silence_timeout_s, stop_saturated=stop_saturated,
            spawn=spawn or LocalPipe.spawn,
        )  # fmt: skip
        for sample in outcome.samples if on_sample else ():
            assert on_sample
            on_sample(sample)
    else:
        session = Session(target, workload)
        round_ = Round(session, prompts, round_index, duration_s, on_sample, stop_saturated, enough)
        outcome = await run_here(
            session, round_, due, prompts, drain_s=drain_s, silence_timeout_s=silence_timeout_s
        )
    prompts.requests_per_s = len(outcome.samples) / (outcome.ended_s or duration_s)
    if processes is None:
        prompts.processes = processes_for(outcome.client)
    return outcome


async def run_here(
    session: Session,
    round_: Round,
    due: list[Due] | None,
    prompts: PromptSource,
    *,
    drain_s: float,
    silence_timeout_s: float,
    begin: Callable[[], float] = time.perf_counter,
) -> RoundOutcome:
    """The round in this process, on this loop. `begin` is asked for its start when all is ready."""
    arrival, lag = session.workload.arrival, LoopLag()
    try:
        await session.connect(_connections(arrival))
        await _prepare(prompts, _expected(arrival, due, prompts, round_.duration_s))
        with without_gc():
            start_at = begin()
            beside = [
                asyncio.create_task(work)
                for work in (lag.run(), session.watch(silence_timeout_s), round_.keep_books())
            ]
            try:
                await round_.run(due, drain_s, start_at)
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.wait(beside)
            client = round_.notes.health(lag.p99_ms, session.stamps.kernel_share)
            while round_.book():
                pass
    finally:
        await session.close()
    samples = sorted(round_.samples, key=lambda sample: sample.index)
    return RoundOutcome(
        tuple(samples),
        lag.p99_ms,
        client,
        round_.saturated,
        tuple(round_.recounts),
        round_.ended_s,
    )


def _connections(arrival: ClosedLoop | OpenLoop) -> int:
    """How many to open before the clock starts."""
    if isinstance(arrival, ClosedLoop):
        return arrival.concurrency
    return min(arrival.max_in_flight or _OPEN_LOOP_CONNECTIONS, _OPEN_LOOP_CONNECTIONS)


def _expected(
    arrival: ClosedLoop | OpenLoop,
    due: list[Due] | None,
    prompts: PromptSource,
    duration_s: float,
) -> int:
    """How many prompts to make before the clock starts."""
    if not isinstance(arrival, ClosedLoop):
        return len(due or ())
    pace = prompts.requests_per_s or 0.0
    return max(int(1.2 * pace * duration_s), 4 * arrival.concurrency)


async def _prepare(prompts: PromptSource, count: int) -> None:
    """Make prompts in short steps, so that whoever shares the loop goes on living."""
    for _ in range(_PREPARE_STEPS):
        if prompts.prepare(min(count, _MOST_PREPARED)):
            break
        await asyncio.sleep(0)
