"""The cold test in turns: how many rounds at most, when the answer is clear, what it was."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from advisor.context import Context
from advisor.pace import production_of
from advisor.policy import remaining_s
from advisor.state import State
from knowledge.measure.requests import fitting_round_s
from knowledge.quantities import format_number
from knowledge.statistics import Answer, Judgement, Sequential, detectable_speedup
from knowledge.types import LoadPlan, Metric, TrialResult
from tools.trial import Until

Rounds = Sequence[dict[Metric, float]]
_SAID = {
    Answer.GAIN: "выигрыш ясен",
    Answer.NO_GAIN: "выигрыша нет",
    Answer.HOPELESS: "разброс между запусками больше выигрыша, новые раунды его не отделят",
    Answer.GO_ON: "ответ не стал ясен",
}


def load_of(ctx: Context, state: State, *, stretched: bool) -> LoadPlan:
    """The production load; `stretched`: with all the rounds that the budget has room for."""
    plan, drain_s = production_of(ctx)
    if not stretched:
        return plan
    pair_s = 2 * fitting_round_s(plan.round_s, drain_s) + drain_s + ctx.pace.drain_s
    more = max(0, int(remaining_s(state, ctx) / pair_s))
    return plan.replace(rounds=max(plan.rounds, min(ctx.pace.most_rounds, plan.rounds + more)))


def sequential(ctx: Context, rounds: int) -> Sequential:
    """What is settled before the first round. SLOs are judged by the same requests, so with them
    at least half of the rounds are measured."""
    plan = Sequential(
        looks=rounds,
        higher_is_better=ctx.metric.higher_is_better,
        launch_cv=ctx.pace.launch_cv,
        least_gain=ctx.pace.least_gain,
    )
    return replace(plan, first=max(plan.first, rounds // 2 + 1)) if ctx.task.slos else plan


@dataclass(frozen=True)
class _UntilClear:
    """Holds nothing of the session: it is asked where the trials run."""

    plan: Sequential
    metric: Metric
    rounds: int

    def __call__(self, arms: Sequence[Rounds]) -> str:
        judged = _judge(self.plan, self.metric, *arms)
        if judged is None or judged.answer is Answer.GO_ON:
            return ""
        return "Замер по очереди: " + _sentence(judged, self.rounds)


def until_clear(ctx: Context, rounds: int) -> Until:
    """For run_trials: the default's rounds first, the winner's second."""
    return _UntilClear(sequential(ctx, rounds), ctx.metric, rounds)


def _judge(plan: Sequential, metric: Metric, default: Rounds, winner: Rounds) -> Judgement | None:
    pairs = [
        (ours[metric], theirs[metric])
        for ours, theirs in zip(default, winner, strict=False)
        if min(ours.get(metric, 0.0), theirs.get(metric, 0.0)) > 0
    ]
    return plan.judge([ours for ours, _ in pairs], [theirs for _, theirs in pairs])


def conclusion(
    ctx: Context, default: TrialResult, winner: TrialResult, *, launches_alike: bool = False
) -> Judgement | None:
    """The same of finished trials: what the last look said. `launches_alike`: by the pairs of
    rounds alone, without the spread between launches."""
    if winner.pair is None or not (default.measurement and winner.measurement):
        return None
    plan = sequential(ctx, winner.spec.load.rounds)
    if launches_alike:
        plan = replace(plan, launch_cv=0.0)
    return _judge(plan, ctx.metric, default.measurement.rounds, winner.measurement.rounds)


def stopping(ctx: Context, default: TrialResult, winner: TrialResult) -> str:
    """For the report; empty where nothing was measured in turns."""
    judged = conclusion(ctx, default, winner)
    return _sentence(judged, winner.spec.load.rounds) if judged else ""


def _sentence(judged: Judgement, rounds: int) -> str:
    least = format_number(detectable_speedup(judged.speedup), 3)
    return (
        f"раундов {judged.speedup.n} из {rounds}, {_SAID[judged.answer]} "
        f"(при таком шуме различим выигрыш от ×{least})"
    )
