"""Sessions as jobs: start, list, look, cancel, resume, report."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response
from fastapi.responses import FileResponse, PlainTextResponse
from pydantic import Field

from api.auth import Reader, Runner, ServiceDep
from api.schemas import (
    Body,
    QueueView,
    SessionDetail,
    SessionPage,
    SessionRequest,
    SessionState,
    SessionView,
    TrialPage,
)
from tools.store import SessionRow

router = APIRouter(prefix="/v1", tags=["sessions"])
SessionId = Annotated[
    str,
    Path(pattern=r"^[0-9A-Za-z-]{1,64}$", description="Номер сессии.",
         examples=["20261123-101500-ab12"]),
]  # fmt: skip
_Limit = Annotated[int, Query(ge=1, le=200, description="Сколько строк на странице.")]
_After = Annotated[
    str | None,
    Query(max_length=64, pattern=r"^[0-9A-Za-z-]*$", description="next прошлой страницы."),
]
_Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$",
           description="Повтор с тем же ключом вернёт ту же сессию."),
]  # fmt: skip


class CancelRequest(Body):
    """How to stop."""

    drain_s: float | None = Field(
        None, ge=0, le=3600, description="Сколько ждать конца идущего замера; по умолчанию 30 с."
    )


@router.post(
    "/sessions",
    status_code=202,
    operation_id="createSession",
    summary="Начать сессию",
    responses={
        200: {"model": SessionView, "description": "Эта сессия уже есть (Idempotency-Key)"},
        409: {"description": "Idempotency-Key занят другим запросом"},
    },
)
async def create(
    request: SessionRequest,
    who: Runner,
    service: ServiceDep,
    response: Response,
    idempotency_key: _Key = None,
) -> SessionView:
    """В очередь; место — в position. Ход виден в /events."""
    view, new = await service.submit(request, who, "api", idempotency_key=idempotency_key)
    response.status_code = 202 if new else 200
    response.headers["Location"] = view.links.self
    return view


@router.get("/sessions", operation_id="listSessions", summary="Список сессий")
async def many(
    who: Reader,
    service: ServiceDep,
    limit: _Limit = 20,
    after: _After = None,
    state: SessionState | None = None,
) -> SessionPage:
    """Новые сначала."""
    return await service.sessions(limit, after or None, state)


@router.get("/sessions/rows", operation_id="listRows", summary="Все сессии без страниц")
async def rows(who: Reader, service: ServiceDep) -> list[SessionRow]:
    """Строки хранилища, как их печатает `advisor sessions --json`."""
    return await service.rows()


@router.get("/sessions/{session}", operation_id="getSession", summary="Одна сессия")
async def one(session: SessionId, who: Reader, service: ServiceDep) -> SessionDetail:
    """Состояние, место в очереди и то, что найдено к этой минуте."""
    return await service.detail(session)


@router.get(
    "/sessions/{session}/record",
    operation_id="getRecord",
    summary="Все записи сессии",
    responses={200: {"content": {"application/json": {}}, "description": "SessionRecord"}},
)
async def record(session: SessionId, who: Reader, service: ServiceDep) -> Response:
    """Всё, из чего пишется отчёт, кроме отдельных запросов."""
    found = await service.record(session)
    return Response(found.model_dump_json(), media_type="application/json")


@router.get("/sessions/{session}/trials", operation_id="listTrials", summary="Замеры сессии")
async def trials(
    session: SessionId, who: Reader, service: ServiceDep, limit: _Limit = 100, after: _After = None
) -> TrialPage:
    """Прогноз, измеренное и решение по каждому."""
    return await service.trials(session, limit, after or None)


@router.get(
    "/sessions/{session}/report",
    operation_id="getReport",
    summary="Отчёт",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/markdown": {}}, "description": "Markdown на русском"}},
)
async def report(session: SessionId, who: Reader, service: ServiceDep) -> Response:
    """Markdown; картинки — рядом, по /report/ИМЯ."""
    path = await service.report(session)
    return FileResponse(path, media_type="text/markdown; charset=utf-8", filename=path.name,
                        content_disposition_type="inline")  # fmt: skip


@router.get(
    "/sessions/{session}/report/{name}",
    operation_id="getReportPicture",
    summary="Картинка отчёта",
    response_class=FileResponse,
    responses={200: {"content": {"image/png": {}}, "description": "Картинка"}},
)
async def picture(
    session: SessionId,
    name: Annotated[str, Path(max_length=100)],
    who: Reader,
    service: ServiceDep,
) -> FileResponse:
    """Имена картинок стоят в тексте отчёта."""
    return FileResponse(await service.picture(session, name))


@router.post(
    "/sessions/{session}/cancel",
    status_code=202,
    operation_id="cancelSession",
    summary="Остановить сессию",
    responses={409: {"description": "Сессия не идёт и не ждёт"}},
)
async def cancel(
    session: SessionId, who: Runner, service: ServiceDep, request: CancelRequest | None = None
) -> SessionView:
    """Сначала дать закончить идущий замер, потом прервать. Продолжить можно через /resume."""
    return await service.cancel(session, request.drain_s if request else None)


@router.post(
    "/sessions/{session}/resume",
    status_code=202,
    operation_id="resumeSession",
    summary="Продолжить сессию",
    responses={409: {"description": "Сессия уже завершена"}},
)
async def resume(session: SessionId, who: Runner, service: ServiceDep) -> SessionView:
    """С последнего сохранённого шага; что измерено, не меряется снова."""
    return await service.resume(session, who)


@router.get("/queue", operation_id="getQueue", summary="Очередь")
async def queue(who: Reader, service: ServiceDep) -> QueueView:
    """Что идёт на каждом устройстве и что ждёт."""
    return await service.queue_view()
