"""python -m tools.load._worker: one process of a fleet. Pickled frames in and out, see fleet.py."""

import asyncio
import os
import pickle
import struct
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from tools.load.fleet import Job
    from tools.load.prompts import Prompt
    from tools.load.tokenizer import Tokenizer

_LENGTH = struct.Struct("!Q")
_LOW_WATER = 32
_EMPTY_S = 0.0005


class FedPrompts:
    """Prompts that the parent made; more are asked for before they run out."""

    def __init__(self, job: "Job", inlet: BinaryIO, outlet: BinaryIO) -> None:
        self.tokenizer: Tokenizer | None = job.tokenizer
        self.requests_per_s: float | None = None
        self.processes = 1
        self.traced = job.workload.trace_path is not None
        self._ready: deque[Prompt] = deque(job.prompts)
        self._inlet, self._outlet = inlet, outlet
        self._asked = job.due is not None  # an open loop has all it needs

    def listen(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while (batch := hear(self._inlet)) is not None:
            self._ready.extend(batch)  # type: ignore[arg-type]
            self._asked = False
        os._exit(0)  # the parent is gone

    def next(self) -> "Prompt":
        if not self._asked and len(self._ready) < _LOW_WATER:
            self._asked = True
            tell(self._outlet, ("more", None))
        while not self._ready:
            time.sleep(_EMPTY_S)  # shows as lag, so that the round says so
        return self._ready.popleft()

    def prepare(self, count: int, budget_s: float = 0.05) -> bool:
        return True


def hear(inlet: BinaryIO) -> object | None:
    """The next frame; None when the other side is gone."""
    head = inlet.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    found: object = pickle.loads(inlet.read(_LENGTH.unpack(head)[0]))  # noqa: S301 - our parent
    return found


def tell(outlet: BinaryIO, message: object) -> None:
    data = pickle.dumps(message)
    outlet.write(_LENGTH.pack(len(data)) + data)
    outlet.flush()


async def _work(job: "Job", inlet: BinaryIO, outlet: BinaryIO) -> None:
    from tools.load.generator import run_here
    from tools.load.round import Round
    from tools.load.session import Session

    prompts = FedPrompts(job, inlet, outlet)
    session = Session(job.target, job.workload)

    def begin() -> float:
        tell(outlet, ("ready", None))
        start_at = hear(inlet)
        prompts.listen()
        assert isinstance(start_at, float)
        return start_at

    round_ = Round(session, prompts, job.round_index, job.duration_s, None, job.stop_saturated)  # type: ignore[arg-type]
    outcome = await run_here(
        session,
        round_,
        job.due,
        prompts,  # type: ignore[arg-type]
        drain_s=job.drain_s,
        silence_timeout_s=job.silence_timeout_s,
        begin=begin,
    )
    tell(outlet, ("done", outcome))


def main() -> None:
    """One job, then the end."""
    from knowledge.errors import BadInput

    inlet, outlet = sys.stdin.buffer, sys.stdout.buffer
    job = hear(inlet)
    if job is None:
        return
    try:
        try:
            import uvloop

            uvloop.run(_work(job, inlet, outlet))  # type: ignore[arg-type]
        except ImportError:
            asyncio.run(_work(job, inlet, outlet))  # type: ignore[arg-type]
    except BadInput as error:
        tell(outlet, ("bad", (error.message, error.hint)))


if __name__ == "__main__":
    main()
