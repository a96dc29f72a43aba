"""How long the parts of a trial last: by how long one request of the workload takes."""

from dataclasses import replace

from advisor.context import Context, Pace, figure
from advisor.profiling import concurrency_of, profile_of
from knowledge.measure.requests import fitting_round_s
from knowledge.statistics.sequential import FIRST_LOOK
from knowledge.types import LoadPlan, LoadSearch, Metric, QualityPlan, Task

_OVER_ROOFLINE = 1.4
"""An untouched engine takes about so many times what the roofline says."""
_LONG_S = 4.0
_CYCLES = 2.0
_LONGEST_ROUND_S = 40.0

_SHORT_BUDGET_S = 600.0

SHORT = Pace(
    load=LoadPlan(warmup_s=3, round_s=16, rounds=1),
    production=LoadPlan(warmup_s=3, round_s=6, rounds=5),
    load_search=LoadSearch(round_s=6, points=4),
)
"""Little time is better spent on one hypothesis more than on narrower intervals."""

SIMULATED = Pace(
    load=LoadPlan(warmup_s=0.1, round_s=0.8, rounds=2),
    naive=LoadPlan(warmup_s=0.1, round_s=0.8, rounds=1),
    production=LoadPlan(warmup_s=0.1, round_s=0.8, rounds=4),
    most_rounds=4,
    load_search=LoadSearch(round_s=0.6, points=5),
    quality=QualityPlan(chunks=8, chunk_tokens=64, answers=False),
    deadline_s=120.0,
)


def pace_of(task: Task, *, simulated: bool) -> Pace:
    """Requests of many seconds want fewer and longer rounds: every round waits for its last one."""
    if simulated:
        return SIMULATED
    pace = SHORT if task.budget.seconds < _SHORT_BUDGET_S else Pace()
    request_s = request_seconds(task)
    if task.hardware.device.kind == "cpu" or request_s < _LONG_S:
        return pace
    round_s = min(_LONGEST_ROUND_S, max(pace.production.round_s, _CYCLES * request_s))
    return replace(
        pace,
        load=LoadPlan(warmup_s=2, round_s=round_s, rounds=1),
        production=LoadPlan(warmup_s=2, round_s=round_s, rounds=2),
        load_search=LoadSearch(round_s=round_s / 2, points=3),
        drain_s=request_s,
    )


def production_of(ctx: Context) -> tuple[LoadPlan, float]:
    """The cold test's load, and what its last requests take: fewer rounds where the default is so
    slow that each must be long."""
    plan, drain_s = ctx.pace.production, ctx.pace.drain_s
    trials = ctx.store.trials(ctx.session)
    default = next((t for t in trials if t.spec.purpose == "baseline"), None)
    e2e = figure(default, Metric.E2E_MEAN_MS)
    if e2e is None:
        return plan, drain_s
    request_s = e2e.value / 1e3
    stretch = fitting_round_s(plan.round_s, request_s) / plan.round_s
    rounds = max(min(FIRST_LOOK, plan.rounds), round(plan.rounds / stretch))
    return plan.replace(rounds=rounds), max(drain_s, request_s)


def request_seconds(task: Task) -> float:
    """One request from start to end, with its neighbours beside it, as far as one can tell."""
    ceilings = profile_of(task).ceilings
    output = task.workload.output_tokens.mean
    prefill_ms = ceilings["prefill_ms"] * max(1.0, concurrency_of(task) / 2)
    return _OVER_ROOFLINE * (prefill_ms + ceilings["decode_step_ms"] * output) / 1e3
