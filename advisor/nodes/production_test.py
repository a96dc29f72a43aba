"""The winner launched again from cold beside the default, and measured in turns with it."""

from typing import Literal

from langgraph.runtime import Runtime

from advisor import approval, turns
from advisor.context import Context, figure, slos_met
from advisor.nodes.validate import quality_of
from advisor.policy import finalist, in_turns
from advisor.state import State
from knowledge.statistics import detectable_speedup, speedup
from knowledge.types import Candidate, Decision, Estimate, Hypothesis, ProductionTest, TrialResult


async def production_test(state: State, runtime: Runtime[Context]) -> State:
    """What is reported is this measurement; the default wins when the winner does not."""
    ctx = runtime.context
    if ctx.store.production(ctx.session):
        return {}
    screening, combination = _contender(ctx, state)
    candidate = combination.candidate if combination else screening.spec.candidate
    default, winner = await _measure(ctx, state, candidate)
    tested = _conclude(ctx, default, winner, screening, combination)
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


async def _measure(
    ctx: Context, state: State, candidate: Candidate
) -> tuple[TrialResult, TrialResult]:
    """(default, winner); the same trial twice when the default is the winner."""
    ordinal, default = state["ordinal"], ctx.task.default
    only_one = candidate == default
    together = in_turns(ctx) and not only_one
    plan = turns.load_of(ctx, state) if together else ctx.pace.production
    search = ctx.pace.load_search if ctx.task.slos else None
    ours = ctx.spec(
        ordinal,
        "production",
        default,
        load=plan,
        load_search=search if only_one else None,
        # Its quality is what all are compared with: known since the baseline.
        quality=ctx.reference_quality is None,
    )
    if only_one:
        (only,) = await ctx.measure(ours)
        return only, only
    theirs = ctx.spec(ordinal + 1, "production", candidate, load=plan, load_search=search)
    if together:
        # The same requests in the same order: what they differ by is no part of the comparison.
        theirs = theirs.replace(load=theirs.load.replace(seed=ours.load.seed))
        # Each waits for the other to start and to be measured.
        ours, theirs = (one.replace(deadline_s=2 * one.deadline_s) for one in (ours, theirs))
        until = turns.until_clear(ctx, plan.rounds)
        first, second = await ctx.measure(ours, theirs, until=until)
        return first, second
    (first,) = await ctx.measure(ours)
    (second,) = await ctx.measure(theirs)
    return first, second


def _conclude(
    ctx: Context,
    default: TrialResult,
    winner: TrialResult,
    screening: TrialResult,
    combination: Hypothesis | None,
) -> ProductionTest:
    gain = _gain(ctx, default, winner)
    accepted = approval.waived(ctx, screening.trial_id)
    handed_in, reason = _choice(ctx, default, winner, gain, quality_accepted=accepted)
    chosen = winner if handed_in == "winner" else default
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
        slos_met=slos_met(ctx.task, chosen),
        highest_load=chosen.highest_load,
        stopping=turns.stopping(ctx, default, winner),
    )


def _gain(ctx: Context, default: TrialResult, winner: TrialResult) -> Estimate | None:
    """Paired by round where both were measured in turns: then it may have ended early."""
    if not (default.measurement and winner.measurement) or default.trial_id == winner.trial_id:
        return None
    if winner.pair is not None:
        judged = turns.conclusion(ctx, default, winner)
        return judged.speedup if judged else None
    rounds = list(zip(default.measurement.rounds, winner.measurement.rounds, strict=False))
    pairs = [
        (a[ctx.metric], b[ctx.metric]) for a, b in rounds if ctx.metric in a and ctx.metric in b
    ]
    if len(pairs) < 2:
        return None
    return speedup(
        [a for a, _ in pairs],
        [b for _, b in pairs],
        higher_is_better=ctx.metric.higher_is_better,
        seed=ctx.task.seed,
        launch_cv=ctx.pace.launch_cv,
    )


def _choice(  # noqa: PLR0911 - one return per ground
    ctx: Context,
    default: TrialResult,
    winner: TrialResult,
    gain: Estimate | None,
    *,
    quality_accepted: bool = False,
) -> tuple[Literal["winner", "default"], str]:
    if default.trial_id == winner.trial_id:
        return "default", "ни одно изменение не дало подтверждённого выигрыша"
    if winner.failure:
        return "default", f"победитель не запустился с нуля: {winner.failure.message}"
    quality = quality_of(ctx, winner)
    if quality and not quality.non_inferior and not quality_accepted:
        return "default", "при повторном запуске качество победителя хуже допуска"
    if slos_met(ctx.task, winner) and not slos_met(ctx.task, default):
        return "winner", "SLO выполняет только найденная конфигурация"
    if slos_met(ctx.task, default) and not slos_met(ctx.task, winner):
        return "default", "при повторном замере победитель нарушает SLO"
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
