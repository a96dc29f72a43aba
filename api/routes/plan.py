"""A dry run: what a session would do, before anything runs."""

from fastapi import APIRouter

from api.auth import Reader, ServiceDep
from api.schemas import PlanView, SessionRequest

router = APIRouter(prefix="/v1", tags=["sessions"])


@router.post("/plan", operation_id="plan", summary="План без запуска (dry run)")
async def plan(request: SessionRequest, who: Reader, service: ServiceDep) -> PlanView:
    """Гипотезы с прогнозом выигрыша и секундами устройства; ничего не запускается."""
    return await service.plan(request, who)
