"""Choose what to try next, and write down what it is expected to do before it runs."""

from langgraph.runtime import Runtime

from advisor.context import Context
from advisor.policy import ask, remaining_s, view_of
from advisor.policy.advice import consult
from advisor.state import State


async def hypothesize(state: State, runtime: Runtime[Context]) -> State:
    """The next hypothesis, or the reason why there is none. Asked once per trial number."""
    ctx = runtime.context
    ordinal = state["ordinal"]
    if any(number == ordinal for number, _ in ctx.store.hypotheses(ctx.session)):
        return {"stop": ""}
    if state.get("stop"):
        return {}
    spent = _spent(state, ctx)
    if ctx.adviser and not spent:
        await consult(ctx, view_of(ctx, state))
    chosen, stop = ask(ctx, state, exhausted=spent)
    if chosen:
        ctx.store.put_hypothesis(ctx.session, ordinal, chosen)
        ctx.emit(
            "hypothesis",
            ordinal=ordinal,
            title=chosen.title,
            technique=chosen.technique,
            policy=chosen.policy,
            predicted=[chosen.predicted_speedup.low, chosen.predicted_speedup.high],
        )
    else:
        ctx.emit("search_ended", reason=stop)
    return {"stop": stop}


def _spent(state: State, ctx: Context) -> str:
    budget = ctx.task.budget
    tried = len(ctx.store.hypotheses(ctx.session))
    if budget.trials is not None and tried >= budget.trials:
        return f"исчерпан бюджет испытаний: {tried} из {budget.trials}"
    if (left := remaining_s(state, ctx)) <= 0:
        used = state["spent_s"]
        return (
            f"бюджет времени: истрачено {used:.0f} из {budget.seconds:.0f} с, "
            f"остаток нужен испытанию с нуля (не хватает {-left:.0f} с)"
            if left < 0
            else f"бюджет времени истрачен: {used:.0f} с"
        )
    return ""
