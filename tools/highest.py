"""The highest load that a running server holds the SLOs under."""

from collections.abc import Sequence

from knowledge.measure import summarize
from knowledge.types import (
    ClosedLoop,
    LoadSearch,
    Measurement,
    Poisson,
    RequestSample,
    Slo,
    TrialSpec,
    Workload,
)
from tools.load import PromptSource, Target, highest_load, run_round

_DRAIN_S = 60.0
_FIRST_ROUND = 1000
"""Rounds of the search are numbered apart from the trial's own."""


async def search(
    spec: TrialSpec,
    plan: LoadSearch,
    target: Target,
    prompts: PromptSource,
    slos: Sequence[Slo],
) -> dict[str, float]:
    """Figures at the highest load found, by name; empty when no load held the SLOs.

    A closed loop is searched by streams, an open one by rate, each from what the workload asks.
    """
    arrival, number = spec.workload.arrival, _FIRST_ROUND
    streams = isinstance(arrival, ClosedLoop)

    async def measure(load: float) -> Measurement | None:
        nonlocal number
        number += 1
        samples = await _round(spec, plan, target, prompts, load, number)
        if not any(sample.ok for sample in samples):
            return None
        return summarize(samples, round_s=plan.round_s, slos=slos, seed=spec.load.seed)

    found = await highest_load(
        measure,
        slos,
        start=arrival.concurrency if isinstance(arrival, ClosedLoop) else arrival.rate_per_s,
        streams=streams,
        most_points=plan.points,
    )
    return found.as_dict("streams" if streams else "rate_per_s")


async def _round(
    spec: TrialSpec,
    plan: LoadSearch,
    target: Target,
    prompts: PromptSource,
    load: float,
    number: int,
) -> tuple[RequestSample, ...]:
    outcome = await run_round(
        target,
        _under(spec.workload, load),
        prompts,
        round_index=number,
        duration_s=plan.round_s,
        drain_s=_DRAIN_S,
        seed=spec.load.seed,
    )
    return outcome.samples


def _under(workload: Workload, load: float) -> Workload:
    if isinstance(workload.arrival, ClosedLoop):
        return workload.replace(arrival=ClosedLoop(concurrency=int(load)))
    return workload.replace(
        arrival=Poisson(rate_per_s=load, max_in_flight=workload.arrival.max_in_flight)
    )
