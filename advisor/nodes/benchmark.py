"""The trial itself, and those of the hypotheses that were asked for together with it."""

from langgraph.runtime import Runtime

from advisor.context import Context, wall_s
from advisor.nodes._pending import beside, pending
from advisor.state import State


async def benchmark(state: State, runtime: Runtime[Context]) -> State:
    """Measure the candidate, unless the store already has this trial.

    The first of a batch measures all of it, and pays for it; the others find their trial there.
    """
    ctx = runtime.context
    batch = state.get("batch") or [state["ordinal"]]
    if state["ordinal"] != batch[0]:
        _, spec = pending(state, ctx)
        if ctx.store.trial(spec.trial_id):
            return {}
        (result,) = await ctx.measure(spec)
        return {"spent_s": state["spent_s"] + result.seconds}
    results = await ctx.measure_many(beside(state, ctx))
    return {"spent_s": state["spent_s"] + wall_s(results)}
