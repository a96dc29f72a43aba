"""Lanes: one accelerator runs one session at a time, each session in a process of its own."""

import asyncio
import functools
import logging
import os
import re
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from api import advice
from api.service.events import Events
from api.service.jobs import Job
from api.service.remote_store import Methods, methods, serve
from api.settings import Settings
from knowledge.errors import StoreError
from knowledge.types import Event
from tools.home import Home
from tools.store import Status, Store

if TYPE_CHECKING:
    from api.service.backend import Backend

_LOG = logging.getLogger("advisor.lanes")
_MOST_DEATHS = 3
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_ENDED = (Status.DONE, Status.INFEASIBLE)


@dataclass
class Running:
    """A session's process."""

    session: str
    process: asyncio.subprocess.Process
    stopping: asyncio.Task[None] | None = None

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    async def stop(self, drain_s: float, kill_s: float) -> None:
        """Drain, then cancel, then kill; each only when the one before was not enough."""
        for number, patience_s in ((signal.SIGUSR1, drain_s), (signal.SIGTERM, kill_s)):
            if patience_s <= 0:
                continue
            self.signal(number)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), patience_s)
                return
        self.kill()


class Lanes:
    """Takes jobs off the queue, one per lane, until it is stopped."""

    def __init__(
        self,
        count: int,
        settings: Settings,
        home: Home,
        store: Store,
        backend: "Backend",
        events: Events,
        ended: Callable[[Job], None],
    ) -> None:
        self._settings, self._home = settings, home
        self._store, self._jobs, self._events = store, backend.jobs, events
        self._backend = backend
        self._ended = ended
        self._publishing = threading.Lock()
        self._more = asyncio.Event()
        self._closing = False
        self.running: dict[int, Running | None] = dict.fromkeys(range(count))
        self._tasks: list[asyncio.Task[None]] = []
        self._errands: deque[Callable[[int], Coroutine[Any, Any, None]]] = deque()
        self._errand: dict[int, asyncio.Task[None]] = {}

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._lane(number)) for number in self.running]

    def wake(self) -> None:
        """There is something new in the queue."""
        self._more.set()

    def errand(self, work: Callable[[int], Coroutine[Any, Any, None]]) -> None:
        """Work, given the lane's number, that needs a device to itself once no session waits."""
        self._errands.append(work)
        self._more.set()

    def find(self, session: str) -> Running | None:
        return next((one for one in self.running.values() if one and one.session == session), None)

    def cancel(self, session: str, drain_s: float) -> None:
        """Begin to stop a running session. Once is enough."""
        running = self.find(session)
        if running and not running.stopping:
            running.stopping = asyncio.create_task(running.stop(drain_s, self._settings.kill_s))

    def cancel_patiently(self, session: str, drain_s: float | None) -> None:
        """The same, asked for elsewhere; None: as the settings say."""
        self.cancel(session, self._settings.drain_s if drain_s is None else drain_s)

    async def close(self) -> None:
        """Stop what runs so that it can go on after a restart; nothing is taken from the queue."""
        self._closing = True
        self._more.set()
        for errand in self._errand.values():
            errand.cancel()
        for running in self.running.values():
            if running and not running.stopping:
                running.stopping = asyncio.create_task(
                    running.stop(self._settings.drain_s, self._settings.kill_s)
                )
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def append(
        self, session: str, kind: str, payload: dict[str, object], store: Store | None = None
    ) -> Event:
        """Write an event and tell the watchers, in one order for all threads."""
        with self._publishing:
            event = (store or self._store).append(session, kind, payload)
            self._events.publish_from_thread(event)
        return event

    async def _lane(self, number: int) -> None:
        while not self._closing:
            self._more.clear()
            job = await self._taken()
            if job is None:
                if self._errands and not self._closing:
                    await self._run_errand(number, self._errands.popleft())
                else:
                    await self._more.wait()
                continue
            try:
                await self._run(number, job)
            except StoreError as error:
                _LOG.error("session %s: nothing can be written of it: %s", job.session, error)
            except Exception as error:  # noqa: BLE001 - a lane must outlive what happens in it
                _LOG.exception("session %s", job.session)
                await self._patient(self._failed, job, f"{type(error).__name__}: {error}")
            finally:
                self.running[number] = None

    async def _taken(self) -> Job | None:
        try:
            job: Job | None = await self._patient(self._jobs.take)
        except StoreError as error:
            _LOG.error("the queue can't be read: %s", error)
            return None
        return job

    async def _patient(self, work: Callable[..., Any], *values: object) -> Any:
        return await asyncio.to_thread(self._backend.patient(work), *values)

    async def _run_errand(
        self, number: int, work: Callable[[int], Coroutine[Any, Any, None]]
    ) -> None:
        task = self._errand[number] = asyncio.create_task(work(number))
        await asyncio.wait([task])
        del self._errand[number]
        if not task.cancelled() and (error := task.exception()):
            _LOG.error("errand on lane %d", number, exc_info=error)

    async def _run(self, number: int, job: Job) -> None:
        ours, theirs = socket.socketpair()
        log = self._home.session_dir(job.session) / "worker.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as sink, theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "api.service.worker", str(theirs.fileno()), job.session,
                str(self._home.data), str(self._home.cache),
                self._home.objects.url if self._home.objects else "", *self._backend.worker_args,
                stdin=asyncio.subprocess.PIPE, stdout=sink, stderr=sink,
                pass_fds=(theirs.fileno(),), start_new_session=True, env=self._env(number),
            )  # fmt: skip
        running = self.running[number] = Running(job.session, process)
        _LOG.info("lane %d: session %s, pid %d", number, job.session, process.pid)
        if self._closing or self._cancelling(job.session):
            self.cancel(job.session, 0)
        connection = Connection(ours.detach())
        loop = asyncio.get_running_loop()
        llm = advice.offered(self._settings, loop, lambda: process.returncode is None)
        server = threading.Thread(target=self._serve, args=(connection, running, llm), daemon=True)
        server.start()
        code = await process.wait()
        await asyncio.to_thread(server.join)
        connection.close()
        if running.stopping:
            await running.stopping
        running.kill()  # what its process group still holds
        await self._patient(self._conclude, job, code)

    def _serve(self, connection: Connection, running: Running, llm: Methods) -> None:
        store, more = self._backend.ledger(running.session, running.kill)
        append = functools.partial(self.append, store=store)
        offered: Methods = {**methods(store), "append": append, **more}
        patient = {name: self._backend.patient(one) for name, one in offered.items()}
        serve(connection, {**patient, **llm})

    def _cancelling(self, session: str) -> bool:
        job = self._jobs.get(session)
        return job is not None and job.state == "cancelling"

    def _conclude(self, job: Job, code: int) -> None:
        """What became of a session whose process has ended."""
        if not self._jobs.holds(job.session):
            _LOG.warning("session %s goes on elsewhere", job.session)
            return
        status = self._store.session(job.session).status
        if status in _ENDED:
            self._end(job)
        elif self._cancelling(job.session):
            if status is not Status.CANCELLED:
                self.cancelled(job.session)
            self._end(job)
        elif self._closing:
            _LOG.info("session %s goes on after a restart", job.session)
            self._jobs.release(job.session)
        elif status is Status.FAILED:
            failed = [e for e in self._store.events(job.session) if e.kind == "failed"]
            self._end(job, str(failed[-1].payload.get("message", "")) if failed else "")
        elif self._jobs.died(job.session) < _MOST_DEATHS:
            self.append(job.session, "progress", {"text": f"процесс сессии умер ({code}), повтор"})
        else:
            self._failed(job, f"процесс сессии умер {_MOST_DEATHS} раза подряд, код {code}")

    def cancelled(self, session: str) -> None:
        self._store.set_status(session, Status.CANCELLED)
        self.append(session, "cancelled", {})

    def _failed(self, job: Job, message: str) -> None:
        self._store.set_status(job.session, Status.FAILED)
        self.append(job.session, "failed", {"message": message})
        self._end(job, message)

    def _end(self, job: Job, error: str | None = None) -> None:
        self._jobs.end(job.session, error)
        self._ended(job)

    def _env(self, number: int) -> dict[str, str]:
        """No secret goes to a session's process; each lane sees its own GPU."""
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("ADVISOR_") and not _SECRET.search(name)
        }
        return env | self.device_env(number)

    def device_env(self, number: int) -> dict[str, str]:
        """What shows a process the GPU of its lane alone."""
        if len(self.running) < 2:
            return {}
        visible = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
        return {"CUDA_VISIBLE_DEVICES": visible[number] if visible else str(number)}
