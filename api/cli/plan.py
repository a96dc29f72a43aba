"""`advisor plan MODEL`: what fits, the roofline, and what would be tried, without measuring."""

import asyncio
import json
import sys

import typer

from api.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan", help="Что известно до замеров: память, потолки, гипотезы.")(plan)


def plan(
    model: str = typer.Argument(help="Папка с моделью, файл .gguf, id с хаба или demo."),
    engine: str = typer.Option("vllm", help="Движок."),
    workload: str = typer.Option("chat", help="Нагрузка."),
    concurrency: int | None = typer.Option(None, help="Сколько потоков запросов."),
    objective: str = typer.Option("latency", help="latency, ttft, tpot, throughput, cost."),
    as_json: bool = typer.Option(False, "--json", help="Один объект JSON."),
) -> None:
    """Ceilings and memory from the model's config and this machine's measured ceilings."""
    from advisor.profiling import concurrency_of, profile_of
    from api.tasks import Request, task_of
    from knowledge.memory import fit
    from knowledge.quantities import format_bytes

    home = Settings().folders()
    request = Request(model=model, engine=engine, workload=workload, concurrency=concurrency,
                      objective=objective)  # fmt: skip
    task = asyncio.run(task_of(request, home, lambda line: print(line, file=sys.stderr)))
    profile = profile_of(task)
    room = fit(
        task.model.facts,
        memory_bytes=task.hardware.device.memory_bytes,
        weight_dtype="bfloat16",
        kv_dtype="bfloat16",
        context_tokens=int(task.workload.input_tokens.high + task.workload.output_tokens.high),
        concurrency=concurrency_of(task),
        overhead_bytes=3 * 2**30,
    )
    if as_json:
        found = {"task": task.model_dump(mode="json"), "profile": profile.model_dump(mode="json"),
                 "memory": room.model_dump(mode="json")}  # fmt: skip
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return
    print(
        f"Модель {task.model.name}: {task.model.facts.parameters / 1e6:.0f} млн параметров, "
        f"на диске {format_bytes(task.model.weights_bytes)}"
    )
    for line in profile.evidence:
        print(line)
    for name, value in room.model_dump().items():
        print(f"  {name}: {format_bytes(value) if name.endswith('_bytes') else value}")
