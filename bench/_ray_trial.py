"""A trial that only takes its time, with the result of a real one: what a Ray worker runs here."""

import asyncio
import os
from datetime import UTC, datetime

from knowledge.types import Estimate, Measurement, Metric, RequestSample, TrialResult
from tools.arm import Measured
from tools.executors.base import Job
from tools.preparing import World

REQUESTS = 50


async def take_time(job: Job, world: World) -> tuple[Measured, ...]:
    """As long as the load plan says; tells its process first, so that it can be killed."""
    begun = datetime.now(UTC)
    world.progress(f"{job.specs[0].ordinal} {os.getpid()}")
    await asyncio.sleep(job.specs[0].load.round_s)
    figure = Estimate(value=100.0, low=98.0, high=102.0, n=REQUESTS)
    measurement = Measurement(
        metrics={Metric.E2E_P50_MS: figure},
        rounds=({Metric.E2E_P50_MS: 100.0},),
        window_s=job.specs[0].load.round_s,
        requests=REQUESTS,
        failed_requests=0,
    )
    samples = tuple(
        RequestSample(
            index=n, round=0, stream=0, intended_s=n / 10, sent_s=n / 10,
            first_token_s=n / 10 + 0.05, last_token_s=n / 10 + 0.1, end_s=n / 10 + 0.1,
            asked_input_tokens=64, asked_output_tokens=16,
            input_tokens=64, output_tokens=16, itl_ms=(5.0,) * 15,
        )
        for n in range(REQUESTS)
    )  # fmt: skip
    return tuple(
        Measured(
            TrialResult(
                spec=spec,
                started_at=begun,
                finished_at=datetime.now(UTC),
                measurement=measurement,
            ),
            samples,
        )
        for spec in job.specs
    )
