"""The trial that a hypothesis asks for: the same specification in every node and every resume."""

from collections.abc import Sequence

from advisor.context import Context, figure, slos_met
from advisor.state import State
from knowledge.types import Hypothesis, TrialSpec, WorthChecking


def asked_with(state: State) -> str:
    """The trial that was the reference when the hypothesis under test was asked for."""
    beside = state["ordinal"] in state.get("batch", [])
    return state["asked_with"] if beside else state["reference"]


def beside(state: State, ctx: Context) -> Sequence[TrialSpec]:
    """The trials of all hypotheses that are measured together with the one under test."""
    batch = state.get("batch") or [state["ordinal"]]
    return [pending({**state, "ordinal": ordinal}, ctx)[1] for ordinal in batch]


def pending(state: State, ctx: Context) -> tuple[Hypothesis, TrialSpec]:
    """The hypothesis under test and its trial."""
    ordinal = state["ordinal"]
    hypothesis = next(h for n, h in ctx.store.hypotheses(ctx.session) if n == ordinal)
    reference = ctx.store.trial(asked_with(state))
    bar = figure(reference, hypothesis.metric)
    worth = None
    # Where the reference breaks an SLO, a slower candidate may be kept for coming nearer to it.
    if bar and reference and slos_met(ctx.task, reference):
        least = 1 + ctx.pace.least_gain
        worth = (
            WorthChecking(metric=hypothesis.metric, at_least=bar.value * least)
            if hypothesis.metric.higher_is_better
            else WorthChecking(metric=hypothesis.metric, at_most=bar.value / least)
        )
    spec = ctx.spec(ordinal, "hypothesis", hypothesis.candidate, worth_checking=worth)
    return hypothesis, spec
