"""A server of one configuration, for benches that measure several workloads per start."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from knowledge.errors import EngineFailed
from knowledge.measure import summarize
from knowledge.types import (
    Cause,
    ClosedLoop,
    EngineConfig,
    Estimate,
    Hardware,
    Lengths,
    Metric,
    ModelSpec,
    RequestSample,
    Workload,
)
from tools import engines, envs
from tools.hardware import free_device_memory_bytes
from tools.home import Home
from tools.load import PromptSource, Target, Tokenizer, run_round, wait_ready
from tools.process import ServerProcess, clean_env, free_port

_READY_S = 420.0
_DRAIN_S = 240.0


@dataclass
class Served:
    """A running server and what is needed to load it."""

    target: Target
    tokenizer: Tokenizer
    ready_s: float
    version: str
    process: ServerProcess
    seed: int = 0

    async def round(self, workload: Workload, seconds: float) -> tuple[RequestSample, ...]:
        """Offer the workload for so long, and wait for every answer."""
        self.seed += 1
        prompts = PromptSource(workload, self.tokenizer, self.seed)
        outcome = await run_round(
            self.target,
            workload,
            prompts,
            round_index=0,
            duration_s=seconds,
            drain_s=_DRAIN_S,
            seed=self.seed,
        )
        if self.process.returncode is not None:
            raise EngineFailed(*_died(self.process))
        return outcome.samples


@asynccontextmanager
async def served(
    config: EngineConfig,
    model: ModelSpec,
    hardware: Hardware,
    home: Home,
    log: Path,
    *,
    arguments: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
) -> AsyncGenerator[Served, None]:
    """Launch, wait until ready, hand over, stop, and wait until the memory is back.

    `arguments` and `variables` are what a bench adds that no configuration may.
    """
    engine = engines.load(config.engine)
    spec = engine.env_spec(hardware)
    environment = await envs.ensure(spec, home, print) if spec else None
    catalog = await engine.catalog(environment, home, print)
    engine.validate(config, catalog)
    free_before = free_device_memory_bytes(hardware)
    plan = engine.launch_plan(
        environment,
        config,
        model=model,
        model_path=Path(model.path),
        port=(port := free_port()),
        hardware=hardware,
    )
    url, begun = f"http://127.0.0.1:{port}", time.monotonic()
    environ = clean_env(plan.env | dict(variables or {}))
    process = await ServerProcess.start((*plan.argv, *arguments), environ, log)
    try:
        await wait_ready(url, lambda: process.returncode is None, _READY_S)
        ready_s = time.monotonic() - begun
        target = Target(base_url=url, model=model.name)
        words = Tokenizer.from_folder(model.path)
        yield Served(target, words, ready_s, catalog.version, process)
    finally:
        await process.stop()
        for _ in range(300):
            if free_device_memory_bytes(hardware) >= free_before - 2**30:
                break
            await asyncio.sleep(0.2)


def closed(name: str, streams: int, inputs: int, outputs: int) -> Workload:
    """Lengths uniform in [0.8 L, L], as InferenceBench draws them."""
    return Workload(
        name=name,
        arrival=ClosedLoop(concurrency=streams),
        input_tokens=Lengths(low=round(0.8 * inputs), high=inputs),
        output_tokens=Lengths(low=max(1, round(0.8 * outputs)), high=outputs),
    )


def figures(samples: Sequence[RequestSample], seconds: float) -> dict[Metric, Estimate]:
    """The usual metrics of one round."""
    return summarize(samples, round_s=seconds, slos=(), seed=0).metrics


def _died(process: ServerProcess) -> tuple[Cause, str, tuple[str, ...]]:
    return Cause.CRASH, "сервер умер под нагрузкой", process.log_tail()
