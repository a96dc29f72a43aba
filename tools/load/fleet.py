"""A round spread over several processes, for servers that one core of the client can't follow.

Where the processes are is a matter of the `Pipe` to each: here, or on nodes of a cluster
(`ray_clients.py`), whose clocks have another zero.
"""

import asyncio
import pickle
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from knowledge.errors import BadInput, NothingMeasured
from knowledge.types import ClosedLoop, RequestSample, Workload
from tools.load.arrivals import Due
from tools.load.generator import RoundOutcome
from tools.load.health import together
from tools.load.prompts import Prompt, PromptSource
from tools.load.target import Target
from tools.load.tokenizer import Tokenizer

LENGTH = struct.Struct("!Q")
_LEAD_S = 0.05
READY_S = 30.0
_SPARE = 1.5
_LEAST_PER_STREAM = 16
_REFILL = 64


@dataclass
class Job:
    """What one worker does. Everything in it can be pickled."""

    target: Target
    workload: Workload
    tokenizer: Tokenizer | None
    prompts: list[Prompt]
    due: list[Due] | None
    round_index: int
    duration_s: float
    drain_s: float
    silence_timeout_s: float
    stop_saturated: bool


class Pipe(Protocol):
    """Messages to and from one process, pickled."""

    clock_s: float
    """Its perf_counter less ours."""
    lead_s: float
    """So long before the start it has to be told of it."""

    async def tell(self, data: bytes) -> None:
        """Give it one message."""

    async def hear(self) -> bytes:
        """Its next message. Raises NothingMeasured when it is gone."""

    async def stop(self) -> None:
        """End it, whatever it is doing."""


Spawn = Callable[[], Awaitable[Pipe]]


class Clients(Protocol):
    """Machines that can offer load."""

    warnings: set[str]
    """What makes their figures weaker, in Russian."""

    @property
    def nodes(self) -> int:
        """How many there are."""

    async def spawn(self) -> Pipe:
        """One more process on one of them. Raises SetupFailed when there is no place for it."""


