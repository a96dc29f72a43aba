"""Keep, drop, or admit that it can't be told: by the interval, the SLOs and the quality."""

from typing import Protocol

from langgraph.runtime import Runtime

from advisor import approval
from advisor.context import Context, Pace, failed_checks, figure, slos_met, worst_violation
from advisor.nodes._pending import asked_with, pending
from advisor.policy import FINALIST, QUICK_START_PAYS_FROM_S, is_quick_start, remaining_s
from advisor.state import State
from knowledge.measure import slower_than
from knowledge.quantities import format_number, is_boundless
from knowledge.statistics import detectable_speedup, ratio_of_estimates
from knowledge.types import (
    Cause,
    Decision,
    Estimate,
    Hypothesis,
    QualityVerdict,
    Task,
    TrialResult,
    Verdict,
)

_LESS_VIOLATED = 0.02
_QUALITY = "качество:"
_SCREENS_TO_PAY = 4


async def decide(state: State, runtime: Runtime[Context]) -> State:
    """Write the verdict; what is kept becomes what the next hypothesis must beat."""
    ctx = runtime.context
    hypothesis, spec = pending(state, ctx)
    result, reference = ctx.store.trial(spec.trial_id), ctx.store.trial(state["reference"])
    assert result
    assert reference
    quality = state.get("quality")
    verdict = _against_both(
        ctx,
        hypothesis,
        result,
        (ctx.store.trial(asked_with(state)) or reference, reference),
        QualityVerdict.model_validate(quality) if quality else None,
    )
    verdict = _asked(ctx, hypothesis, verdict)
    if all(known.trial_id != verdict.trial_id for known in ctx.store.verdicts(ctx.session)):
        ctx.store.put_verdict(ctx.session, verdict)
        ctx.emit(
            "verdict",
            trial=verdict.trial_id,
            decision=verdict.decision.value,
            reason=verdict.reason,
        )
    return {"ordinal": state["ordinal"] + 1, **_next(state, ctx, hypothesis, result, verdict)}


def _against_both(
    ctx: Context,
    hypothesis: Hypothesis,
    result: TrialResult,
    references: tuple[TrialResult, TrialResult],
    quality: QualityVerdict | None,
) -> Verdict:
    """Against the reference it was asked for with, which its prediction is about; and what is
    kept there also against the one that a neighbour of its batch has become since."""
    then, now = references
    verdict = judge(ctx, hypothesis, result, then, quality)
    if now.trial_id == then.trial_id or verdict.decision is not Decision.KEPT:
        return verdict
    again = judge(ctx, hypothesis, result, now, quality)
    if again.decision is Decision.KEPT:
        return again.replace(prediction_hit=None)
    return verdict.replace(
        decision=again.decision,
        reason=f"{verdict.reason}; но рядом измерено {now.trial_id}, и против него {again.reason}",
    )


def _asked(ctx: Context, hypothesis: Hypothesis, verdict: Verdict) -> Verdict:
    """A gain that only the quality floor stands against may be taken on a person's word."""
    quality, gain = verdict.quality, verdict.speedup
    if not (quality and gain and not quality.non_inferior and verdict.reason.startswith(_QUALITY)):
        return verdict
    question = approval.below_floor(ctx, hypothesis, verdict.trial_id, gain, quality)
    if not approval.approved(question):
        return verdict
    return verdict.replace(
        decision=Decision.KEPT, reason=f"{verdict.reason}; потерю качества принял человек"
    )


def _next(
    state: State, ctx: Context, hypothesis: Hypothesis, result: TrialResult, verdict: Verdict
) -> State:
    """Who is compared with from now on."""
    kept = verdict.decision is Decision.KEPT
    if hypothesis.policy == FINALIST:
        stop = "лучшее сочетание измерено с полным запуском движка"
        ended: State = {"screening": False, "stop": stop}
        return {**ended, "incumbent": result.trial_id} if kept else ended
    if state["screening"]:
        if not kept:
            return {}
        return {"reference": result.trial_id, "kept": [*state["kept"], state["ordinal"]]}
    if kept:
        return {"reference": result.trial_id, "incumbent": result.trial_id}
    if _quick_start_pays(state, ctx, hypothesis, result):
        return {"screening": True, "reference": result.trial_id}
    return {}


def _quick_start_pays(
    state: State, ctx: Context, hypothesis: Hypothesis, result: TrialResult
) -> bool:
    """A slow full start and budget for several trials: compare quick starts with each other."""
    incumbent = ctx.store.trial(state["incumbent"])
    if not (is_quick_start(hypothesis) and result.measurement and incumbent and incumbent.launch):
        return False
    affordable = remaining_s(state, ctx) / max(result.seconds, 1.0)
    return incumbent.launch.ready_s >= QUICK_START_PAYS_FROM_S and affordable >= _SCREENS_TO_PAY


class Ground(Protocol):
    """What a verdict rests on besides the two trials."""

    @property
    def task(self) -> Task: ...

    @property
    def pace(self) -> Pace: ...


