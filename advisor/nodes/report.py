"""The Markdown report, from the rows of the store alone."""

from langgraph.runtime import Runtime

from advisor.context import Context
from advisor.report import write_report
from advisor.state import State
from tools.store import Status


async def report(state: State, runtime: Runtime[Context]) -> State:
    """Write it and close the session."""
    ctx = runtime.context
    record = ctx.store.record(ctx.session)
    assert record.production
    feasible = record.production.slos_met
    ctx.store.set_status(ctx.session, Status.DONE if feasible else Status.INFEASIBLE)
    path = write_report(ctx.store.record(ctx.session), ctx.store.samples, ctx.reports)
    ctx.emit("report", path=str(path))
    return {}
