"""Before the hand-in: the best of the tried are measured again until the choice is clear."""

import math
from collections.abc import Sequence

from langgraph.runtime import Runtime

from advisor.context import Context, figure, slos_met, wall_s
from advisor.policy import in_turns, is_quick_start, remaining_s
from advisor.policy.handin import Measured, choice, most_rounds, pair_to_repeat
from advisor.state import State
from knowledge.types import Candidate, TrialResult
from knowledge.types.trial import Purpose

REPEAT: Purpose = "repeat"


async def run_off(state: State, runtime: Runtime[Context]) -> State:
    """Repeat the leaders within what the budget leaves, then choose by the shrunken estimates."""
    ctx = runtime.context
    if state["screening"] or ctx.store.production(ctx.session):
        return {}
    ordinal, spent_s = state["ordinal"], state["spent_s"]
    pool = [(trial, trial.spec.ordinal) for trial in _eligible(ctx, state)]
    rounds = 0
    for _ in range(most_rounds(len(ctx.store.hypotheses(ctx.session)))):
        pair = pair_to_repeat(_measured(ctx, pool))
        left_s = remaining_s({**state, "spent_s": spent_s}, ctx)
        if pair is None or left_s <= 2 * max(trial.seconds for trial, _ in pool):
            break
        results = await _repeat(ctx, ordinal, pair)
        ordinal, rounds = ordinal + 2, rounds + 1
        spent_s += wall_s(results)
        failed = {r.spec.candidate for r in results if r.failure}
        pool += [(result, ordinal) for result in results]
        # What does not start twice is not handed in.
        pool = [(trial, at) for trial, at in pool if trial.spec.candidate not in failed]
    measured = _measured(ctx, pool)
    if not measured:
        return {"ordinal": ordinal, "spent_s": spent_s}
    chosen = choice(measured)
    first = next(trial for trial, _ in pool if trial.spec.candidate == chosen)
    if rounds or first.trial_id != state["incumbent"]:
        ctx.emit("run_off", trial=first.trial_id, repeats=2 * rounds)
    return {
        "ordinal": ordinal,
        "spent_s": spent_s,
        "incumbent": first.trial_id,
        "reference": first.trial_id,
    }


async def _repeat(
    ctx: Context, ordinal: int, pair: tuple[Candidate, Candidate]
) -> tuple[TrialResult, ...]:
    """Side by side where two servers fit, else one right after the other."""
    specs = [
        ctx.spec(ordinal + k, REPEAT, candidate, quality=False) for k, candidate in enumerate(pair)
    ]
    if in_turns(ctx):
        return await ctx.measure(*specs)
    return tuple([(await ctx.measure(spec))[0] for spec in specs])


def _eligible(ctx: Context, state: State) -> list[TrialResult]:
    """What could be handed in: the incumbent's engine with the same start as it, and sound.

    A gain that was told apart from noise is not needed here; a quality that was not checked is.
    """
    incumbent = ctx.store.trial(state["incumbent"])
    assert incumbent
    verdicts = {v.trial_id: v for v in ctx.store.verdicts(ctx.session)}
    engine = incumbent.spec.candidate.config.engine
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
        and trial.spec.candidate.config.engine == engine
        and start(trial) == start(incumbent)
    ]
    holds = [trial for trial in found if slos_met(ctx.task, trial)]
    if slos_met(ctx.task, incumbent):
        return holds
    return [incumbent]


def _measured(ctx: Context, pool: Sequence[tuple[TrialResult, int]]) -> list[Measured]:
    sign = 1 if ctx.metric.higher_is_better else -1
    found = []
    for trial, moment in pool:
        seen = figure(trial, ctx.metric)
        if seen and seen.value > 0:
            half = math.log(max(seen.high, seen.value) / seen.value) / 1.96
            sd = max(math.hypot(half, ctx.pace.launch_cv), 1e-4)
            value = sign * math.log(seen.value)
            found.append(Measured(trial.spec.candidate, value, sd, moment))
    return found
