"""The cold test's launches: how many pairs the budget has room for, and what they say together.

Measuring a launch for longer does not tell a gain from what this launch has by chance; launching
both sides again does. So what the search has left of its budget goes there, where it is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from advisor import turns
from advisor.context import Context, wall_s
from advisor.policy import launches_s, remaining_s
from advisor.state import State
from knowledge.quantities import format_number
from knowledge.statistics import Answer, Judgement, Launches, detectable_speedup, speedup
from knowledge.types import Estimate, TrialResult

MOST_PAIRS = 3
_SAID = {
    Answer.GAIN: "выигрыш ясен",
    Answer.NO_GAIN: "выигрыша нет",
    Answer.HOPELESS: "разброс между запусками больше выигрыша",
    Answer.GO_ON: "на следующую не хватило бюджета",
}
Pair = tuple[TrialResult, TrialResult]
"""The default and the winner, launched beside or right after each other."""


@dataclass(frozen=True)
class Plan:
    """Settled before the first pair."""

    pairs: int
    left_s: float
    """Of the budget, for all pairs but the first."""


def plan_of(ctx: Context, state: State) -> Plan:
    """As many pairs as what is left of the budget has room for, three at most."""
    left_s = max(0.0, remaining_s(state, ctx))
    pairs = 1 + min(MOST_PAIRS - 1, int(left_s / launches_s(ctx)))
    return Plan(pairs, left_s)


def room_for_another(plan: Plan, pairs: Sequence[Pair]) -> bool:
    """By the time that the last pair took."""
    spent_s = sum(wall_s(pair) for pair in pairs[1:])
    return len(pairs) < plan.pairs and spent_s + wall_s(pairs[-1]) <= plan.left_s


def judge(ctx: Context, plan: Plan, pairs: Sequence[Pair]) -> Judgement | None:
    """Of the pairs in which both were measured; None where there is none."""
    found = [_within(ctx, default, winner) for default, winner in pairs]
    known = [one for one in found if one]
    if not known:
        return None
    return Launches(plan.pairs, ctx.pace.launch_cv, ctx.pace.least_gain).judge(known)


def _within(ctx: Context, default: TrialResult, winner: TrialResult) -> Estimate | None:
    """Without the spread between launches. Rounds that were measured in turns are compared in
    pairs."""
    if not (default.measurement and winner.measurement) or default.trial_id == winner.trial_id:
        return None
    if winner.pair is not None:
        judged = turns.conclusion(ctx, default, winner, launches_alike=True)
        return judged.speedup if judged else None
    metric = ctx.metric
    rounds = zip(default.measurement.rounds, winner.measurement.rounds, strict=False)
    both = [
        (ours[metric], theirs[metric])
        for ours, theirs in rounds
        if metric in ours and metric in theirs
    ]
    if len(both) < 2:
        return None
    return speedup(
        [ours for ours, _ in both],
        [theirs for _, theirs in both],
        higher_is_better=metric.higher_is_better,
        seed=ctx.task.seed,
    )


def sentence(plan: Plan, pairs: Sequence[Pair], judged: Judgement | None) -> str:
    """For the report; empty where there could be no more than one pair."""
    if judged is None or plan.pairs == 1:
        return ""
    least = format_number(detectable_speedup(judged.speedup), 3)
    return (
        f"пар {len(pairs)} из {plan.pairs}, {_SAID[judged.answer]} "
        f"(при таком разбросе различим выигрыш от ×{least})"
    )
