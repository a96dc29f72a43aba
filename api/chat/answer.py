"""An answer as pieces of text: a program's chore, a command, or a consultation."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from advisor.consultation import LlmEndpoint, Message, Services, consult
from api.auth import require
from api.chat.chores import chore
from api.chat.commands import Command, command_of
from api.chat.sessions import ChatSessions
from api.narration import event_line, result_lines, state_words
from api.schemas import PlanView, SessionDetail, SessionRequest, SessionView
from api.service import Service
from api.service.keys import Principal
from api.service.service import Origin
from knowledge.errors import AdvisorError, BadInput
from knowledge.quantities import format_duration, format_number

_OVER = ("done", "infeasible", "cancelled", "failed", "interrupted")
_SHOWN_STEPS = 5


async def answer(
    messages: Sequence[Message],
    service: Service,
    principal: Principal,
    *,
    origin: Origin = "chat",
    live: bool = True,
) -> AsyncIterator[str]:
    """Text to append, piece by piece. `live`: may last as long as a session that is followed.

    What a user may not do, or what can't be done, is said in the answer.
    """
    last = messages[-1]
    if last.role == "user" and (ready := chore(last.content)):
        yield ready
        return
    try:
        command = command_of(messages)
        if command is None:
            async for piece in _consult(messages, service, principal, origin):
                yield piece
        else:
            async for piece in _Orders(service, principal, origin, live).obey(command):
                yield piece
    except AdvisorError as error:
        yield f"Не получилось: {error}"


async def _consult(
    messages: Sequence[Message], service: Service, principal: Principal, origin: Origin
) -> AsyncIterator[str]:
    today, llm = datetime.now(UTC).date(), _llm(service)
    if llm is None and (texts := await service.aside.texts(messages, today)) is not None:
        for text in texts:
            yield text
        return
    services = Services(
        today=today,
        llm=llm,
        sessions=ChatSessions(service, principal, origin),
    )
    async for piece in consult(messages, services=services):
        if piece.text:
            yield piece.text


def _llm(service: Service) -> LlmEndpoint | None:
    settings = service.settings
    if not settings.llm_url:
        return None
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else "none"
    return LlmEndpoint(settings.llm_url, settings.llm_model, key)


class _Orders:
    """Carries out a command in the name of a principal."""

    def __init__(self, service: Service, principal: Principal, origin: Origin, live: bool) -> None:
        self._service, self._principal = service, principal
        self._origin, self._live = origin, live

    async def obey(self, command: Command) -> AsyncIterator[str]:
        if command.verb in ("start", "plan"):
            request = request_of(command.request)
            yield await (self._start(request) if command.verb == "start" else self._plan(request))
            return
        if command.verb == "list":
            yield await self._list()
            return
        session = command.session or await self._newest()
        if command.verb == "follow" and self._live:
            async for line in self._follow(session):
                yield line
            return
        match command.verb:
            case "stop":
                require(self._principal, "run")
                view = await self._service.cancel(session)
                yield f"Сессия {session} {state_words(view.state)}."
            case "resume":
                require(self._principal, "run")
                view = await self._service.resume(session, self._principal)
                yield f"Сессия {session} {_place(view)}."
            case "report":
                yield await self._report(session)
            case _:
                yield status_text(await self._service.detail(session), self._service)

    async def _start(self, request: SessionRequest) -> str:
        require(self._principal, "run")
        view, _ = await self._service.submit(request, self._principal, self._origin)
        return (
            f"Сессия **{view.id}**: {view.model}, движок {view.engine}, нагрузка {view.workload}, "
            f"цель {view.objective}, бюджет {request.budget}. Сейчас она {_place(view)}.\n\n"
            f"Спросите «как дела с сессией {view.id}» или скажите «следи за сессией {view.id}»; "
            f"остановить — «останови сессию {view.id}»."
        )

    async def _plan(self, request: SessionRequest) -> str:
        return plan_text(await self._service.plan(request, self._principal))

    async def _list(self) -> str:
        page = await self._service.sessions(10)
        if not page.data:
            return "Сессий ещё не было. Начать: «оптимизируй demo»."
        return "\n".join(
            f"- {view.id}: {view.model}, {view.engine}, {view.workload}, {_place(view)}"
            for view in page.data
        )

    async def _newest(self) -> str:
        page = await self._service.sessions(1)
        if not page.data:
            raise BadInput("сессий ещё не было", "Начать: «оптимизируй demo»")
        return page.data[0].id

    async def _report(self, session: str) -> str:
        detail = await self._service.detail(session)
        text = status_text(detail, self._service)
        if detail.report_ready:
            return text
        return f"{text}\n\nОтчёт пишется в конце сессии."

    async def _follow(self, session: str) -> AsyncIterator[str]:
        """Events as lines, to the end of the session; then what it came to."""
        await self._service.row(session)
        async for batch in self._service.follow(session):
            lines = [f"`{e.event.at:%H:%M:%S}` {line}  \n" for e in batch
                     if (line := event_line(e.event))]  # fmt: skip
            yield "".join(lines)
        yield "\n" + status_text(await self._service.detail(session), self._service)


def status_text(detail: SessionDetail, service: Service) -> str:
    """How a session stands, and what it came to once it is over."""
    lines = [
        f"Сессия **{detail.id}** ({detail.model}, {detail.engine}, {detail.workload}): "
        f"{_place(detail)}. Замеров: {detail.trials}."
    ]
    found = detail.summary
    if detail.error:
        lines.append(f"Причина: {detail.error}")
    if found and detail.state in _OVER:
        lines += result_lines(found)
    elif found:
        kept = [h for h in found.hypotheses if h.decision == "kept" and h.measured_speedup]
        lines += [
            f"Пока оставлено: {h.title}, ×{format_number(h.measured_speedup.value, 2)}."
            for h in kept
            if h.measured_speedup
        ]
    if detail.report_ready:
        lines.append(f"Отчёт: {service.link(detail.links.report)}")
    return "\n\n".join(lines)


def plan_text(plan: PlanView) -> str:
    """A dry run in words."""
    steps = [s for s in plan.steps if s.within_budget][:_SHOWN_STEPS]
    lines = [f"План для {plan.model} на {plan.engine}, цель {plan.metric}.", *plan.profile.evidence]
    lines += [
        f"{n}. {step.title}: прогноз ×{format_number(step.predicted_speedup.low, 2)}–"
        f"{format_number(step.predicted_speedup.high, 2)}, "
        f"{format_duration(step.cost_s)}, риск для качества: {step.quality_risk}"
        for n, step in enumerate(steps, 1)
    ]
    lines.append(f"Устройство будет занято около {format_duration(plan.accelerator_s)}.")
    return "\n\n".join([*lines, *plan.notes])


def _place(view: SessionView) -> str:
    if view.position:
        return f"ждёт в очереди, место {view.position}"
    return state_words(view.state)


def request_of(fields: dict[str, Any]) -> SessionRequest:
    """The session that a command asks for. Raises BadInput."""
    if unknown := fields.get("unknown"):
        raise BadInput(
            f"не понимаю {', '.join(unknown)}", "Понимаю: движок, нагрузка, цель, бюджет, slo"
        )
    try:
        return SessionRequest(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{first['loc'][0]}: {first['msg']}") from None
