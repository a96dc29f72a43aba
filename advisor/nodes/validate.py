"""Did quality hold on the very configuration that was served?"""

from langgraph.runtime import Runtime

from advisor.context import Context
from advisor.nodes._pending import pending
from advisor.state import State
from knowledge.statistics import quality_verdict
from knowledge.types import QualityVerdict, TrialResult


async def validate(state: State, runtime: Runtime[Context]) -> State:
    """Non-inferiority against the engine's default on the same text."""
    ctx = runtime.context
    _, spec = pending(state, ctx)
    result = ctx.store.trial(spec.trial_id)
    verdict = quality_of(ctx, result) if result else None
    return {"quality": verdict.model_dump(mode="json") if verdict else None}


def quality_of(ctx: Context, result: TrialResult) -> QualityVerdict | None:
    """None when either side was not scored."""
    default = next((t for t in ctx.store.trials(ctx.session) if t.spec.purpose == "baseline"), None)
    if not (default and default.quality and result.quality):
        return None
    plan = result.spec.quality or ctx.pace.quality
    return quality_verdict(default.quality, result.quality, plan, seed=ctx.task.seed)
