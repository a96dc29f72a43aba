"""The engine's untouched default, and the naive reference beside it."""

from langgraph.runtime import Runtime

from advisor.context import Context
from advisor.policy.facts import facts_of
from advisor.policy.prior import effect_of
from advisor.profiling import with_steps
from advisor.state import State
from knowledge.cards import expand, load_cards
from knowledge.errors import NothingMeasured
from knowledge.types import Candidate, Cause, EngineConfig, TrialResult

NAIVE_ENGINE = "transformers"
_HARMLESS = ("none", "low")
_TRACE_S = {"cpu": 4.0, "cuda": 1.5}
"""Some dozens of steps."""


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
    traced = ctx.pace.load.replace(profile_s=_TRACE_S[ctx.task.hardware.device.kind])
    (result,) = await ctx.measure(ctx.spec(ordinal, "baseline", ctx.task.default, load=traced))
    if result.failure:
        raise NothingMeasured(
            f"движок {ctx.task.engine} с настройками по умолчанию не дал ни одного измерения: "
            f"{result.failure.cause.value}, {result.failure.message}",
            f"{_way_out(ctx, result)}Журнал запуска: {ctx.world.logs / (result.trial_id + '.log')}",
        )
    _note_profile(ctx, result)
    return {
        "ordinal": ordinal + 1,
        "spent_s": spent_s + result.seconds,
        "reference": result.trial_id,
        "incumbent": result.trial_id,
        "screening": False,
    }


def _way_out(ctx: Context, result: TrialResult) -> str:
    """For an engine that is too slow to be measured: the flag that cards expect most of."""
    too_slow = result.failure and result.failure.cause in (Cause.NO_MEASUREMENT, Cause.TIMEOUT)
    if not too_slow or ctx.catalog is None:
        return ""
    profile = ctx.store.profile(ctx.session)
    facts = facts_of(ctx.task, ctx.task.default, ctx.catalog, profile)
    regime = profile.regime if profile else "decode"
    flagged = [
        (effect_of(card, regime, ctx.metric, facts).middle, card.title, change.flags)
        for card in load_cards()
        if card.quality_risk in _HARMLESS and "speculation" not in card.topics
        for _, change in expand(card, facts)
        if change.flags and change.artifact is None and change.engine is None
    ]
    said = "Возьмите нагрузку поменьше (--workload demo, --concurrency)"
    if flagged:
        _, title, flags = max(flagged, key=lambda one: one[0])
        fixed = " ".join(f"--flag {name}={value}" for name, value in flags.items())
        said += f" или закрепите настройку: {fixed} ({title})"
    return f"{said}. "


def _note_profile(ctx: Context, result: TrialResult) -> None:
    """What the trace of the default says replaces what the roofline alone expected."""
    first = ctx.store.profile(ctx.session)
    if result.profile is None or first is None or first.measured:
        return
    found = with_steps(first, ctx.task, result)
    ctx.store.put_profile(ctx.session, found)
    ctx.emit("profile", bottleneck=found.bottleneck, evidence=list(found.evidence))
