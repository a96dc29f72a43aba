"""The Service: the one thing that every edge calls."""

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from advisor import approval, runner
from api.errors import ApiError
from api.schemas import (
    HookAnswer,
    LaneView,
    PlanView,
    QueueView,
    SessionDetail,
    SessionPage,
    SessionRequest,
    SessionView,
    TrialPage,
)
from api.service import planning
from api.service.backend import backend_of
from api.service.database import now_text
from api.service.events import Encoded, Events
from api.service.intake import Intake
from api.service.jobs import Job, Jobs
from api.service.keys import Keys, Principal
from api.service.lanes import Lanes
from api.service.policy import Policy
from api.service.reports import Reports
from api.service.roots import Roots
from api.service.urls import UrlGuard
from api.service.views import session_detail, session_view, trial_views
from api.service.webhooks import Webhooks
from api.settings import Settings
from api.tasks import NAIVE_FROM_S
from knowledge.errors import BadInput
from knowledge.types import Event, Hardware, Task
from tools.hardware import inspect
from tools.store import SessionRecord, SessionRow, Store

if TYPE_CHECKING:
    from api.chat.aside import Aside

_MOST_TEXTS = 1000
_ACTIVE = ("queued", "running", "cancelling")
Origin = Literal["api", "chat", "mcp", "slack", "hook", "watch", "dashboard", "cli"]


