"""The pages of the blind evaluation: /eval, /eval/SESSION."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import get_args

from fastapi import APIRouter, FastAPI, Request, Response

from advisor.human import summarize
from advisor.report import write_report
from api.auth import ServiceDep
from api.dashboard.web import PageRoute, Visitor, VisitorDep, back_to, form, may_run, page
from api.errors import ApiError
from api.human.maker import MOST_PROMPTS, MOST_TOKENS, Makers, prompts_of, sides
from api.routes.sessions import SessionId
from api.service import Service
from knowledge.errors import BadInput
from knowledge.types import AnswerPair, Choice, HumanEvaluation, HumanVote, Side
from tools.store import SessionRecord

router = APIRouter(include_in_schema=False, route_class=PageRoute)
_RATER_COOKIE = "advisor_rater"
_YEAR_S = 365 * 86400
_PLACES = ("left", "right", "tie")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """What is being made lives as long as the application."""
    app.state.makers = Makers(app.state.service)
    yield


@router.get("/eval")
async def evaluations(request: Request, visitor: VisitorDep, service: ServiceDep) -> Response:
    """Sessions with an evaluation, and those that could have one."""
    made = await asyncio.to_thread(service.store.evaluated)
    known = {name for name, _, _ in made}
    done = (await service.sessions(50, state="done")).data
    return page(
        request, "evaluations.html", visitor, made=made,
        others=[view for view in done if view.id not in known],
    )  # fmt: skip


@router.get("/eval/{session}")
async def rate(
    request: Request, session: SessionId, visitor: VisitorDep, service: ServiceDep
) -> Response:
    """The next pair that this rater has not judged; before that, the prompts or the progress."""
    record = await service.record(session)
    made, making = record.human, request.app.state.makers.get(session)
    if making or made is None:
        return _preparing(request, visitor, record)
    rater = _rater(request, visitor)
    open_pairs, judged = _todo(made, rater)
    shown = None
    if rater and open_pairs:
        shown = await asyncio.to_thread(_shown, service, made, open_pairs[0], rater)
    return page(
        request, "rate.html", visitor, id=session, model=record.row.model, rater=_name(request),
        shown=shown, judged=judged, total=judged + len(open_pairs),
        identical=sum(pair.identical for pair in made.pairs),
    )  # fmt: skip


@router.post("/eval/{session}/rater")
async def introduce(
    request: Request, session: SessionId, visitor: VisitorDep, service: ServiceDep
) -> Response:
    """Who rates: a name, so that people who share a key are told apart."""
    fields = await form(request, visitor)
    name = " ".join(fields.get("name", "").split())[:60]
    if not name or not name.isprintable():
        raise BadInput("имя пустое", "Впишите, как вас записать")
    response = back_to(f"/eval/{session}")
    response.set_cookie(
        _RATER_COOKIE, name.encode().hex(), max_age=_YEAR_S, httponly=True, samesite="strict",
        path="/eval",
    )  # fmt: skip
    return response


@router.post("/eval/{session}")
async def vote(
    request: Request, session: SessionId, visitor: VisitorDep, service: ServiceDep
) -> Response:
    """One judgement, given by place; which configuration stood there only the server knows."""
    fields = await form(request, visitor)
    record = await service.record(session)
    made, rater, place = record.human, _rater(request, visitor), fields.get("choice", "")
    pair = next((p for p in made.pairs if p.pair == fields.get("pair")), None) if made else None
    if made is None or pair is None or place not in _PLACES:
        raise BadInput("такой пары нет", "Откройте страницу оценки заново")
    if not rater:
        return back_to(f"/eval/{session}")
    left = await asyncio.to_thread(service.store.left_side, made.evaluation, pair.pair, rater)
    given = HumanVote(
        pair=pair.pair, rater=rater, choice=_choice(place, left), left=left, at=datetime.now(UTC)
    )
    await asyncio.to_thread(service.store.put_vote, made.evaluation, given)
    if len(_todo(made, rater)[0]) <= 1:  # this was the rater's last one
        await _write_report(service, session)
        return back_to(f"/eval/{session}/results")
    return back_to(f"/eval/{session}")


@router.post("/eval/{session}/prompts")
async def make(
    request: Request, session: SessionId, visitor: VisitorDep, service: ServiceDep
) -> Response:
    """Both configurations answer these prompts on a device of their own."""
    may_run(visitor)
    fields = await form(request, visitor)
    try:
        prompts = prompts_of(fields.get("prompts", ""))
        tokens = fields.get("max_tokens", "")
        if not tokens.isdecimal() or not 1 <= int(tokens) <= MOST_TOKENS:
            raise BadInput("длина ответа не подходит", f"Целое число от 1 до {MOST_TOKENS}")
        await request.app.state.makers.start(session, prompts, int(tokens))
    except (BadInput, ApiError) as error:
        record = await service.record(session)
        return _preparing(request, visitor, record, fields=fields, error=error)
    return back_to(f"/eval/{session}")


@router.get("/eval/{session}/results")
async def results(
    request: Request, session: SessionId, visitor: VisitorDep, service: ServiceDep
) -> Response:
    """What was said, and by how many."""
    record = await service.record(session)
    if record.human is None:
        return back_to(f"/eval/{session}")
    return page(
        request, "results.html", visitor, id=session, model=record.row.model, made=record.human,
        summary=summarize(record.human), open=len(_todo(record.human, _rater(request, visitor))[0]),
    )  # fmt: skip


@router.post("/eval/{session}/report")
async def rewrite(
    request: Request, session: SessionId, visitor: VisitorDep, service: ServiceDep
) -> Response:
    """The report with the votes given so far."""
    may_run(visitor)
    await form(request, visitor)
    await _write_report(service, session)
    return back_to(f"/sessions/{session}/report")


async def _write_report(service: Service, session: str) -> None:
    """In the place of the one that the session wrote."""
    record = await service.record(session)
    old = await service.report(session)
    await asyncio.to_thread(write_report, record, service.store.samples, old.parent)


def _preparing(
    request: Request, visitor: Visitor, record: SessionRecord, *,
    fields: dict[str, str] | None = None, error: BadInput | ApiError | None = None,
) -> Response:  # fmt: skip
    making = request.app.state.makers.get(record.row.session)
    if making is None and record.human is None:
        sides(record)  # says at once where there is nothing to compare
    return page(
        request, "prepare.html", visitor, 400 if error else 200, id=record.row.session,
        model=record.row.model, making=making, error=error, most=MOST_PROMPTS,
        fields={"prompts": "", "max_tokens": "256"} | (fields or {}),
    )  # fmt: skip


def _name(request: Request) -> str:
    try:
        return bytes.fromhex(request.cookies.get(_RATER_COOKIE, "")).decode()[:60]
    except ValueError:
        return ""


def _rater(request: Request, visitor: Visitor) -> str:
    """Name and key: two people of one name with keys of their own are two raters."""
    name = _name(request)
    return f"{name} ({visitor.principal.key_id})" if name else ""


def _todo(made: HumanEvaluation, rater: str) -> tuple[list[AnswerPair], int]:
    """Pairs that this rater has still to judge, and how many are judged. The order is theirs."""
    mine = {vote.pair for vote in made.votes if vote.rater == rater}
    asked = [pair for pair in made.pairs if not pair.identical]
    return [pair for pair in asked if pair.pair not in mine], len(mine)


def _shown(service: Service, made: HumanEvaluation, pair: AnswerPair, rater: str) -> dict[str, str]:
    """A pair as the page may know it: by place, without a word of which is which."""
    both = {"baseline": pair.baseline, "candidate": pair.candidate}
    left = service.store.left_side(made.evaluation, pair.pair, rater)
    right = "candidate" if left == "baseline" else "baseline"
    return {"pair": pair.pair, "prompt": pair.prompt, "left": both[left], "right": both[right]}


def _choice(place: str, left: Side) -> Choice:
    if place == "tie":
        return "tie"
    right: Side = get_args(Side)[1] if left == get_args(Side)[0] else get_args(Side)[0]
    return left if place == "left" else right
