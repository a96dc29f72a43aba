"""One round under way: who sends when, and what became of it."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from knowledge.types import ClosedLoop, RequestSample
from tools.load.arrivals import Due
from tools.load.clock import Pacer, sleep_until
from tools.load.health import Notes
from tools.load.prompts import Prompt, PromptSource
from tools.load.sample import Recount, Sent, recount, to_sample
from tools.load.session import Session
from tools.load.stream import Stream

_BOOK_S = 0.01
_MOST_RECOUNTS = 200
_STARTED_AT_ONCE, _GROUP_S, _RAMP_SHARE = 8, 0.0032, 0.1
"""Streams start in small groups: a client that sends hundreds of requests at once is late to read
the first answers. The ramp takes a tenth of the round at most."""
_SAME_START_S = 0.02
"""Processes of a fleet count from the same moment, unless one came late to it."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 5.0
_LOOK_S = 0.5
_HOPELESS_S = 4.0
_SETTLED_SHARE, _LEAST_SETTLED_S = 0.5, 4.0
"""Before that no round is ended because enough was seen."""
Enough = Callable[[Sequence[RequestSample]], bool]
"""Given all answers of a round so far: whether more of them can't change what it is for."""
_GROWTH = 1.5


class Round:
    """Offers the load, and keeps answers until they are booked as samples."""

    def __init__(
        self,
        session: Session,
        prompts: PromptSource,
        index: int,
        duration_s: float,
        on_sample: Callable[[RequestSample], None] | None,
        stop_saturated: bool = False,
        enough: Enough | None = None,
    ) -> None:
        self.samples: list[RequestSample] = []
        self.recounts: list[Recount] = []
        self.notes = Notes()
        self.duration_s = duration_s
        self.saturated = False
        self.ended_s: float | None = None
        self._session = session
        self._prompts = prompts
        self._index = index
        self._on_sample = on_sample
        self._stop_saturated = stop_saturated
        self._enough = enough
        self._numbered = 0
        self._origin = 0.0
        self._running = 0
        self._backlog: deque[tuple[float, Prompt]] = deque()
        self._answers: deque[tuple[Sent, Stream]] = deque()

    async def run(self, due: Iterable[Due] | None, drain_s: float, start_at: float) -> None:
        """Offer the load and see every request to its end, at the latest when the drain is over.

        `due` is the schedule of an open loop, None for a closed one.
        """
        await sleep_until(start_at)
        self.notes.start()
        self._origin = max(start_at, time.perf_counter() - _SAME_START_S)
        self._session.stop_at = self._origin + self.duration_s
        self._session.cut_at = self._session.stop_at + drain_s
        loop = asyncio.get_running_loop()
        cutter = loop.call_later(self.duration_s + drain_s, self._session.cut)
        look = asyncio.create_task(self._look()) if self._stop_saturated and due else None
        if self._enough and due is None:
            look = asyncio.create_task(self._end_early(self._enough, drain_s))
        try:
            async with asyncio.TaskGroup() as group:
                if due is None:
                    assert isinstance(self._session.workload.arrival, ClosedLoop)
                    streams = self._session.workload.arrival.concurrency
                    ramp_s = _RAMP_SHARE * self.duration_s
                    for stream in range(streams):
                        group.create_task(self._closed_loop(stream, (stream + 1) / streams))
                        if stream % _STARTED_AT_ONCE == _STARTED_AT_ONCE - 1:
                            await asyncio.sleep(min(_GROUP_S, ramp_s * _STARTED_AT_ONCE / streams))
                else:
                    await self._open_loop(group, due)
        finally:
            cutter.cancel()
            if look:
                look.cancel()
        self._drop_backlog()

    @property
    def _over(self) -> bool:
        return time.perf_counter() >= self._session.stop_at

    # Closed loop

    async def _closed_loop(self, stream: int, first_share: float) -> None:
        """Request after request. The first answer is asked for only in part, by stream.

        Streams that start together would stay in step, prefill together and decode together, as
        no users do, and the figures would swing with that wave. A trace is sent as it stands.
        """
        failures, before, prompt = 0, 0.0, self._prompts.next()
        if not self._prompts.traced:
            prompt = replace(prompt, output_tokens=math.ceil(first_share * prompt.output_tokens))
        while not self._over:
            answer = await self._converse(prompt, stream, None, before)
            before, prompt = answer.ended, self._prompts.next()
            failures = failures + 1 if answer.error else 0
            if failures:
                await self._pause(failures, answer)
                before = 0.0
        self.notes.stream_s += self.duration_s

    async def _pause(self, failures: int, answer: Stream) -> None:
        """A server that refuses is asked again more and more slowly, or when it says."""
        pause = answer.retry_after_s or _FIRST_PAUSE_S * 2 ** min(failures, 5)
        until = time.perf_counter() + min(pause, _LONGEST_PAUSE_S)
        await sleep_until(min(until, self._session.stop_at))

    # Open loop

    async def _open_loop(self, group: asyncio.TaskGroup, due: Iterable[Due]) -> None:
        """Requests on absolute deadlines; those above max_in_flight queue here, in the client."""
        self.notes.asked = self.notes.taken_up = 0
        pacer = Pacer()
        try:
            for arrival, prompt in self._arrivals(due):
                if arrival.at_s >= self.duration_s:
                    break
                intended = self._origin + arrival.at_s
                self.notes.asked += 1
                await pacer.until(intended)
                if self._over:  # stopped, or so late that the round has ended meanwhile
                    self._backlog.append((intended, prompt))
                    continue
                self.notes.taken_up += 1
                self.notes.late_s.append(time.perf_counter() - intended)
                self._backlog.append((intended, prompt))
                if arrival.max_in_flight is None or self._running < arrival.max_in_flight:
                    self._running += 1
                    group.create_task(self._serve_backlog())
        finally:
            pacer.close()

    def _arrivals(self, due: Iterable[Due]) -> Iterator[tuple[Due, Prompt]]:
        """Prompts with their moments in the round: a trace's own, else those of the schedule."""
        schedule = iter(due)
        first = self._prompts.next()
        if first.arrival_s is None:
            for moment in schedule:
                yield moment, first
                first = self._prompts.next()
            return
        cap = getattr(self._session.workload.arrival, "max_in_flight", None)
        prompt, origin = first, first.arrival_s
        while True:
            yield Due((prompt.arrival_s or 0.0) - origin, cap), prompt
            prompt = self._prompts.next()

    async def _serve_backlog(self) -> None:
        while self._backlog and not self._over:
            intended, prompt = self._backlog.popleft()
            # One stream for all: arrivals are independent, no stream has a first request to drop.
            await self._converse(prompt, 0, intended, 0.0)
        self._running -= 1

    def _drop_backlog(self) -> None:
        """What never left the client is a sample too, or an overload would look like none."""
        for intended, prompt in self._backlog:
            answer = self._session.unsent()
            answer.sent = max(self._session.stop_at, intended)
            answer.fail(max(time.perf_counter(), answer.sent), "cut")
            self._note(self._number(), prompt, 0, intended, answer)

    async def _look(self) -> None:
        """End a hopeless round: those without a first token grow in number, and by Little's law
        the last of them would wait for seconds."""
        history: list[int] = []
        rate = getattr(self._session.workload.arrival, "rate_per_s", 0.0)
        while True:
            await asyncio.sleep(_LOOK_S)
            waiting = self._session.waiting + len(self._backlog)
            history.append(waiting)
            earlier = history[len(history) // 2]
            if waiting > rate * _HOPELESS_S and waiting > _GROWTH * earlier + 4:
                self.saturated = True
                self._session.cut()
                return

    async def _end_early(self, enough: Enough, drain_s: float) -> None:
        """No new requests once enough is seen; those under way are waited for as ever."""
        begins = max(_SETTLED_SHARE * self.duration_s, _LEAST_SETTLED_S)
        while (seconds := time.perf_counter() - self._origin) < self.duration_s:
            if seconds >= begins and enough(sorted(self.samples, key=lambda s: s.intended_s)):
                self.duration_s = self.ended_s = seconds
                self._session.stop_at = self._origin + seconds
                self._session.cut_at = self._session.stop_at + drain_s
                return
            await asyncio.sleep(2 * _LOOK_S)

    # One request, or several that build on each other

    async def _converse(
        self, prompt: Prompt, stream: int, intended: float | None, before: float
    ) -> Stream:
        """The prompt and the turns that follow it, each after its pause."""
        answer = await self._request(prompt, stream, intended, before)
        for turn in prompt.turns:
            if answer.error or self._over:
                break
            prompt = prompt.followed_by(turn, answer.text, answer.output_tokens)
            due = answer.ended + turn.think_s
            if turn.think_s:
                await sleep_until(min(due, self._session.stop_at))
                if self._over:
                    break
            answer = await self._request(prompt, stream, due if intended else None, 0.0)
        return answer

    async def _request(
        self, prompt: Prompt, stream: int, intended: float | None, before: float
    ) -> Stream:
        index = self._number()
        answer = await self._session.ask(prompt)
        if before:
            self.notes.idle_s += max(0.0, answer.sent - before)
        if intended is not None:
            self.notes.queued_s.append(answer.sent - intended)
        self._note(index, prompt, stream, answer.sent if intended is None else intended, answer)
        return answer

    def _number(self) -> int:
        self._numbered += 1
        return self._numbered - 1

    # Books

    def _note(
        self, index: int, prompt: Prompt, stream: int, intended: float, answer: Stream
    ) -> None:
        sent = Sent(prompt, index, self._index, stream, self._origin, intended)
        self._answers.append((sent, answer))

    def book(self) -> bool:
        """Turn one answer into its sample; False when there is none."""
        if not self._answers:
            return False
        sent, answer = self._answers.popleft()
        sample = to_sample(sent, answer, self._prompts.tokenizer)
        if len(self.recounts) < _MOST_RECOUNTS:
            found = recount(answer, self._prompts.tokenizer)
            self.recounts += [found] if found else []
        self.samples.append(sample)
        if self._on_sample:
            self._on_sample(sample)
        return True

    async def keep_books(self) -> None:
        """Beside the load, one answer a turn of the loop: the next request must not wait for it."""
        while True:  # noqa: ASYNC110 - nothing to wait for: it looks when it may
            await asyncio.sleep(0 if self.book() else _BOOK_S)
