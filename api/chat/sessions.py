"""Sessions as the consultation sees them: in the name of whoever chats."""

import asyncio
from collections.abc import Sequence
from datetime import date

from pydantic import ValidationError

from advisor.consultation import SessionRequest as Asked
from advisor.consultation import SessionView as Spoken
from advisor.report.summary import summary
from api.narration import result_lines, state_words
from api.schemas import SessionRequest, SessionView
from api.service import Service
from api.service.keys import Principal
from api.service.service import Origin
from knowledge.errors import BadInput

_RECENT = 10


class ChatSessions:
    """Fulfils advisor.consultation.Sessions for one principal."""

    def __init__(self, service: Service, principal: Principal, origin: Origin = "chat") -> None:
        self._service, self._principal, self._origin = service, principal, origin

    async def recent(self) -> Sequence[Spoken]:
        page = await self._service.sessions(_RECENT)
        return await asyncio.gather(*(self._spoken(view) for view in page.data))

    async def start(self, request: Asked) -> str | None:
        """None where this key may not start one. Raises AdvisorError for what can't be started."""
        if not self._principal.may("run"):
            return None
        fields = request.model_dump(exclude={"slos"}, exclude_none=True)
        try:
            wanted = SessionRequest(**fields, slo=list(request.slos))
        except ValidationError as error:
            raise BadInput(error.errors()[0]["msg"]) from None
        view, _ = await self._service.submit(wanted, self._principal, self._origin)
        return view.id

    async def _spoken(self, view: SessionView) -> Spoken:
        text = ""
        if view.state in ("done", "infeasible"):
            text = await self._service.once(("spoken", view.id), lambda: self._result(view.id))
        return Spoken(
            session=view.id,
            status=state_words(view.state),
            model=view.model,
            engine=view.engine,
            workload=view.workload,
            started=date.fromisoformat(view.created_at.date().isoformat()),
            summary=text,
        )

    async def _result(self, session: str) -> str:
        record = await self._service.record(session)
        return " ".join(result_lines(await asyncio.to_thread(summary, record))[:3])