@dataclass
class LocalPipe:
    """A child of ours."""

    process: asyncio.subprocess.Process
    clock_s: float = 0.0
    lead_s: float = _LEAD_S

    @classmethod
    async def spawn(cls) -> "LocalPipe":
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "tools.load._worker")
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))

    async def tell(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(LENGTH.pack(len(data)) + data)
        await self.process.stdin.drain()

    async def hear(self) -> bytes:
        assert self.process.stdout
        try:
            head = await self.process.stdout.readexactly(LENGTH.size)
            return await self.process.stdout.readexactly(LENGTH.unpack(head)[0])
        except asyncio.IncompleteReadError as error:
            raise lost() from error

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


def lost() -> NothingMeasured:
    """What is raised when a process is gone in the middle of a round."""
    return NothingMeasured("процесс генератора нагрузки умер", "Повторите замер")


@dataclass
class _Worker:
    pipe: Pipe
    job: Job
    outcome: RoundOutcome | None = None
    error: str = ""
    streams: int = field(default=1)


async def run_fleet(  # noqa: PLR0913 - called in one place
    target: Target,
    workload: Workload,
    prompts: PromptSource,
    due: list[Due] | None,
    count: int,
    *,
    round_index: int,
    duration_s: float,
    drain_s: float,
    silence_timeout_s: float,
    stop_saturated: bool,
    spawn: Spawn = LocalPipe.spawn,
) -> RoundOutcome:
    """As run_round; the processes start together. Raises BadInput, NothingMeasured."""
    parts = _split(workload, due, count)
    pace = (prompts.requests_per_s or 0.0) * duration_s * _SPARE
    jobs = []
    for part, own in parts:
        streams = part.arrival.concurrency if isinstance(part.arrival, ClosedLoop) else 0
        wanted = (
            len(own) + 1
            if own is not None
            else max(_LEAST_PER_STREAM * streams, int(pace / len(parts)))
        )
        batch = [prompts.next() for _ in range(wanted)]
        jobs.append(
            Job(target, part, prompts.tokenizer, batch, own, round_index, duration_s, drain_s,
                silence_timeout_s, stop_saturated)
        )  # fmt: skip
    pipes = await asyncio.gather(*(spawn() for _ in jobs), return_exceptions=True)
    workers = [
        _Worker(pipe, job)
        for pipe, job in zip(pipes, jobs, strict=True)
        if not isinstance(pipe, BaseException)
    ]
    try:
        for pipe in pipes:
            if isinstance(pipe, BaseException):
                raise pipe
        await asyncio.gather(*(_hand_over(worker) for worker in workers))
        start_at = time.perf_counter() + max(worker.pipe.lead_s for worker in workers)
        await asyncio.gather(*(_drive(worker, start_at, prompts) for worker in workers))
    finally:
        for worker in workers:
            await worker.pipe.stop()
    return _merged(workers)


def _split(
    workload: Workload, due: list[Due] | None, count: int
) -> list[tuple[Workload, list[Due] | None]]:
    """A share of the streams, or every count-th arrival, for each process."""
    arrival = workload.arrival
    if isinstance(arrival, ClosedLoop):
        count = min(count, arrival.concurrency)
        shares = [arrival.concurrency // count + (i < arrival.concurrency % count)
                  for i in range(count)]  # fmt: skip
        return [(workload.replace(arrival=ClosedLoop(concurrency=n)), None) for n in shares]
    assert due is not None

    def share(cap: int | None, i: int) -> int | None:
        return None if cap is None else max(1, cap // count + (i < cap % count))

    return [
        (workload, [Due(d.at_s, share(d.max_in_flight, i)) for d in due[i::count]])
        for i in range(count)
    ]


async def _hand_over(worker: _Worker) -> None:
    await _tell(worker, worker.job)
    async with asyncio.timeout(READY_S):
        kind, value = await _hear(worker)
    if kind == "bad":
        raise BadInput(*value)


async def _drive(worker: _Worker, start_at: float, prompts: PromptSource) -> None:
    """Start it, feed it prompts as it asks for them, and take its outcome."""
    await _tell(worker, start_at + worker.pipe.clock_s)
    limit_s = worker.job.duration_s + worker.job.drain_s + READY_S
    async with asyncio.timeout(limit_s):
        while worker.outcome is None:
            kind, value = await _hear(worker)
            if kind == "more":
                await _tell(worker, [prompts.next() for _ in range(_REFILL)])
            elif kind == "bad":
                raise BadInput(*value)
            else:
                worker.outcome = value


async def _tell(worker: _Worker, message: object) -> None:
    await worker.pipe.tell(pickle.dumps(message))


async def _hear(worker: _Worker) -> tuple[str, Any]:
    message: tuple[str, Any] = pickle.loads(await worker.pipe.hear())  # noqa: S301 - our own worker
    return message


def _merged(workers: list[_Worker]) -> RoundOutcome:
    """One round: requests numbered by when they were due, streams numbered through."""
    outcomes = [worker.outcome for worker in workers if worker.outcome]
    samples: list[RequestSample] = []
    streams = 0
    for worker, outcome in zip(workers, outcomes, strict=True):
        samples += [s.model_copy(update={"stream": s.stream + streams}) for s in outcome.samples]
        arrival = worker.job.workload.arrival
        streams += arrival.concurrency if isinstance(arrival, ClosedLoop) else 0
    samples.sort(key=lambda sample: (sample.intended_s, sample.sent_s))
    numbered = tuple(s.model_copy(update={"index": i}) for i, s in enumerate(samples))
    client = together([outcome.client for outcome in outcomes])
    return RoundOutcome(
        numbered,
        max(outcome.loop_lag_p99_ms for outcome in outcomes),
        client,
        any(outcome.saturated for outcome in outcomes),
        tuple(recount for outcome in outcomes for recount in outcome.recounts),
    )