def judge(
    ctx: Ground,
    hypothesis: Hypothesis,
    result: TrialResult,
    reference: TrialResult,
    quality: QualityVerdict | None,
) -> Verdict:
    """The verdict on one hypothesis. Pure."""
    effect = _effect(ctx, hypothesis, result, reference)
    decision, reason = _decision(ctx, hypothesis, result, reference, effect, quality)
    return Verdict(
        hypothesis=hypothesis.content_id(),
        trial_id=result.trial_id,
        reference_trial_id=reference.trial_id,
        decision=decision,
        reason=reason + _early(result) + _machine(result, reference),
        speedup=effect,
        detectable_speedup=_detectable(ctx, effect),
        prediction_hit=hypothesis.predicted_speedup.contains(effect.value) if effect else None,
        slos_met=slos_met(ctx.task, result) if result.measurement else None,
        quality=quality,
    )


def _effect(
    ctx: Ground, hypothesis: Hypothesis, result: TrialResult, reference: TrialResult
) -> Estimate | None:
    metric = hypothesis.metric
    ours, theirs = figure(result, metric), figure(reference, metric)
    if not ours or not theirs or ours.value <= 0 or theirs.value <= 0:
        return None
    return ratio_of_estimates(
        theirs, ours, higher_is_better=metric.higher_is_better, launch_cv=ctx.pace.launch_cv
    )


def _detectable(ctx: Ground, effect: Estimate | None) -> float | None:
    return detectable_speedup(effect, least_gain=ctx.pace.least_gain) if effect else None


def _early(result: TrialResult) -> str:
    """A figure of half a round is wider than others."""
    ended_s = result.measurement.ended_early_s if result.measurement else None
    if ended_s is None:
        return ""
    return f"; раунд закончен на {ended_s:.0f}-й секунде: обогнать эталон вариант уже не мог"


def _machine(result: TrialResult, reference: TrialResult) -> str:
    """The two were not measured in turns: did the machine change between them."""
    if not (result.measurement and reference.measurement):
        return ""
    slower = slower_than(result.measurement.machine_speed, reference.measurement.machine_speed)
    if slower is None:
        return ""
    word = "медленнее" if slower > 0 else "быстрее"
    return (
        f"; внимание: в этом испытании сама машина была на {abs(slower):.0%} {word}, "
        f"чем в {reference.trial_id}"
    )


def _decision(  # noqa: PLR0911 - one return per ground, in the order of their weight
    ctx: Ground,
    hypothesis: Hypothesis,
    result: TrialResult,
    reference: TrialResult,
    effect: Estimate | None,
    quality: QualityVerdict | None,
) -> tuple[Decision, str]:
    if result.failure and result.failure.cause is Cause.DECLINED:
        return Decision.DROPPED, result.failure.message
    if result.failure:
        return Decision.CRASHED, f"{result.failure.cause.value}: {result.failure.message}"
    if broken := failed_checks([result]):
        return Decision.DROPPED, "не пройдена проверка целостности: " + ", ".join(broken)
    if effect is None:
        return Decision.CRASHED, f"нет значения {hypothesis.metric.value}"
    interval = _interval(effect)
    if is_boundless(effect):
        interval = f"[{format_number(effect.low, 3)}; ∞)"
    shown = f"ускорение {format_number(effect.value, 3)} {interval}"
    before, after = worst_violation(ctx.task, reference), worst_violation(ctx.task, result)
    nearer = before > 0 and after < before - _LESS_VIOLATED
    if after > 0 and not nearer:
        return Decision.DROPPED, f"нарушает SLO сильнее, чем на {after:.0%}; {shown}"
    least = 1 + ctx.pace.least_gain
    if not nearer and effect.high < least:
        return Decision.DROPPED, f"выигрыша нет: {shown}"
    if not nearer and effect.low < least:
        enough = format_number(_detectable(ctx, effect) or effect.high, 3)
        return Decision.INCONCLUSIVE, (
            f"неотличимо от шума: {shown}; такой замер различает выигрыш от ×{enough}"
        )
    if quality and not quality.non_inferior:
        return _of_quality(quality, shown)
    if quality is None and hypothesis.quality_risk != "none":
        why = result.quality_skipped or "не измерено"
        if not ctx.task.model.dummy_weights:
            return Decision.DROPPED, f"качество не подтверждено ({why}); {shown}"
        shown += f"; только скорость, качество не проверено: {why}"
    return Decision.KEPT, f"{shown}" + (", ближе к SLO" if nearer else "")


def _of_quality(quality: QualityVerdict, shown: str) -> tuple[Decision, str]:
    """Worse, or not enough text to tell; what stands against it beside the loss is named."""
    loss = quality.loss_nats_per_token
    said = (
        f"{_QUALITY} потеря {format_number(loss.value, 4)} {_interval(loss, 4)} нат/токен "
        f"при допуске {format_number(quality.margin, 3)}"
    )
    if quality.findings:
        said = f"{_QUALITY} {quality.findings[0]}; потеря {format_number(loss.value, 4)} нат/токен"
    if quality.outcome == "unknown":
        return Decision.INCONCLUSIVE, f"{said}, текста не хватило, чтобы решить; {shown}"
    return Decision.DROPPED, f"{said}; {shown}"


def _interval(estimate: Estimate, digits: int = 3) -> str:
    low, high = format_number(estimate.low, digits), format_number(estimate.high, digits)
    return f"[{low}; {high}]"
