"""`advisor profile TARGET --roofline`: each kernel of a step against the card's two ceilings."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from api.cli._json_out import give
from api.settings import Settings

if TYPE_CHECKING:
    from api.tasks import Request
    from knowledge.types import EngineConfig, FlagValue, KernelPoints, Task
    from knowledge.types.profiling import PhaseName

_SHOWN = 10
_SPARE_BYTES = 2**30


async def roofline(
    request: "Request",
    flags: "dict[str, FlagValue]",
    target: str | None,
    picture: Path | None,
    json_file: str | None,
) -> int:
    """A decode step of all streams and the prefill of one prompt, with the hardware's counters."""
    from api.tasks import task_of
    from knowledge.errors import BadInput
    from knowledge.types import EngineConfig
    from tools.profilers import nsight_compute

    if target is None or request.engine != "vllm":
        raise BadInput(
            "--roofline запускает сам и только vLLM: счётчики читаются внутри его процесса",
            "Назовите модель, а не URL и не трассу, и уберите --engine",
        )
    if nsight_compute.find() is None:
        raise BadInput("ncu не найден: счётчиков ядер не снять", nsight_compute.HINT)
    task = await task_of(request, Settings().folders(), _say)
    config = EngineConfig(engine=request.engine, flags=flags)
    found = await _measure(task, config)
    if picture:
        from advisor.report.figures._counters import draw_points

        draw_points(found, picture)
    if json_file:
        from pydantic_core import to_json

        told = {"task": task, "config": config, "steps": found}
        if give(to_json(told, indent=2).decode(), json_file):
            return 0
    for step in found:
        _print(step, task.hardware.device.bandwidth_bytes_per_s)
    return 0


async def _measure(task: "Task", config: "EngineConfig") -> "tuple[KernelPoints, ...]":
    from advisor.profiling import concurrency_of
    from knowledge.memory import kv_bytes_per_sequence
    from tools import engines
    from tools.preparing import World, environment_of
    from tools.process import free_port
    from tools.profilers import nsight_compute

    home = Settings().folders()
    folder = home.data / "profiles" / "ncu"
    engine = engines.load(config.engine)
    environment = await environment_of(engine, World(home, task.hardware, folder, _say))
    engine.validate(config, await engine.catalog(environment, home, _say))
    plan = engine.launch_plan(
        environment,
        config,
        model=task.model,
        model_path=Path(task.model.path),
        port=free_port(),
        hardware=task.hardware,
    )
    tokens = round(task.workload.input_tokens.mean)
    room = tokens + nsight_compute.ROOM_TOKENS
    one_sequence = kv_bytes_per_sequence(task.model.facts, "bfloat16", room)
    asked: tuple[tuple[PhaseName, int], ...] = (("decode", concurrency_of(task)), ("prefill", 1))
    steps = []
    for phase, sequences in asked:
        _say(f"{phase}: последовательностей {sequences} по {tokens} токенов, ncu повторяет ядра …")
        steps.append(
            await nsight_compute.kernel_points(
                plan.argv,
                plan.env,
                folder,
                phase=phase,
                sequences=sequences,
                tokens=tokens,
                kv_bytes=_SPARE_BYTES + sequences * one_sequence,
            )
        )
    return tuple(steps)


def _print(step: "KernelPoints", peak_bytes_per_s: float) -> None:
    from knowledge.quantities import format_number, format_percent
    from knowledge.verdicts import PART_NAMES, PHASE_NAMES

    memory = step.share(lambda one: one.dram_share)
    units = step.share(lambda one: one.sm_share)
    taken = format_number(step.total_us / 1e3, 2)
    print(
        f"\n{PHASE_NAMES[step.phase]}: {step.sequences} x {step.tokens} токенов, ядра заняли "
        f"{taken} мс; в среднем DRAM {format_percent(memory)} пика, SM {format_percent(units)}"
    )
    for one in step.points[:_SHOWN]:
        rate = one.bytes_per_s
        print(
            f"  {format_number(one.total_us, 0):>7} мкс {one.calls:>4} раз  "
            f"DRAM {format_percent(one.dram_share):>5} ({format_number(rate / 1e9, 0)} ГБ/с, "
            f"{format_percent(rate / peak_bytes_per_s)} паспорта)  "
            f"SM {format_percent(one.sm_share):>5}  "
            f"{PART_NAMES[one.part]:10} {one.name}"
        )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
