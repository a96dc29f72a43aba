"""Did quality hold on the very configuration that was served?"""

from langgraph.runtime import Runtime

from advisor.context import Context
from advisor.nodes._pending import pending
from advisor.state import State
from knowledge.statistics import non_inferior
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
    return non_inferior(
        default.quality.chunk_logprobs,
        result.quality.chunk_logprobs,
        ctx.task.quality_floor.margin_nats_per_token,
        ctx.task.seed,
    )
