"""Consultation without an LLM in processes of its own: it computes, and the service must serve."""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from datetime import date

from advisor.consultation import Message, Services, SessionRequest, SessionView, consult
from knowledge.prediction import speed

_BLAS_THREADS = "OPENBLAS_NUM_THREADS"
_WARM = (("user", "Влезет ли Llama 8B в H100?"),)


class Aside:
    """`count` processes; with none every question is answered where it is asked."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool = self._made() if count else None

    def _made(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(self._count, context, initializer=_go_with_the_service)
        with _one_thread_each():
            for _ in range(self._count):
                pool.submit(_warm_up)  # the first starts all the processes
        return pool

    async def texts(self, messages: Sequence[Message], today: date) -> list[str] | None:
        """The answer; None where the asking process has to see to it."""
        pool = self._pool
        if pool is None:
            return None
        plain = tuple((message.role, message.content) for message in messages)
        try:
            return await asyncio.wrap_future(pool.submit(_texts, plain, today))
        except BrokenProcessPool:
            if self._pool is pool:  # the first of all who waited for it makes a new one
                self._pool = self._made()
            return None

    def close(self) -> None:
        """No question is taken any more."""
        pool, self._pool = self._pool, None
        if pool:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started within do their algebra in one thread.

    Matrices of 256 rows gain nothing from two, and a second one takes the core of the service:
    145 answers a second against 108 on two cores (bench.service, 2026-11-25).
    """
    before = os.environ.get(_BLAS_THREADS)
    os.environ[_BLAS_THREADS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_BLAS_THREADS]
        else:
            os.environ[_BLAS_THREADS] = before


class _NoSessions:
    """There is no service here: a question that needs one goes back to it."""

    touched = False

    async def recent(self) -> Sequence[SessionView]:
        self.touched = True
        return ()

    async def start(self, request: SessionRequest) -> str | None:
        self.touched = True
        return None


def _warm_up() -> None:
    """The first user need not wait for imports, and no user for what all questions share."""
    _texts(_WARM, date(2026, 1, 1))
    speed.prepare()


def _texts(messages: tuple[tuple[str, str], ...], today: date) -> list[str] | None:
    sessions = _NoSessions()

    async def collect() -> list[str]:
        asked = [Message.model_validate({"role": r, "content": text}) for r, text in messages]
        services = Services(today=today, sessions=sessions)
        return [piece.text async for piece in consult(asked, services=services) if piece.text]

    texts = _at_once(collect())
    return None if sessions.touched else texts


def _at_once(coroutine: Coroutine[object, None, list[str]]) -> list[str] | None:
    """The result of what never waits for anything; a loop for each question would cost more."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return list(end.value)
    coroutine.close()
    return None


def _go_with_the_service() -> None:
    """And not before it, when a terminal signals the whole group; nor after it, when it is killed:
    the pool's own pipes would not tell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent

    def wait() -> None:
        parent.join()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
