"""Whether it lives, whether it is ready, and its metrics for Prometheus."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from api.auth import ServiceDep, authenticate, unauthorized
from api.errors import answer
from api.service.metrics import render

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """A word for a probe."""

    status: str


@router.get("/healthz", operation_id="health", summary="Жив ли процесс")
async def healthz() -> Health:
    """Без ключа."""
    return Health(status="ok")


@router.get(
    "/readyz",
    operation_id="ready",
    summary="Готов ли принимать сессии",
    response_model=Health,
    responses={503: {"description": "Ещё не готов или уже останавливается"}},
)
async def readyz(service: ServiceDep) -> Health | Response:
    """Без ключа."""
    return Health(status="ready") if service.ready else answer(503, "Сервис останавливается")


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Метрики Prometheus",
    response_class=PlainTextResponse,
    responses={401: {"description": "Нужен ключ, если ADVISOR_METRICS_PUBLIC не задан"}},
)
async def metrics(request: Request, service: ServiceDep) -> Response:
    """Формат Prometheus."""
    if not service.settings.metrics_public and not authenticate(
        request.headers, request.method, service
    ):
        raise unauthorized()
    return PlainTextResponse(await render(service), media_type="text/plain; version=0.0.4")
