"""A person's word before a risky step: a LangGraph interrupt, answered through the session's log.

The question and the answer are events, so that any edge may show the one and write the other, and
a resume after a kill finds both. No answer in time is a no: the step is left out, the session goes
on.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from advisor.context import Context
from knowledge.quantities import format_duration, format_number
from knowledge.types import Estimate, Frozen, Hypothesis, QualityVerdict

if TYPE_CHECKING:
    from langgraph.runtime import RunControl

ASKED, ANSWERED = "approval_requested", "approval"
EXPENSIVE_SHARE = 0.25
"""A trial that takes this share of the whole budget is worth a question."""
_POLL_S = 0.5


class Question(Frozen):
    """What a person is asked. `id` is the same in every resume."""

    id: str
    about: Literal["expensive", "quality"]
    text: str


def expensive(ctx: Context, hypothesis: Hypothesis, trial_id: str) -> Question | None:
    """The question before a trial that takes much of the budget."""
    budget_s = ctx.task.budget.seconds
    if ctx.approval_wait_s is None or hypothesis.cost_s < EXPENSIVE_SHARE * budget_s:
        return None
    predicted = hypothesis.predicted_speedup
    return Question(
        id=f"expensive-{trial_id}",
        about="expensive",
        text=f"Дорогой замер: {hypothesis.title}. Займёт около {format_duration(hypothesis.cost_s)}"
        f" при бюджете {format_duration(budget_s)}; прогноз ускорения "
        f"{format_number(predicted.low, 2)}–{format_number(predicted.high, 2)}. Мерить?",
    )


def below_floor(
    ctx: Context, hypothesis: Hypothesis, trial_id: str, gain: Estimate, quality: QualityVerdict
) -> Question | None:
    """The question whether a gain is worth a quality below the floor."""
    if ctx.approval_wait_s is None:
        return None
    loss = quality.loss_nats_per_token
    return Question(
        id=f"quality-{trial_id}",
        about="quality",
        text=f"Качество ниже порога: {hypothesis.title}. Ускорение {_shown(gain, 2)}, потеря "
        f"{_shown(loss, 4)} нат/токен при допуске {format_number(quality.margin, 3)}. "
        "Принять, несмотря на потерю?",
    )


def approved(question: Question | None) -> bool | None:
    """None where there is nothing to ask. Inside a node: it runs again from its first line."""
    if question is None:
        return None
    from langgraph.types import interrupt  # a second to import, and `advisor plan` never asks

    return bool(interrupt(question.model_dump()))


def waived(ctx: Context, trial_id: str) -> bool:
    """Whether somebody has accepted this trial's quality."""
    return answer_to(ctx, f"quality-{trial_id}") is True


def answer_to(ctx: Context, question_id: str) -> bool | None:
    """What the log says to a question; None while nobody has answered."""
    for event in ctx.store.events(ctx.session):
        if event.kind == ANSWERED and event.payload.get("id") == question_id:
            return bool(event.payload.get("approved"))
    return None


async def wait(ctx: Context, question: Question, control: "RunControl | None") -> bool:
    """Ask once, then look into the log until somebody has answered or the time is over.

    Raises GraphDrained when the session is being stopped.
    """
    asked = next(
        (
            e
            for e in ctx.store.events(ctx.session)
            if e.kind == ASKED and e.payload.get("id") == question.id
        ),
        None,
    )
    if asked is None:
        ctx.emit(ASKED, **question.model_dump(), wait_s=ctx.approval_wait_s)
    since = asked.at if asked else datetime.now(UTC)
    until = since + timedelta(seconds=ctx.approval_wait_s or 0)
    while (said := answer_to(ctx, question.id)) is None:
        if control and control.drain_requested:
            from langgraph.errors import GraphDrained

            raise GraphDrained(control.drain_reason or "drain")
        if datetime.now(UTC) >= until:
            ctx.emit(ANSWERED, id=question.id, approved=False, by="", reason="нет ответа")
            return False
        await asyncio.sleep(_POLL_S)
    return said


def _shown(estimate: Estimate, digits: int) -> str:
    value, low, high = (
        format_number(x, digits) for x in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} [{low}; {high}]"
