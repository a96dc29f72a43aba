"""The trial that a hypothesis asks for: the same specification in every node and every resume."""

from advisor.context import Context, figure
from advisor.state import State
from knowledge.types import Hypothesis, TrialSpec, WorthChecking


def pending(state: State, ctx: Context) -> tuple[Hypothesis, TrialSpec]:
    """The hypothesis under test and its trial."""
    ordinal = state["ordinal"]
    hypothesis = next(h for n, h in ctx.store.hypotheses(ctx.session) if n == ordinal)
    bar = figure(ctx.store.trial(state["reference"]), hypothesis.metric)
    worth = None
    if bar:
        least = 1 + ctx.pace.least_gain
        worth = (
            WorthChecking(metric=hypothesis.metric, at_least=bar.value * least)
            if hypothesis.metric.higher_is_better
            else WorthChecking(metric=hypothesis.metric, at_most=bar.value / least)
        )
    spec = ctx.spec(ordinal, "hypothesis", hypothesis.candidate, worth_checking=worth)
    return hypothesis, spec
