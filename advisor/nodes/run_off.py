"""Before the hand-in: the best of the tried are measured again until the choice is clear."""

import math

from langgraph.runtime import Runtime

from advisor.context import Context, figure, slos_met
from advisor.policy import is_quick_start, remaining_s
from advisor.policy.handin import Measured, choice, next_to_repeat
from advisor.state import State
from knowledge.types import TrialResult
from knowledge.types.trial import Purpose

_MOST = 8
REPEAT: Purpose = "repeat"
_PART = 2
"""At most one repetition for so many hypotheses: a short search is not drawn out."""


async def run_off(state: State, runtime: Runtime[Context]) -> State:
    """Repeat the leaders within what the budget leaves, then choose by the shrunken estimates."""
    ctx = runtime.context
    if state["screening"] or ctx.store.production(ctx.session):
        return {}
    ordinal, spent_s = state["ordinal"], state["spent_s"]
    pool = _eligible(ctx, state)
    most = min(_MOST, len(ctx.store.hypotheses(ctx.session)) // _PART)
    for _ in range(most):
        measured = [one for trial in pool if (one := _measured(ctx, trial))]
        left = remaining_s({**state, "spent_s": spent_s}, ctx)
        candidate = next_to_repeat(measured, ctx.task.seed)
        if candidate is None or left <= 0:
            break
        (result,) = await ctx.measure(ctx.spec(ordinal, REPEAT, candidate, quality=False))
        ordinal, spent_s = ordinal + 1, spent_s + result.seconds
        if result.failure:  # what does not start twice is not handed in
            pool = [t for t in pool if t.spec.candidate != candidate]
        else:
            pool.append(result)
    moved: State = {"ordinal": ordinal, "spent_s": spent_s}
    measured = [one for trial in pool if (one := _measured(ctx, trial))]
    if not measured:
        return moved
    chosen = choice(measured)
    first = next(t for t in pool if t.spec.candidate == chosen)
    repeats = sum(t.spec.purpose == REPEAT for t in pool)
    ctx.emit("run_off", trial=first.trial_id, repeats=repeats)
    return {**moved, "incumbent": first.trial_id, "reference": first.trial_id}


def _eligible(ctx: Context, state: State) -> list[TrialResult]:
    """What could be handed in: measured with the same start as the incumbent, and sound.

    A gain that was told apart from noise is not needed here; a quality that was not checked is.
    """
    incumbent = ctx.store.trial(state["incumbent"])
    assert incumbent
    verdicts = {v.trial_id: v for v in ctx.store.verdicts(ctx.session)}
    hypotheses = {h.candidate: h for _, h in ctx.store.hypotheses(ctx.session)}
    quick = [h.change.flags.items() for h in hypotheses.values() if is_quick_start(h)]

    def start(trial: TrialResult) -> bool:
        return any(flags <= trial.spec.candidate.config.flags.items() for flags in quick)

    def proper(trial: TrialResult) -> bool:
        if trial.spec.purpose == "baseline" or trial.trial_id == incumbent.trial_id:
            return True
        verdict, asked = verdicts.get(trial.trial_id), hypotheses.get(trial.spec.candidate)
        if trial.spec.purpose != "hypothesis" or verdict is None or asked is None:
            return False
        judged = verdict.quality.non_inferior if verdict.quality else asked.quality_risk == "none"
        return judged and (trial.integrity is None or trial.integrity.passed)

    found = [
        trial
        for trial in ctx.store.trials(ctx.session)
        if trial.measurement
        and proper(trial)
        and trial.spec.candidate.config.engine == ctx.task.engine
        and start(trial) == start(incumbent)
    ]
    holds = [trial for trial in found if slos_met(ctx.task, trial)]
    if slos_met(ctx.task, incumbent):
        return holds
    return [incumbent]


def _measured(ctx: Context, trial: TrialResult) -> Measured | None:
    seen = figure(trial, ctx.metric)
    if seen is None or seen.value <= 0:
        return None
    sign = 1 if ctx.metric.higher_is_better else -1
    half = math.log(max(seen.high, seen.value) / seen.value) / 1.96
    sd = max(math.hypot(half, ctx.pace.launch_cv), 1e-4)
    return Measured(trial.spec.candidate, sign * math.log(seen.value), sd)
