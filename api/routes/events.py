"""The event stream of a session: SSE with ids, replayed from Last-Event-ID."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.sse import EventSourceResponse, format_sse_event

from api.auth import Reader, ServiceDep
from api.routes.sessions import SessionId
from api.service import Service
from api.service.events import sse_bytes

router = APIRouter(prefix="/v1", tags=["sessions"])


@router.get(
    "/sessions/{session}/events",
    operation_id="streamEvents",
    summary="События сессии (SSE)",
    response_class=Response,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "Поток событий"},
        204: {"description": "Всё уже отдано, сессия окончена: переподключаться не нужно"},
    },
)
async def events(
    session: SessionId,
    who: Reader,
    service: ServiceDep,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", pattern=r"^\d{1,9}$")
    ] = None,
    after: Annotated[int, Query(ge=0, le=999_999_999, description="То же, где заголовка нет.")] = 0,
) -> Response:
    """Каждое событие — `id: номер` и `data: {seq, session, at, kind, payload}`.

    В конце приходит `event: end`.

    После обрыва передайте Last-Event-ID: придёт всё, что было после него, и дальше вживую.
    """
    await service.row(session)
    service.expect(session)
    seen = int(last_event_id) if last_event_id else after
    if seen and not await service.more_events(session, seen):
        return Response(status_code=204)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return EventSourceResponse(_stream(service, session, seen), headers=headers)


async def _stream(service: Service, session: str, after: int) -> AsyncIterator[bytes]:
    async for batch in service.follow(session, after):
        yield sse_bytes(batch)
    if not service.events.closing:
        view = await service.session(session)
        yield format_sse_event(data_str=f'{{"state":"{view.state}"}}', event="end")
