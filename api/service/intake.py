"""A request on its way in: what it may ask for, and the task that it becomes."""

import asyncio
import logging

from pydantic import ValidationError

from advisor import runner
from api.errors import ApiError
from api.schemas import SessionRequest
from api.service.flags import refuse_code
from api.service.keys import Principal
from api.service.roots import Roots
from api.service.urls import UrlGuard
from api.settings import Settings
from api.tasks import task_of
from knowledge.errors import BadInput
from knowledge.quantities import parse_duration
from knowledge.types import Hardware, Task
from tools.home import Home

_LOG = logging.getLogger("advisor.service")
_PREPARE_S = 20.0


class Intake:
    """Checks and prepares; it writes nothing."""

    def __init__(
        self, settings: Settings, home: Home, roots: Roots, urls: UrlGuard, hardware: Hardware
    ) -> None:
        self._settings, self._home, self._hardware = settings, home, hardware
        self._roots, self._urls = roots, urls
        self._preparing: dict[str, asyncio.Future[Task]] = {}

    async def check(self, request: SessionRequest, principal: Principal) -> SessionRequest:
        """The request with its paths made plain. Raises ApiError for what it may not ask for.

        The command line of the service's own user is not held to this: it could do it all itself.
        """
        settings = self._settings
        if principal.trusted:
            return request
        if settings.engines and request.engine not in settings.engines:
            raise BadInput(
                f"движок {request.engine!r} здесь не разрешён",
                f"Есть: {', '.join(settings.engines)}",
            )
        refuse_code(request.flags, allowed=settings.allow_remote_code)
        if parse_duration(request.budget) > parse_duration(settings.max_budget):
            raise BadInput(f"бюджет больше разрешённого: {settings.max_budget}", "Уменьшите budget")
        if request.webhook:
            await self._urls.check(request.webhook, "webhook")
        if (base_url := request.flags.get("base-url")) is not None:
            await self._urls.check(str(base_url), "base-url")
        paths = {"model": self._roots.model(request.model),
                 "workload": self._roots.workload(request.workload)}  # fmt: skip
        return request.model_copy(update=paths)

    async def task(self, request: SessionRequest, *, checked: bool = False) -> Task:
        """The task, prepared once for all who ask the same meanwhile; `checked`: flags as well.

        Converting a model or installing an engine may take long; then the client is asked to
        come again.
        """
        key = f"{checked}:{request.model_dump_json()}"
        future = self._preparing.get(key)
        if future is None:
            work = asyncio.to_thread(asyncio.run, self._prepared(request, checked))
            future = self._preparing[key] = asyncio.ensure_future(work)
            future.add_done_callback(lambda _: self._preparing.pop(key, None))
        try:
            return await asyncio.wait_for(asyncio.shield(future), _PREPARE_S)
        except TimeoutError:
            raise ApiError(
                503, "preparing", f"Модель {request.model} готовится", "Повторите через 30 с",
                headers={"Retry-After": "30"},
            ) from None  # fmt: skip
        except ValidationError as error:
            raise BadInput(error.errors()[0]["msg"]) from None

    async def _prepared(self, request: SessionRequest, checked: bool) -> Task:
        task = await task_of(request.options(), self._home, _LOG.info, self._hardware)
        if checked and task.flags:
            await runner.check_flags(task, self._home, _LOG.info)
        return task