class Service:
    """Sessions as jobs over one store. Made by `Service.open`, inside a running event loop."""

    settings: Settings
    store: Store
    keys: Keys
    jobs: Jobs
    events: Events
    reports: Reports
    urls: UrlGuard
    hardware: Hardware
    intake: Intake
    aside: "Aside"
    local_token: str | None = None

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.home = settings.folders()
        self.backend = backend_of(settings)
        self.database = self.backend.tables
        self.keys = Keys(self.database)
        self.jobs = self.backend.jobs
        self.roots = Roots(
            (*settings.roots, self.home.models, self.home.artifacts),
            allow_remote_code=settings.allow_remote_code,
        )
        self.urls = UrlGuard(settings.allowed_hosts)
        self.on_end: list[Callable[[SessionView, Job], Coroutine[Any, Any, None]]] = []
        """Called when a session has ended: notifications of the edges."""
        self.on_begin: list[Callable[[SessionView, Job], Coroutine[Any, Any, None]]] = []
        """Called when a session is in the queue, in the context of who asked for it."""
        self._texts: dict[tuple[str, str], str] = {}
        self._submitting = asyncio.Lock()
        self._telling: set[asyncio.Task[None]] = set()
        self.ready = False

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator["Service"]:
        """Take the store, go on with the queue; on leaving, stop so that a restart can go on."""
        service = cls(settings)
        try:
            with service.backend.open_store() as store:
                await service._start(store)
                try:
                    yield service
                finally:
                    await service._stop()
        finally:
            service.backend.close()

    async def _start(self, store: Store) -> None:
        self.store = store
        self.events = Events(store)
        self.local_token = secrets.token_urlsafe(32)
        self.reports = Reports(store, self.settings.reports_dir)
        # Once: measuring a CPU's ceilings anew for each request would disturb what is running.
        self.hardware = await asyncio.to_thread(inspect, self.home)
        self.intake = Intake(self.settings, self.home, self.roots, self.urls, self.hardware)
        gpus = self.hardware.device_count if self.hardware.device.kind == "cuda" else 1
        count = self.settings.lanes or gpus
        self._loop = asyncio.get_running_loop()
        self.lanes = Lanes(
            count, self.settings, self.home, store, self.backend, self.events, self._job_ended
        )
        self.backend.begin(self.hardware)
        self.on_end.append(Webhooks(self.urls, self.settings.webhook_secret).tell)
        for job in self.jobs.recover():
            self.lanes.cancelled(job.session)
            self.jobs.end(job.session)
        for job in self.jobs.waiting():
            self.events.begin(job.session)
        self.lanes.start()
        self.backend.attend(self.lanes, self.events)
        from api.chat.aside import Aside

        self.aside = Aside(self.settings.consultants)
        self.ready = True

    async def _stop(self) -> None:
        self.ready = False
        await self.events.close()
        await self.lanes.close()
        await asyncio.to_thread(self.backend.rest)
        await asyncio.to_thread(self.aside.close)
        for task in self._telling:
            task.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)

    # What is asked

    async def submit(
        self,
        request: SessionRequest,
        principal: Principal,
        origin: Origin,
        *,
        idempotency_key: str | None = None,
        notify: str | None = None,
        rule: str | None = None,
    ) -> tuple[SessionView, bool]:
        """Put a session into the queue; False when the idempotency key named one that is there.

        Raises ApiError and BadInput before anything is written.
        """
        if idempotency_key is None:
            return await self._submit(request, principal, origin, notify, rule), True
        digest = hashlib.sha256(request.model_dump_json().encode()).hexdigest()
        async with self._turn(f"{principal.key_id}:{idempotency_key}"):
            known = self.jobs.known_request(principal.key_id, idempotency_key)
            if known is None:
                view = await self._submit(request, principal, origin, notify, rule)
                self.jobs.remember_request(principal.key_id, idempotency_key, digest, view.id)
                return view, True
        if known[0] != digest:
            raise ApiError(
                409, "idempotency_conflict", "С этим Idempotency-Key уже был другой запрос",
                "Возьмите новый ключ", param="Idempotency-Key",
            )  # fmt: skip
        return await self.session(known[1]), False

    async def _submit(
        self,
        request: SessionRequest,
        principal: Principal,
        origin: Origin,
        notify: str | None,
        rule: str | None,
    ) -> SessionView:
        request = await self.intake.check(request, principal)
        waiting = self.jobs.waiting()
        if len(waiting) >= self.settings.queue_limit:
            raise ApiError(
                429, "queue_full", f"В очереди уже {len(waiting)} сессий", "Повторите позже",
                headers={"Retry-After": "60"},
            )  # fmt: skip
        task = await self.intake.task(request, checked=True)
        naive = request.naive
        run_naive = naive if naive is not None else task.budget.seconds >= NAIVE_FROM_S
        runner.require_budget(task, run_naive)
        if not waiting and not any(self.lanes.running.values()):
            await asyncio.to_thread(runner.require_room, task)
        wait_s = self.settings.approval_wait_s if request.approvals else None
        options = runner.Options(run_naive, self.settings.reports_dir, request.model, wait_s)
        session = await asyncio.to_thread(self._create, task, options)
        self.events.begin(session)
        job = Job(
            session, "queued", origin, principal.key_id, now_text(), webhook=request.webhook,
            notify=notify, rule=rule, fingerprint=task.model.fingerprint,
        )  # fmt: skip
        self.jobs.add(job)
        await self._append(session, "queued", position=len(waiting) + 1, origin=origin)
        self.lanes.wake()
        view = await self.session(session)
        for hook in self.on_begin:
            with contextlib.suppress(OSError, ApiError):
                await hook(view, job)
        return view

    def _create(self, task: Task, options: runner.Options) -> str:
        """Two equal tasks in one second would have one id: the later one gets the next second."""
        at = datetime.now(UTC)
        while any(row.session == runner.new_session_id(task, at) for row in self.store.sessions()):
            at += timedelta(seconds=1)
        try:
            return runner.create(task, options, self.store, at)
        except BadInput:  # another replica was faster
            return runner.create(task, options, self.store, at + timedelta(seconds=1))

    @asynccontextmanager
    async def _turn(self, name: str) -> AsyncIterator[None]:
        """Who asks the same at the same time, here or of another replica, waits."""
        async with self._submitting:
            turn = self.database.alone(name)
            await asyncio.to_thread(turn.__enter__)
            try:
                yield
            finally:
                await asyncio.to_thread(turn.__exit__, None, None, None)

    async def new_model(self, model: str, principal: Principal, origin: Origin) -> HookAnswer:
        """Start what the policy file asks for this model, unless that was done before."""
        rule = Policy.load(self.settings.hook_policy).rule_for(model)
        if rule is None:
            return HookAnswer(outcome="skipped", reason="ни одно правило не подходит")
        request = await self.intake.check(rule.request(model), principal)
        task = await self.intake.task(request)
        mark = f"{rule.name}:{rule.content_id(8)}"
        async with self._turn(f"{task.model.fingerprint}:{mark}"):
            if known := self.jobs.done_before(task.model.fingerprint, mark):
                return HookAnswer(
                    outcome="skipped", reason="эта модель по этому правилу уже настраивалась",
                    rule=rule.name, session=known,
                )  # fmt: skip
            view = await self._submit(request, principal, origin, rule.notify, mark)
        return HookAnswer(outcome="started", reason="", rule=rule.name, session=view.id)

    async def plan(self, request: SessionRequest, principal: Principal) -> PlanView:
        """A dry run: what a session would try, what it expects, how long the device is busy."""
        request = await self.intake.check(request, principal)
        task = await self.intake.task(request)
        return await asyncio.to_thread(asyncio.run, planning.plan(task, self.home, request.naive))

    async def cancel(self, session: str, drain_s: float | None = None) -> SessionView:
        """Stop a session: a waiting one at once, a running one after the trial in flight."""
        await self.row(session)
        if self.jobs.move(session, ("queued",), "cancelling"):
            await asyncio.to_thread(self.lanes.cancelled, session)
            self.jobs.end(session)
            self.events.end(session)
        elif self.jobs.move(session, ("running",), "cancelling", drain_s):
            await self._append(session, "cancelling")
            self.lanes.cancel(session, self.settings.drain_s if drain_s is None else drain_s)
        else:
            view = await self.session(session)
            if view.state != "cancelling":
                raise ApiError(
                    409, "not_running", f"Сессия {session} не идёт и не ждёт: {view.state}"
                )
        return await self.session(session)

    async def resume(self, session: str, principal: Principal) -> SessionView:
        """Put a session that was cancelled, failed or interrupted back into the queue."""
        view = await self.session(session)
        if view.state in _ACTIVE:
            return view
        if view.state in ("done", "infeasible"):
            raise ApiError(409, "already_done", f"Сессия {session} уже завершена: {view.state}")
        old = self.jobs.get(session)
        self.jobs.add(
            Job(
                session, "queued", old.origin if old else "cli", principal.key_id, now_text(),
                webhook=old.webhook if old else None, notify=old.notify if old else None,
                rule=old.rule if old else None, fingerprint=old.fingerprint if old else None,
            )
        )  # fmt: skip
        self.events.begin(session)
        await self._append(session, "queued", resumed=True)
        self.lanes.wake()
        return await self.session(session)

    async def approve(self, session: str, question: str, *, approved: bool, by: str) -> None:
        """A person's word on a risky step. Raises ApiError where nobody asks, or all is said."""
        await self.row(session)
        events = await asyncio.to_thread(self.store.events, session)
        asked = {e.payload.get("id") for e in events if e.kind == approval.ASKED}
        said = [
            e for e in events if e.kind == approval.ANSWERED and e.payload.get("id") == question
        ]
        if question not in asked:
            raise ApiError(404, "not_found", f"Сессия {session} об этом не спрашивала")
        if said:
            raise ApiError(409, "already_answered", "На этот вопрос уже ответили")
        await self._append(session, approval.ANSWERED, id=question, approved=approved, by=by)

    # What is seen

    async def rows(self) -> list[SessionRow]:
        return list(await asyncio.to_thread(self.store.sessions))

    async def row(self, session: str) -> SessionRow:
        """The row of exactly this id. Raises ApiError 404."""
        rows = await self.rows()
        found = next((row for row in rows if row.session == session), None)
        if found is None:
            raise ApiError(
                404, "not_found", f"Сессии «{session}» нет", "Список: GET /v1/sessions",
                param="session",
            )  # fmt: skip
        return found

    async def session(self, session: str) -> SessionView:
        row = await self.row(session)
        waiting = [job.session for job in self.jobs.waiting()]
        return session_view(row, self.jobs.get(session), waiting)

    async def sessions(
        self, limit: int = 20, after: str | None = None, state: str | None = None
    ) -> SessionPage:
        """The newest first; `after` is the id of the last one of the page before."""
        rows = await self.rows()
        waiting = [job.session for job in self.jobs.waiting()]
        jobs = self.jobs.all()
        if after is not None:
            names = [row.session for row in rows]
            if after not in names:
                raise ApiError(400, "invalid_cursor", "after: такой сессии нет", param="after")
            rows = rows[names.index(after) + 1 :]
        views = (session_view(row, jobs.get(row.session), waiting) for row in rows)
        chosen = [view for view in views if state is None or view.state == state]
        more = len(chosen) > limit
        chosen = chosen[:limit]
        return SessionPage(data=chosen, next=chosen[-1].id if more else None)

    async def detail(self, session: str) -> SessionDetail:
        view, record = await self.session(session), await self.record(session)
        ready = self.reports.find(record) is not None
        return await asyncio.to_thread(session_detail, view, record, ready)

    async def record(self, session: str) -> SessionRecord:
        await self.row(session)
        return await asyncio.to_thread(self.store.record, session)

    async def trials(self, session: str, limit: int = 100, after: str | None = None) -> TrialPage:
        record = await self.record(session)
        views = trial_views(record)
        if after is not None:
            names = [view.id for view in views]
            if after not in names:
                raise ApiError(400, "invalid_cursor", "after: такого замера нет", param="after")
            views = views[names.index(after) + 1 :]
        page = views[:limit]
        return TrialPage(data=page, next=page[-1].id if len(views) > limit else None)

    async def report(self, session: str) -> Path:
        """The Markdown file. Raises ApiError 404 while there is none."""
        return await asyncio.to_thread(self.reports.path, await self.record(session))

    async def picture(self, session: str, name: str) -> Path:
        return await asyncio.to_thread(self.reports.picture, await self.record(session), name)

    @property
    def busy(self) -> bool:
        """Whether a session runs or waits."""
        return any(job.state != "ended" for job in self.jobs.all().values())

    def queue(self) -> list[tuple[int, str | None]]:
        return [(n, one.session if one else None) for n, one in self.lanes.running.items()]

    async def queue_view(self) -> QueueView:
        waiting = [await self.session(job.session) for job in self.jobs.waiting()]
        return QueueView(
            lanes=[LaneView(lane=number, session=name) for number, name in self.queue()],
            waiting=waiting,
        )

    def follow(self, session: str, after: int = 0) -> AsyncIterator[list[Encoded]]:
        """Batches of events, replayed and then live; see api.service.events."""
        return self.events.follow(session, after)

    def link(self, path: str) -> str:
        """A path of this service as users outside see it."""
        settings = self.settings
        base = settings.public_url or f"http://{settings.host}:{settings.port}"
        return base.rstrip("/") + path

    async def once(self, key: tuple[str, str], make: Callable[[], Awaitable[str]]) -> str:
        """A text that never changes again, made once."""
        if key not in self._texts:
            while len(self._texts) >= _MOST_TEXTS:
                self._texts.pop(next(iter(self._texts)))
            self._texts[key] = await make()
        return self._texts[key]

    def expect(self, session: str) -> None:
        """Before `follow`: another replica may have put it into the queue a moment ago."""
        if not self.events.expects(session):
            job = self.jobs.get(session)
            if job and job.state != "ended":
                self.events.begin(session)

    async def more_events(self, session: str, after: int) -> bool:
        """Whether anything follows this event, now or later."""
        if self.events.expects(session):
            return True
        return bool(await asyncio.to_thread(self.store.events, session, after, 1))

    # Inside

    async def _append(self, session: str, kind: str, **payload: object) -> Event:
        return await asyncio.to_thread(self.lanes.append, session, kind, dict(payload))

    def _job_ended(self, job: Job) -> None:
        """From a lane's thread."""
        self._loop.call_soon_threadsafe(self._tell, job)

    def _tell(self, job: Job) -> None:
        self.events.end(job.session)
        task = asyncio.create_task(self._told(job))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _told(self, job: Job) -> None:
        view = await self.session(job.session)
        for hook in self.on_end:
            with contextlib.suppress(OSError, ApiError):
                await hook(view, job)
