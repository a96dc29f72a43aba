"""The load generator: a round of closed-loop or Poisson traffic, every token with its time.

The instrument all figures come from. The clock is read where bytes come in (http.Connection),
prompts are made before the round, garbage collection is off during it, and the loop's own lag is
part of the outcome.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from knowledge.types import ClosedLoop, Poisson, RequestSample, Workload
from tools.load.clock import LoopLag, sleep_until, without_gc
from tools.load.prompts import Prompt, PromptSource
from tools.load.sample import Sent, to_sample
from tools.load.session import Session
from tools.load.stream import Stream
from tools.load.target import Target

__all__ = ["RoundOutcome", "Target", "run_round"]

_OPEN_LOOP_CONNECTIONS = 16
_MOST_PREPARED, _PREPARE_STEPS = 20_000, 60
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 5.0


@dataclass(frozen=True)
class RoundOutcome:
    """Every request of a round, in the order of sending, and how late the client itself was."""

    samples: tuple[RequestSample, ...]
    loop_lag_p99_ms: float


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
) -> RoundOutcome:
    """Load the server for `duration_s`, then wait at most `drain_s` for what is under way.

    What the drain cuts off has the error "cut", what fell silent "timeout". Raises BadInput when
    the server can't be reached at the start; later failures are samples with an error.
    """
    session, arrival = Session(target, workload), workload.arrival
    round_ = _Round(session, prompts, round_index, duration_s, on_sample)
    lag = LoopLag()
    try:
        await session.connect(_connections(arrival))
        await _prepare(prompts, _expected(arrival, prompts, duration_s))
        with without_gc():
            beside = [asyncio.create_task(lag.run())]
            beside.append(asyncio.create_task(session.watch(silence_timeout_s)))
            try:
                await round_.run(arrival, drain_s, random.Random(f"{seed}/{round_index}"))
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.wait(beside)
    finally:
        await session.close()
    prompts.requests_per_s = len(round_.samples) / duration_s
    samples = sorted(round_.samples, key=lambda sample: sample.index)
    return RoundOutcome(tuple(samples), lag.p99_ms)


def _connections(arrival: ClosedLoop | Poisson) -> int:
    """How many to open before the clock starts."""
    if isinstance(arrival, ClosedLoop):
        return arrival.concurrency
    return min(arrival.max_in_flight or _OPEN_LOOP_CONNECTIONS, _OPEN_LOOP_CONNECTIONS)


def _expected(arrival: ClosedLoop | Poisson, prompts: PromptSource, duration_s: float) -> int:
    """How many prompts to make before the clock starts."""
    if not isinstance(arrival, ClosedLoop):
        return int(1.2 * arrival.rate_per_s * duration_s) + 1
    pace = prompts.requests_per_s or 0.0
    return max(int(1.2 * pace * duration_s), 4 * arrival.concurrency)


async def _prepare(prompts: PromptSource, count: int) -> None:
    """Make prompts in short steps, so that whoever shares the loop goes on living."""
    for _ in range(_PREPARE_STEPS):
        if prompts.prepare(min(count, _MOST_PREPARED)):
            break
        await asyncio.sleep(0)


class _Round:
    def __init__(
        self,
        session: Session,
        prompts: PromptSource,
        index: int,
        duration_s: float,
        on_sample: Callable[[RequestSample], None] | None,
    ) -> None:
        self.samples: list[RequestSample] = []
        self._session = session
        self._prompts = prompts
        self._index = index
        self._duration_s = duration_s
        self._on_sample = on_sample
        self._numbered = 0
        self._origin = 0.0
        self._running = 0
        self._backlog: deque[tuple[float, Prompt]] = deque()

    async def run(self, arrival: ClosedLoop | Poisson, drain_s: float, rng: random.Random) -> None:
        """Offer the load and see every request to its end, at the latest when the drain is over."""
        self._origin = time.perf_counter()
        self._session.stop_at = self._origin + self._duration_s
        self._session.cut_at = self._session.stop_at + drain_s
        loop = asyncio.get_running_loop()
        cutter = loop.call_later(self._duration_s + drain_s, self._session.cut)
        try:
            async with asyncio.TaskGroup() as group:
                if isinstance(arrival, ClosedLoop):
                    for stream in range(arrival.concurrency):
                        group.create_task(self._closed_loop(stream))
                else:
                    await self._open_loop(group, arrival, rng)
        finally:
            cutter.cancel()
        self._drop_backlog()

    @property
    def _over(self) -> bool:
        return time.perf_counter() >= self._session.stop_at

    # Closed loop

    async def _closed_loop(self, stream: int) -> None:
        failures = 0
        while not self._over:
            answer = await self._request(self._prompts.next(), stream, None)
            failures = failures + 1 if answer.error else 0
            if failures:
                await self._pause(failures, answer)

    async def _pause(self, failures: int, answer: Stream) -> None:
        """A server that refuses is asked again more and more slowly, or when it says."""
        pause = answer.retry_after_s or _FIRST_PAUSE_S * 2 ** min(failures, 5)
        until = time.perf_counter() + min(pause, _LONGEST_PAUSE_S)
        await sleep_until(min(until, self._session.stop_at))

    # Open loop

    async def _open_loop(
        self, group: asyncio.TaskGroup, arrival: Poisson, rng: random.Random
    ) -> None:
        """Requests on absolute deadlines; those above max_in_flight queue here, in the client."""
        limit = arrival.max_in_flight or float("inf")
        for intended_s, prompt in self._arrivals(arrival, rng):
            if intended_s >= self._duration_s:
                break
            await sleep_until(self._origin + intended_s)
            self._backlog.append((self._origin + intended_s, prompt))
            if self._running < limit:
                self._running += 1
                group.create_task(self._serve_backlog())

    def _arrivals(self, arrival: Poisson, rng: random.Random) -> Iterator[tuple[float, Prompt]]:
        """Prompts with their moments in the round: a trace's own, else exponential gaps."""
        moment, first = 0.0, None
        while True:
            prompt = self._prompts.next()
            if prompt.arrival_s is None:
                moment += rng.expovariate(arrival.rate_per_s)
            else:
                first = prompt.arrival_s if first is None else first
                moment = prompt.arrival_s - first
            yield moment, prompt

    async def _serve_backlog(self) -> None:
        while self._backlog and not self._over:
            intended, prompt = self._backlog.popleft()
            # One stream for all: arrivals are independent, no stream has a first request to drop.
            await self._request(prompt, 0, intended)
        self._running -= 1

    def _drop_backlog(self) -> None:
        """What never left the client is a sample too, or an overload would look like none."""
        for intended, prompt in self._backlog:
            answer = Stream()
            answer.sent = max(self._session.stop_at, intended)
            answer.fail(max(time.perf_counter(), answer.sent), "cut")
            self._note(self._number(), prompt, 0, intended, answer)

    # One request

    async def _request(self, prompt: Prompt, stream: int, intended: float | None) -> Stream:
        index = self._number()
        answer = await self._session.ask(prompt)
        self._note(index, prompt, stream, answer.sent if intended is None else intended, answer)
        return answer

    def _number(self) -> int:
        self._numbered += 1
        return self._numbered - 1

    def _note(
        self, index: int, prompt: Prompt, stream: int, intended: float, answer: Stream
    ) -> None:
        sent = Sent(prompt, index, self._index, stream, self._origin, intended)
        sample = to_sample(sent, answer, self._prompts.tokenizer)
        self.samples.append(sample)
        if self._on_sample:
            self._on_sample(sample)
