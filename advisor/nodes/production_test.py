"""The winner launched again from cold beside the default, and measured in turns with it."""

from collections.abc import Sequence
from typing import Literal

from langgraph.runtime import Runtime

from advisor import approval, launches, turns
from advisor.context import Context, figure, slos_met
from advisor.launches import Pair, Plan
from advisor.nodes.validate import quality_of
from advisor.policy import finalist, in_turns
from advisor.state import State
from knowledge.statistics import Answer, detectable_speedup
from knowledge.types import (
    Candidate,
    Decision,
    Estimate,
    Hypothesis,
    LoadPlan,
    ProductionTest,
    TrialResult,
    TrialSpec,
)

HandedIn = tuple[Literal["winner", "default"], str]
"""What, and why, in Russian."""


async def production_test(state: State, runtime: Runtime[Context]) -> State:
    """What is reported is this measurement; the default wins when the winner does not."""
    ctx = runtime.context
    if ctx.store.production(ctx.session):
        return {}
    screening, combination = _contender(ctx, state)
    candidate = combination.candidate if combination else screening.spec.candidate
    plan = launches.plan_of(ctx, state)
    accepted = approval.waived(ctx, screening.trial_id)
    pairs = [await _measure(ctx, state, candidate, plan)]
    while launches.room_for_another(plan, pairs) and _is_open(ctx, plan, pairs, accepted):
        ctx.emit("launched_again", pair=len(pairs) + 1, of=plan.pairs)
        pairs.append(await _measure_again(ctx, state, candidate, len(pairs)))
    tested = _conclude(ctx, plan, pairs, screening, combination, accepted=accepted)
    _, winner = pairs[0]
    _record_quality(ctx, winner, screening, tested)
    ctx.store.put_production(ctx.session, tested)
    ctx.emit("production", handed_in=tested.handed_in, reason=tested.reason)
    return {}


def _contender(ctx: Context, state: State) -> tuple[TrialResult, Hypothesis | None]:
    """The trial that chose what is tested; the combination, where it was chosen by quick starts."""
    combination = finalist(ctx, state) if in_turns(ctx) else None
    screening = ctx.store.trial(state["reference"] if combination else state["incumbent"])
    assert screening
    return screening, combination


def _record_quality(
    ctx: Context, winner: TrialResult, screening: TrialResult, tested: ProductionTest
) -> None:
    """The verdict of the cold launch, so that its quality is on record and not the screening's."""
    first = next(
        (v for v in ctx.store.verdicts(ctx.session) if v.trial_id == screening.trial_id), None
    )
    if first is None or winner.trial_id == tested.default_trial_id:
        return
    verdict = first.replace(
        trial_id=winner.trial_id,
        reference_trial_id=tested.default_trial_id,
        decision=Decision.KEPT if tested.handed_in == "winner" else Decision.DROPPED,
        reason=tested.reason,
        speedup=tested.speedup,
        detectable_speedup=detectable_speedup(tested.speedup) if tested.speedup.n else None,
        prediction_hit=None,
        slos_met=slos_met(ctx.task, winner),
        quality=quality_of(ctx, winner),
    )
    ctx.store.put_verdict(ctx.session, verdict)


async def _measure(ctx: Context, state: State, candidate: Candidate, plan: Plan) -> Pair:
    """(default, winner); the same trial twice when the default is the winner."""
    ordinal, default = state["ordinal"], ctx.task.default
    only_one = candidate == default
    together = in_turns(ctx) and not only_one
    load = _load(ctx, state, together, stretched=plan.pairs == 1)
    search = ctx.pace.load_search if ctx.task.slos else None
    ours = ctx.spec(
        ordinal,
        "production",
        default,
        load=load,
        load_search=search if only_one else None,
        # Its quality is what all are compared with: known since the baseline.
        quality=ctx.reference_quality is None,
    )
    if only_one:
        (only,) = await ctx.measure(ours)
        return only, only
    theirs = ctx.spec(ordinal + 1, "production", candidate, load=load, load_search=search)
    measure = _side_by_side if together else _in_order
    return await measure(ctx, ours, theirs)


async def _measure_again(ctx: Context, state: State, candidate: Candidate, number: int) -> Pair:
    """The same once more, for the speed alone; who is launched first changes from pair to pair."""
    ordinal, together = state["ordinal"] + 2 * number, in_turns(ctx)
    load = _load(ctx, state, together)
    ours, theirs = (
        ctx.spec(ordinal + k, "production", one, load=load, quality=False)
        for k, one in enumerate((ctx.task.default, candidate))
    )
    if together:
        return await _side_by_side(ctx, ours, theirs)
    return await _in_order(ctx, ours, theirs, winner_first=number % 2 == 1)


