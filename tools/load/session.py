"""Connections to one server, and one request over them with everything that may go wrong."""

import asyncio
import time

from knowledge.errors import BadInput
from knowledge.types import Workload
from tools.load.connection import Connection, Stamps
from tools.load.http import CONNECT_TIMEOUT_S, connect, parse_url, render
from tools.load.prompts import Prompt
from tools.load.stream import Stream
from tools.load.target import Target

_CONNECT_AT_ONCE = 64
_REFUSED = (400, 422)


class Session:
    """A pool of keep-alive connections. Requests are sent until `stop_at`, and cut at `cut_at`.

    Raises BadInput for a URL or a key that can't be used.
    """

    def __init__(self, target: Target, workload: Workload) -> None:
        self._target = target
        self.workload = workload
        self._address = parse_url(target.base_url)
        self._protocol = target.protocol
        self._path = target.path
        self._render(b"{}")  # a key that no header can hold is found now, not in every request
        self._idle: list[Connection] = []
        self._open: dict[Stream, Connection] = {}
        self.stamps = Stamps()
        self.stop_at = self.cut_at = float("inf")

    async def connect(self, count: int) -> None:
        """Open `count` connections. Raises BadInput when not even the first can be had."""
        try:
            self._idle.append(await connect(self._address, stamps=self.stamps))
        except (OSError, TimeoutError) as error:
            raise BadInput(
                f"сервер не отвечает: {self._address}", "Проверьте адрес и запущен ли сервер"
            ) from error
        for first in range(1, count, _CONNECT_AT_ONCE):
            batch = range(first, min(first + _CONNECT_AT_ONCE, count))
            opened = await asyncio.gather(
                *(connect(self._address, stamps=self.stamps) for _ in batch), return_exceptions=True
            )
            self._idle += [c for c in opened if isinstance(c, Connection)]

    @property
    def waiting(self) -> int:
        """Requests under way that have no token yet."""
        return sum(not answer.chunks for answer in self._open)

    def unsent(self) -> Stream:
        """An answer to what was never sent."""
        return Stream(self._protocol.read)

    async def ask(self, prompt: Prompt) -> Stream:
        """One answer, good or bad. Sends again on a stale connection or with fewer fields."""
        dialect, retried = self._target.dialect, False
        level = dialect.level
        while True:
            body = self._target.body(prompt, self.workload, level)
            answer, stale = await self._exchange(body, fresh=retried)
            if answer.status == 200:
                dialect.accept(level)
            now = time.perf_counter()
            if stale and not retried and now < self.cut_at:  # also after the last moment to ask
                retried = True
                continue
            if now >= self.stop_at:
                return answer
            fewer = (
                dialect.after_refusal(level, self._protocol.levels)
                if answer.status in _REFUSED
                else None
            )
            if fewer is None:
                return answer
            level = fewer

    async def _exchange(self, body: bytes, *, fresh: bool) -> tuple[Stream, bool]:
        """The answer, and whether a kept connection had only been closed by the server."""
        answer, request = self.unsent(), self._render(body)
        answer.sent = time.perf_counter()
        try:
            connection = await self._connection(fresh=fresh)
        except (OSError, TimeoutError):
            answer.fail(time.perf_counter(), "connect")
            return answer, False
        if time.perf_counter() >= self.cut_at:  # while the connection was being made
            self._idle.append(connection)
            answer.fail(time.perf_counter(), "cut")
            return answer, False
        answer.sent = connection.send(request, answer)
        self._open[answer] = connection
        await answer.done
        del self._open[answer]
        stale = connection.stale
        if connection.reusable:
            self._idle.append(connection)
        else:
            connection.close()
        if answer.error is not None:
            answer.error = self._target.redact(answer.error)
        return answer, stale

    def _render(self, body: bytes) -> bytes:
        return render(self._address, "POST", self._path, body, self._target.api_key)

    async def _connection(self, *, fresh: bool) -> Connection:
        while self._idle and not fresh:
            connection = self._idle.pop()
            if connection.reusable:
                return connection
            connection.close()
        left = max(0.0, self.cut_at - time.perf_counter())
        return await connect(self._address, min(CONNECT_TIMEOUT_S, left), self.stamps)

    def cut(self) -> None:
        """End everything that is under way with the error "cut", and let nothing follow.

        A timer may ring a little early (uvloop rounds to milliseconds), hence the new limits.
        """
        now = time.perf_counter()
        self.stop_at = min(self.stop_at, now)
        self.cut_at = min(self.cut_at, now)
        for answer in self._open:
            answer.fail(now, "cut")

    async def watch(self, silence_s: float) -> None:
        """End what has not sent a byte for `silence_s` with the error "timeout"."""
        while True:
            await asyncio.sleep(min(1.0, silence_s / 4))
            now = time.perf_counter()
            for answer, connection in self._open.items():
                if now - connection.heard > silence_s:
                    answer.fail(now, "timeout")

    async def close(self) -> None:
        for connection in (*self._idle, *self._open.values()):
            connection.close()
        await asyncio.sleep(0)  # transports tell their protocols in the next turn of the loop
