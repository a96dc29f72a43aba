"""Where the time is expected to go: the roofline of this model on this hardware and load."""

from langgraph.runtime import Runtime

from advisor.context import Context
from advisor.profiling import profile_of
from advisor.state import State


async def profile(state: State, runtime: Runtime[Context]) -> State:
    """Write the profile down once; a resumed session keeps the first one."""
    ctx = runtime.context
    if ctx.store.profile(ctx.session) is None:
        found = profile_of(ctx.task)
        ctx.store.put_profile(ctx.session, found)
        ctx.emit("profile", bottleneck=found.bottleneck, evidence=list(found.evidence))
    return {"ordinal": 0, "spent_s": 0.0, "kept": [], "stop": ""}
