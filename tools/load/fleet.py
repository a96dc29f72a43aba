"""A round spread over several processes, for servers that one core of the client can't follow."""

import asyncio
import pickle
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from knowledge.errors import BadInput, NothingMeasured
from knowledge.types import ClosedLoop, RequestSample, Workload
from tools.load.arrivals import Due
from tools.load.generator import RoundOutcome
from tools.load.health import together
from tools.load.prompts import Prompt, PromptSource
from tools.load.target import Target
from tools.load.tokenizer import Tokenizer

_LENGTH = struct.Struct("!Q")
_LEAD_S = 0.05
_READY_S = 30.0
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


@dataclass
class _Worker:
    process: asyncio.subprocess.Process
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
    workers = [_Worker(await _spawn(), job) for job in jobs]
    try:
        await asyncio.gather(*(_hand_over(worker) for worker in workers))
        start_at = time.perf_counter() + _LEAD_S
        await asyncio.gather(*(_drive(worker, start_at, prompts) for worker in workers))
    finally:
        for worker in workers:
            if worker.process.returncode is None:
                worker.process.kill()
            await worker.process.wait()
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


async def _spawn() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tools.load._worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


async def _hand_over(worker: _Worker) -> None:
    await _tell(worker, worker.job)
    async with asyncio.timeout(_READY_S):
        kind, value = await _hear(worker)
    if kind == "bad":
        raise BadInput(*value)


async def _drive(worker: _Worker, start_at: float, prompts: PromptSource) -> None:
    """Start it, feed it prompts as it asks for them, and take its outcome."""
    await _tell(worker, start_at)
    limit_s = worker.job.duration_s + worker.job.drain_s + _READY_S
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
    assert worker.process.stdin
    data = pickle.dumps(message)
    worker.process.stdin.write(_LENGTH.pack(len(data)) + data)
    await worker.process.stdin.drain()


async def _hear(worker: _Worker) -> tuple[str, Any]:
    assert worker.process.stdout
    try:
        head = await worker.process.stdout.readexactly(_LENGTH.size)
        data = await worker.process.stdout.readexactly(_LENGTH.unpack(head)[0])
    except asyncio.IncompleteReadError as error:
        raise NothingMeasured("процесс генератора нагрузки умер", "Повторите замер") from error
    message: tuple[str, Any] = pickle.loads(data)  # noqa: S301 - from our own child
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
