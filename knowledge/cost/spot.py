"""Spot machines with interruptions, simulated: what a job costs and how long it takes.

While a spot machine runs, interruptions come as a Poisson process. Each loses the work since the
last checkpoint and the time of a new start. Until spot is to be had again (exponential waits) the
job runs on demand, if the plan falls back to it, or waits.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from knowledge.errors import BadInput
from knowledge.prediction.types import Figure
from knowledge.types import Frozen


class SpotPlan(Frozen):
    """A job on spot machines. Times in hours, prices in USD per hour of the whole deployment."""

    work_hours: float = Field(gt=0)
    """How long it runs undisturbed."""
    on_demand_usd_per_h: float = Field(gt=0)
    spot_usd_per_h: float = Field(gt=0)
    interruptions_per_day: float = Field(ge=0)
    outage_hours: float = Field(default=0.5, ge=0)
    """Mean wait until spot is to be had again."""
    start_hours: float = Field(default=0.1, ge=0)
    """A new machine until it serves: image, weights, warm-up. Paid, nothing is done."""
    checkpoint_every_hours: float | None = Field(default=None, gt=0)
    """None: nothing is kept, as for a server whose requests are simply sent again."""
    checkpoint_hours: float = Field(default=0.0, ge=0)
    lose_uncheckpointed: bool = False
    """A batch job starts again from its last checkpoint (or from the beginning)."""
    fallback: bool = True
    """On-demand machines stand in during outages."""


class SpotResult(Frozen):
    """Over all simulated runs; intervals hold 90 % of them."""

    cost_usd: Figure
    on_demand_usd: float
    saving_share: Figure
    """Negative: spot costs more."""
    hours: Figure
    """From the first start to the end."""
    interruptions: Figure
    on_demand_hours: Figure
    worse_share: float
    """Part of the runs that cost more than on demand."""
    unfinished_share: float
    """Part that did not get ready within 50 times the undisturbed hours."""
    runs: int


_PATIENCE = 50


def simulate_spot(plan: SpotPlan, *, runs: int = 2000, seed: int = 0) -> SpotResult:
    """Monte Carlo of whole jobs. Raises BadInput for a plan that contradicts itself."""
    if plan.checkpoint_every_hours and plan.checkpoint_hours >= plan.checkpoint_every_hours:
        raise BadInput("checkpoint дольше промежутка между ними", "Пишите их реже")
    rng = np.random.default_rng(seed)
    found = np.array([_one(plan, rng) for _ in range(runs)])
    cost, hours, cuts, on_demand, ready = found.T
    undisturbed = plan.on_demand_usd_per_h * (plan.work_hours + plan.start_hours)
    return SpotResult(
        cost_usd=_figure(cost),
        on_demand_usd=undisturbed,
        saving_share=_figure(1 - cost / undisturbed),
        hours=_figure(hours),
        interruptions=_figure(cuts),
        on_demand_hours=_figure(on_demand),
        worse_share=float((cost > undisturbed).mean()),
        unfinished_share=float(1 - ready.mean()),
        runs=runs,
    )


def _one(plan: SpotPlan, rng: np.random.Generator) -> tuple[float, float, float, float, bool]:
    """Cost, hours, interruptions, hours on demand, and whether it got ready."""
    rate = plan.interruptions_per_day / 24
    left, saved, clock, cost, on_demand, cuts = plan.work_hours, plan.work_hours, 0.0, 0.0, 0.0, 0
    pace = _pace(plan)
    while clock < _PATIENCE * plan.work_hours + plan.start_hours:
        until = rng.exponential(1 / rate) if rate else np.inf
        needed = plan.start_hours + left / pace
        ran = min(until, needed)
        clock, cost = clock + ran, cost + ran * plan.spot_usd_per_h
        if until >= needed:
            return cost, clock, cuts, on_demand, True
        cuts += 1
        left, saved = _after_cut(plan, left, saved, max(0.0, ran - plan.start_hours) * pace)
        wait = rng.exponential(plan.outage_hours) if plan.outage_hours else 0.0
        if not plan.fallback:
            clock += wait
            continue
        useful = max(0.0, wait - plan.start_hours)
        stood_in = min(wait, plan.start_hours + left / pace)
        clock, on_demand = clock + stood_in, on_demand + stood_in
        cost += stood_in * plan.on_demand_usd_per_h
        left -= useful * pace
        if left <= 0:
            return cost, clock, cuts, on_demand, True
        saved = left  # going back to spot is planned, so its work is kept
    return cost, clock, cuts, on_demand, False


def _pace(plan: SpotPlan) -> float:
    """Work per hour while checkpoints are written."""
    if plan.checkpoint_every_hours is None:
        return 1.0
    return 1 - plan.checkpoint_hours / plan.checkpoint_every_hours


def _after_cut(plan: SpotPlan, left: float, saved: float, done: float) -> tuple[float, float]:
    """Work left, and the work left at the last checkpoint."""
    if not plan.lose_uncheckpointed:
        return left - done, left - done
    if plan.checkpoint_every_hours is None:
        return saved, saved
    step = plan.checkpoint_every_hours * _pace(plan)
    kept = left - done // step * step
    return kept, kept


def _figure(values: NDArray[np.float64]) -> Figure:
    low, high = np.quantile(values, (0.05, 0.95))
    mean = float(values.mean())
    return Figure(value=mean, low=min(float(low), mean), high=max(float(high), mean))
