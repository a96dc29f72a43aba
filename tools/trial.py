"""The trial: one pure function of its specification.

Prepare, launch, wait for ready, warm up, measure, check quality and integrity, tear down, prove
that the memory came back. It knows nothing of sessions; a resume or another machine can repeat it.
"""

import asyncio
from collections.abc import Callable, Sequence

from knowledge.types import (
    Metric,
    QualityResult,
    Slo,
    TrialSpec,
)
from tools import canary
from tools.arm import Arm, Measured
from tools.preparing import World

Until = Callable[[Sequence[Sequence[dict[Metric, float]]]], str]
"""Given the figures of every round so far, by arm: why no more rounds are needed, in Russian; empty
while they are."""


async def run_trial(
    spec: TrialSpec,
    world: World,
    slos: Sequence[Slo] = (),
    reference: QualityResult | None = None,
) -> Measured:
    """Measure one candidate. Never raises for what the candidate does: that is its result."""
    return (await run_trials((spec,), world, slos, reference=reference))[0]


async def run_trials(
    specs: Sequence[TrialSpec],
    world: World,
    slos: Sequence[Slo] = (),
    until: Until | None = None,
    *,
    reference: QualityResult | None = None,
) -> tuple[Measured, ...]:
    """Measure several candidates in turns, round by round, so that drift hits all alike.

    All servers are up at once; the order within a round alternates. A round lasts as long as asked,
    longer where the warm-up shows that a request would hardly fit in. `until` is asked after every
    round whether the answer is clear, as long as no arm has failed. With a `reference` the
    quality's sample ends as soon as the comparison with it is decided.
    """
    arms = [Arm(spec, world, tuple(slos), reference) for spec in specs]
    try:
        await asyncio.gather(*(arm.attempt(arm.start()) for arm in arms))
        for arm in arms:
            await arm.attempt(arm.warm_up())
        longest = max(arm.round_s for arm in arms)
        for arm in arms:
            arm.round_s = longest
        speeds = await _rounds(arms, world, until)
        for arm in arms:
            await arm.attempt(arm.judge(speeds))
            await arm.profile_steps()
    finally:
        for arm in arms:
            await arm.stop()
    pair = specs[0].trial_id if len(specs) > 1 else None
    return tuple(arm.finish(pair) for arm in arms)


async def _rounds(arms: Sequence[Arm], world: World, until: Until | None) -> tuple[float, ...]:
    """All rounds of all arms; the machine's speed, looked at while every server is idle."""
    speeds = []
    for index in range(max(arm.spec.load.rounds for arm in arms)):
        if all(arm.failure for arm in arms):
            break
        speeds.append(await asyncio.to_thread(canary.speed))
        for arm in arms if index % 2 == 0 else reversed(arms):
            if index < arm.spec.load.rounds:
                await arm.attempt(arm.measure(index))
        if until is None or any(arm.failure for arm in arms):
            continue
        if said := until([arm.points() for arm in arms]):
            world.progress(said)
            break
    if speeds:
        speeds.append(await asyncio.to_thread(canary.speed))
    return tuple(speeds)
