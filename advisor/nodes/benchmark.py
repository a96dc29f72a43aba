"""The trial itself."""

from langgraph.runtime import Runtime

from advisor.context import Context
from advisor.nodes._pending import pending
from advisor.state import State


async def benchmark(state: State, runtime: Runtime[Context]) -> State:
    """Measure the candidate, unless the store already has this trial."""
    ctx = runtime.context
    _, spec = pending(state, ctx)
    (result,) = await ctx.measure(spec)
    return {"spent_s": state["spent_s"] + result.seconds}
