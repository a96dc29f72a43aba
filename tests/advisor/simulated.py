"""A task on the simulated engine that finishes in seconds, for tests of whole sessions."""

from pathlib import Path

from knowledge.types import (
    Budget,
    ClosedLoop,
    Device,
    Hardware,
    Lengths,
    Objective,
    Slo,
    Task,
    Workload,
)
from tools.models import look_at

HARDWARE = Hardware(
    device=Device(
        name="test CPU",
        kind="cpu",
        memory_bytes=16 * 2**30,
        bandwidth_bytes_per_s=20e9,
        flops_per_s={"float32": 100e9, "bfloat16": 200e9},
    ),
    cpu_name="test CPU",
    cores=4,
    isa=("avx512_bf16",),
    host_memory_bytes=16 * 2**30,
)


def task(model: Path, *, trials: int = 3, slos: tuple[Slo, ...] = (), seconds: float = 300) -> Task:
    return Task(
        model=look_at(model, "tiny"),
        hardware=HARDWARE,
        workload=Workload(
            name="test",
            arrival=ClosedLoop(concurrency=4),
            input_tokens=Lengths(low=16, high=24),
            output_tokens=Lengths(low=4, high=8),
        ),
        engine="sim",
        objective=Objective.THROUGHPUT,
        slos=slos,
        budget=Budget(seconds=seconds, trials=trials),
    )
