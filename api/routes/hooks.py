"""A new model: start the session that the policy file asks for."""

from fastapi import APIRouter, Response

from api.auth import Runner, ServiceDep
from api.schemas import HookAnswer
from api.service.policy import NewModel

router = APIRouter(prefix="/v1", tags=["hooks"])


@router.post(
    "/hooks/model",
    status_code=202,
    operation_id="newModel",
    summary="Появилась новая модель",
    responses={200: {"model": HookAnswer, "description": "Сессия не нужна: почему — в reason"}},
)
async def new_model(
    body: NewModel, who: Runner, service: ServiceDep, response: Response
) -> HookAnswer:
    """Правила — в файле ADVISOR_HOOK_POLICY; что уже настроено, второй раз не начинается."""
    found = await service.new_model(body.model, who, "hook")
    response.status_code = 202 if found.outcome == "started" else 200
    return found
