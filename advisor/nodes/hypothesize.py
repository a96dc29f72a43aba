"""Choose what to try next, and write down what it is expected to do before it runs."""

from collections.abc import Iterable

from langgraph.runtime import Runtime

from advisor.context import Context, figure
from advisor.policy import ask, ask_beside, remaining_s, view_of
from advisor.policy.advice import consult
from advisor.state import State
from knowledge.statistics import detectable_speedup, ratio_of_estimates
from knowledge.types import Hypothesis

_MOST = 8
"""At the same time, unless asked for more: those chosen together learn nothing of each other."""
_LENT = 0.5
"""Of the default's trial: a hypothesis is neither traced nor asked for the reference's answers."""


async def hypothesize(state: State, runtime: Runtime[Context]) -> State:
    """The next hypothesis, or the reason why there is none. Asked once per trial number."""
    ctx = runtime.context
    ordinal = state["ordinal"]
    if waiting := [number for number, _ in ctx.store.hypotheses(ctx.session) if number >= ordinal]:
        # Those of a batch keep its reference; after a kill the batch is what was written down.
        known = ordinal in state.get("batch", [])
        return {"stop": ""} if known else _together(state, waiting)
    if state.get("stop"):
        return {}
    spent = _spent(state, ctx)
    if ctx.adviser and not spent:
        await consult(ctx, view_of(ctx, state))
    chosen, stop = ask(ctx, state, exhausted=spent)
    if chosen is None:
        ctx.emit("search_ended", reason=stop)
        return {"stop": stop}
    beside = ask_beside(ctx, state, chosen, most) if (most := _room(state, ctx, chosen)) else []
    for number, one in enumerate((chosen, *beside), ordinal):
        _write(state, ctx, number, one)
    return _together(state, range(ordinal, ordinal + 1 + len(beside)))


def _together(state: State, ordinals: Iterable[int]) -> State:
    return {"stop": "", "batch": list(ordinals), "asked_with": state["reference"]}


def _room(state: State, ctx: Context, chosen: Hypothesis) -> int:
    """How many more can be measured at the same time."""
    spec = ctx.spec(state["ordinal"], "hypothesis", chosen.candidate)
    most = ctx.parallel or min(_MOST, ctx.executor.room(spec, ctx.world.hardware))
    if (trials := ctx.task.budget.trials) is not None:
        most = min(most, trials - len(ctx.store.hypotheses(ctx.session)))
    return most - 1


def _write(state: State, ctx: Context, ordinal: int, chosen: Hypothesis) -> None:
    chosen = chosen.replace(detectable_speedup=_detectable(ctx, state, chosen))
    ctx.store.put_hypothesis(ctx.session, ordinal, chosen)
    ctx.emit(
        "hypothesis",
        ordinal=ordinal,
        title=chosen.title,
        technique=chosen.technique,
        policy=chosen.policy,
        predicted=[chosen.predicted_speedup.low, chosen.predicted_speedup.high],
        detectable=chosen.detectable_speedup,
    )


def _detectable(ctx: Context, state: State, chosen: Hypothesis) -> float | None:
    """What the trial can tell at all, when the candidate is as noisy as what it must beat."""
    bar = figure(ctx.store.trial(state["reference"]), chosen.metric)
    if bar is None or bar.value <= 0:
        return None
    again = ratio_of_estimates(
        bar, bar, higher_is_better=chosen.metric.higher_is_better, launch_cv=ctx.pace.launch_cv
    )
    return detectable_speedup(again, least_gain=ctx.pace.least_gain)


def _lent_s(ctx: Context) -> float:
    """How far the first hypothesis may overdraw the budget, which a session ends within one trial
    of: a default so slow that its cold test would leave room for none is what needs one most."""
    trials = ctx.store.trials(ctx.session)
    return _LENT * next((t.seconds for t in trials if t.spec.purpose == "baseline"), 0.0)


def _spent(state: State, ctx: Context) -> str:
    budget = ctx.task.budget
    tried = len(ctx.store.hypotheses(ctx.session))
    if budget.trials is not None and tried >= budget.trials:
        return f"исчерпан бюджет испытаний: {tried} из {budget.trials}"
    if (left := remaining_s(state, ctx)) <= -(0.0 if tried else _lent_s(ctx)):
        used = state["spent_s"]
        return (
            f"бюджет времени: истрачено {used:.0f} из {budget.seconds:.0f} с, "
            f"остаток нужен испытанию с нуля (не хватает {-left:.0f} с)"
            if left < 0
            else f"бюджет времени истрачен: {used:.0f} с"
        )
    return ""
