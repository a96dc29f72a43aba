"""The engine's untouched default, and the naive reference beside it."""

from langgraph.runtime import Runtime

from advisor.context import Context
from advisor.state import State
from knowledge.errors import NothingMeasured
from knowledge.types import Candidate, EngineConfig

NAIVE_ENGINE = "transformers"


async def baseline(state: State, runtime: Runtime[Context]) -> State:
    """Measure both; without a figure for the default there is nothing to compare with."""
    ctx = runtime.context
    ordinal = state["ordinal"]
    spent_s = state["spent_s"]
    if ctx.naive:
        naive = Candidate(config=EngineConfig(engine=NAIVE_ENGINE))
        (result,) = await ctx.measure(
            ctx.spec(ordinal, "naive", naive, load=ctx.pace.naive, quality=False)
        )
        ordinal, spent_s = ordinal + 1, spent_s + result.seconds
    default = Candidate(config=EngineConfig(engine=ctx.task.engine))
    (result,) = await ctx.measure(ctx.spec(ordinal, "baseline", default))
    if result.failure:
        raise NothingMeasured(
            f"движок {ctx.task.engine} с настройками по умолчанию не дал ни одного измерения: "
            f"{result.failure.cause.value}, {result.failure.message}",
            f"Журнал запуска: {ctx.world.logs / (result.trial_id + '.log')}",
        )
    return {
        "ordinal": ordinal + 1,
        "spent_s": spent_s + result.seconds,
        "reference": result.trial_id,
        "incumbent": result.trial_id,
        "screening": False,
    }
