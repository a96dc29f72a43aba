"""The dashboard's pages: sessions, a session, a trial, a comparison, the queue, the form."""

import asyncio
import secrets
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from api.auth import ServiceDep
from api.dashboard import compare_page, markdown, session_page, start_page
from api.dashboard.web import PageRoute, Visitor, VisitorDep, back_to, form, may_run, page
from api.errors import ApiError
from api.routes.sessions import SessionId
from api.schemas import PlanView, SessionState
from api.service import Service
from api.service.views import session_detail
from knowledge.errors import BadInput
from knowledge.types import ProductionTest

router = APIRouter(include_in_schema=False, route_class=PageRoute)
_PER_PAGE = 30
_After = Annotated[str | None, Query(max_length=64, pattern=r"^[0-9A-Za-z-]*$")]
_Trial = Annotated[str, Path(pattern=r"^[0-9A-Za-z-]{1,64}$")]
_STATES = ("queued", "running", "done", "infeasible", "cancelled", "failed", "interrupted")


@router.get("/")
async def home(
    request: Request,
    visitor: VisitorDep,
    service: ServiceDep,
    state: SessionState | None = None,
    after: _After = None,
    part: str = "",
) -> Response:
    """Sessions, the newest first, under the queue."""
    found = await service.sessions(_PER_PAGE, after or None, state)
    queue = await service.queue_view()

    def ended() -> dict[str, ProductionTest]:
        tests = ((view.id, service.store.production(view.id)) for view in found.data)
        return {name: test for name, test in tests if test}

    gains = await asyncio.to_thread(ended)
    name = "_sessions.html" if part == "list" else "sessions.html"
    return page(
        request, name, visitor, sessions=found.data, next=found.next, queue=queue,
        state=state, states=_STATES, after=after, gains=gains,
    )  # fmt: skip


@router.get("/queue")
async def queue(
    request: Request, visitor: VisitorDep, service: ServiceDep, part: str = ""
) -> Response:
    """What runs on each accelerator, and what waits."""
    view = await service.queue_view()
    running = {
        lane.lane: await service.session(lane.session) for lane in view.lanes if lane.session
    }
    device = f"{service.hardware.device_count} × {service.hardware.device.name}"
    name = "_queue.html" if part == "list" else "queue.html"
    return page(request, name, visitor, queue=view, running=running, device=device)


@router.get("/sessions/{session}")
async def one(
    request: Request, session: SessionId, visitor: VisitorDep, service: ServiceDep, part: str = ""
) -> Response:
    """One session; with part=live only what changes while it runs."""
    view, record = await service.session(session), await service.record(session)
    name = "_session.html" if part == "live" else "session.html"

    def draw() -> Response:
        detail = session_detail(view, record, service.reports.find(record) is not None)
        rows = session_page.rows(record)
        views = [row.view for row in rows]
        return page(
            request, name, visitor, session=detail, record=record, rows=rows,
            columns=session_page.columns(record), log=session_page.log(record),
            underway=session_page.underway(record) if detail.state == "running" else None,
            charts=session_page.charts(record, views, visitor.language),
            telemetry=session_page.telemetry(record.trials, visitor.language),
            live=detail.state in ("queued", "running", "cancelling"),
        )  # fmt: skip

    return await asyncio.to_thread(draw)


@router.get("/sessions/{session}/trials/{trial}")
async def trial(
    request: Request, session: SessionId, trial: _Trial, visitor: VisitorDep, service: ServiceDep
) -> Response:
    """One trial: figures with intervals, requests over time, telemetry, command, checks."""
    record = await service.record(session)
    rows = session_page.rows(record)
    row = next((row for row in rows if row.view.id == trial), None)
    if row is None:
        raise ApiError(404, "not_found", f"Замера {trial} в этой сессии нет")

    def draw() -> Response:
        samples = service.store.samples(trial)
        return page(
            request, "trial.html", visitor, record=record, row=row,
            requests=session_page.requests(samples, visitor.language),
            telemetry=session_page.telemetry([row.result], visitor.language),
        )  # fmt: skip

    return await asyncio.to_thread(draw)


@router.get("/sessions/{session}/report")
async def report(
    request: Request, session: SessionId, visitor: VisitorDep, service: ServiceDep
) -> Response:
    """The Markdown as a page; the text itself is Russian."""
    path = await service.report(session)
    text = await asyncio.to_thread(path.read_text, "utf-8")
    html = await asyncio.to_thread(markdown.render, text, f"/v1/sessions/{session}/report")
    return page(request, "report.html", visitor, id=session, report=html)


@router.post("/sessions/{session}/cancel")
async def cancel(
    request: Request, session: SessionId, visitor: VisitorDep, service: ServiceDep
) -> Response:
    """Drain, then kill."""
    may_run(visitor)
    await form(request, visitor)
    await service.cancel(session, None)
    return back_to(f"/sessions/{session}")


@router.post("/sessions/{session}/resume")
async def resume(
    request: Request, session: SessionId, visitor: VisitorDep, service: ServiceDep
) -> Response:
    """From the last step that was saved."""
    may_run(visitor)
    await form(request, visitor)
    await service.resume(session, visitor.principal)
    return back_to(f"/sessions/{session}")


@router.get("/compare")
async def compare(
    request: Request, visitor: VisitorDep, service: ServiceDep, a: _After = None, b: _After = None
) -> Response:
    """Two sessions side by side."""
    known = (await service.sessions(200)).data
    if not a or not b:
        return page(request, "compare.html", visitor, known=known, a=a, b=b, left=None)
    left, right = await service.record(a), await service.record(b)
    return page(
        request, "compare.html", visitor, known=known, a=a, b=b, left=left, right=right,
        differences=compare_page.differences(left, right, visitor.language),
        metrics=compare_page.metrics(left, right),
        results=(compare_page.result(left), compare_page.result(right)),
    )  # fmt: skip


@router.get("/new")
async def new(request: Request, visitor: VisitorDep, service: ServiceDep) -> Response:
    """The start form."""
    return _start(request, visitor, service, start_page.DEFAULTS)


@router.post("/new")
async def start(request: Request, visitor: VisitorDep, service: ServiceDep) -> Response:
    """A dry run, or the session itself."""
    fields = await form(request, visitor)
    given = start_page.DEFAULTS | {k: v for k, v in fields.items() if k in start_page.FIELDS}
    try:
        asked = start_page.request_of(fields)
        if fields.get("action") != "start":
            plan = await service.plan(asked, visitor.principal)
            return _start(request, visitor, service, given, plan=plan)
        may_run(visitor)
        # Sending the same form twice (a double click, a reload) starts one session.
        once = fields.get("once", "")[:64] or secrets.token_hex(8)
        view, _ = await service.submit(
            asked, visitor.principal, "dashboard", idempotency_key=f"form-{once}"
        )
    except (BadInput, ApiError) as error:
        status = error.status if isinstance(error, ApiError) else 400
        return _start(request, visitor, service, given, error=error, status=status)
    return back_to(f"/sessions/{view.id}")


def _start(
    request: Request, visitor: Visitor, service: Service, given: dict[str, str], *,
    plan: PlanView | None = None, error: BadInput | ApiError | None = None, status: int = 200,
) -> Response:  # fmt: skip
    return page(
        request, "new.html", visitor, status, given=given, choices=start_page.choices(service),
        plan=plan, error=error, once=secrets.token_hex(8),
    )  # fmt: skip