def _load(ctx: Context, state: State, together: bool, *, stretched: bool = False) -> LoadPlan:
    """What is left of the budget goes into rounds only where it can't go into launches."""
    return turns.load_of(ctx, state, stretched=stretched) if together else ctx.pace.production


async def _side_by_side(ctx: Context, ours: TrialSpec, theirs: TrialSpec) -> Pair:
    # The same requests in the same order: what they differ by is no part of the comparison.
    theirs = theirs.replace(load=theirs.load.replace(seed=ours.load.seed))
    # Each waits for the other to start and to be measured.
    ours, theirs = (one.replace(deadline_s=2 * one.deadline_s) for one in (ours, theirs))
    until = turns.until_clear(ctx, ours.load.rounds)
    first, second = await ctx.measure(ours, theirs, until=until)
    return first, second


async def _in_order(
    ctx: Context, ours: TrialSpec, theirs: TrialSpec, *, winner_first: bool = False
) -> Pair:
    if winner_first:
        (second,) = await ctx.measure(theirs)
        (first,) = await ctx.measure(ours)
    else:
        (first,) = await ctx.measure(ours)
        (second,) = await ctx.measure(theirs)
    return first, second


def _is_open(ctx: Context, plan: Plan, pairs: Sequence[Pair], accepted: bool) -> bool:
    """Whether only the noise of launches is in the way of an answer."""
    if _settled(ctx, pairs, accepted):
        return False
    judged = launches.judge(ctx, plan, pairs)
    return judged is not None and judged.answer is Answer.GO_ON


def _conclude(
    ctx: Context,
    plan: Plan,
    pairs: Sequence[Pair],
    screening: TrialResult,
    combination: Hypothesis | None,
    *,
    accepted: bool,
) -> ProductionTest:
    default, winner = pairs[0]
    judged = launches.judge(ctx, plan, pairs)
    gain = judged.speedup if judged else None
    handed_in, reason = _settled(ctx, pairs, accepted) or _by_gain(ctx, gain)
    chosen = [pair[handed_in == "winner"] for pair in pairs]
    ours, then = figure(winner, ctx.metric), figure(screening, ctx.metric)
    agrees = bool(ours and then and _agree(ours, then, ctx.pace.launch_cv))
    if combination:
        expected = combination.predicted_speedup
        agrees = bool(gain and gain.low <= expected.high and expected.low <= gain.high)
    return ProductionTest(
        default_trial_id=default.trial_id,
        winner_trial_id=winner.trial_id,
        speedup=gain or Estimate(value=1, low=1, high=1, n=0),
        agrees_with_screening=agrees,
        screening_trial_id=screening.trial_id,
        handed_in=handed_in,
        reason=reason,
        slos_met=all(slos_met(ctx.task, one) for one in chosen),
        highest_load=chosen[0].highest_load,
        stopping=turns.stopping(ctx, default, winner),
        again=tuple((ours.trial_id, theirs.trial_id) for ours, theirs in pairs[1:]),
        launches=launches.sentence(plan, pairs, judged),
    )


def _settled(ctx: Context, pairs: Sequence[Pair], accepted: bool) -> HandedIn | None:
    """What is handed in, and why, whatever the gain; None where the gain decides."""
    default, winner = pairs[0]
    if default.trial_id == winner.trial_id:
        return "default", "ни одно изменение не дало подтверждённого выигрыша"
    if failed := next((one.failure for _, one in pairs if one.failure), None):
        return "default", f"победитель не запустился с нуля: {failed.message}"
    quality = quality_of(ctx, winner)
    if quality and not quality.non_inferior and not accepted:
        return "default", "при повторном запуске качество победителя хуже допуска"
    default_holds, winner_holds = (
        all(slos_met(ctx.task, one) for one in side) for side in zip(*pairs, strict=True)
    )
    if winner_holds and not default_holds:
        return "winner", "SLO выполняет только найденная конфигурация"
    if default_holds and not winner_holds:
        return "default", "при повторном замере победитель нарушает SLO"
    return None


def _by_gain(ctx: Context, gain: Estimate | None) -> HandedIn:
    if gain is None or gain.low <= 1:
        return "default", "при повторном замере выигрыш неотличим от нуля"
    if ctx.task.model.dummy_weights:
        return "winner", (
            "выигрыш в скорости подтверждён запуском с нуля; качество не проверено, "
            "веса случайные: до внедрения повторите сессию на настоящих весах"
        )
    return "winner", "выигрыш подтверждён запуском с нуля рядом с настройками по умолчанию"


def _agree(ours: Estimate, then: Estimate, launch_cv: float) -> bool:
    """Intervals overlap once each is widened by the spread from launch to launch."""
    slack = 1.96 * launch_cv
    return ours.low * (1 - slack) <= then.high * (1 + slack) and then.low * (1 - slack) <= (
        ours.high * (1 + slack)
    )
