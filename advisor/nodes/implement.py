"""Make what the hypothesis needs: environment, checked flags, artifact."""

import time
from datetime import UTC, datetime

from langgraph.runtime import Runtime

from advisor import approval
from advisor.context import Context, describe
from advisor.nodes._pending import pending
from advisor.state import State
from knowledge.errors import AdvisorError, ArtifactFailed, Declined, UnknownFlag
from knowledge.types import Cause, Failure, TrialResult
from tools.preparing import catalog_of, prepare, set_up


async def implement(state: State, runtime: Runtime[Context]) -> State:
    """What can't be made is a failed trial with its cause; the session goes on.

    Installing an environment is set-up and costs no budget; making an artifact does.
    """
    ctx = runtime.context
    hypothesis, spec = pending(state, ctx)
    if ctx.store.trial(spec.trial_id):
        return {}
    said = approval.approved(approval.expensive(ctx, hypothesis, spec.trial_id))
    started, clock_s = datetime.now(UTC), time.monotonic()
    try:
        if said is False:
            raise Declined("дорогой замер не одобрен")
        await ctx.executor.call(set_up, spec, world=ctx.world)
        started, clock_s = datetime.now(UTC), time.monotonic()
        await ctx.executor.call(prepare, spec, world=ctx.world)
        engine = spec.candidate.config.engine
        ctx.catalogs[engine] = await ctx.executor.call(catalog_of, engine, world=ctx.world)
    except AdvisorError as error:
        failed = TrialResult(
            spec=spec,
            started_at=started,
            finished_at=datetime.now(UTC),
            failure=Failure(cause=_cause(error), message=str(error)),
        )
        ctx.store.put_trial(ctx.session, failed, ())
        ctx.emit("trial_finished", **describe(failed))
    return {"spent_s": state["spent_s"] + time.monotonic() - clock_s}


def _cause(error: AdvisorError) -> Cause:
    if isinstance(error, Declined):
        return Cause.DECLINED
    if isinstance(error, UnknownFlag):
        return Cause.BAD_FLAG
    return Cause.ARTIFACT if isinstance(error, ArtifactFailed) else Cause.SETUP
