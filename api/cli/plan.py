"""`advisor plan MODEL`: what fits, what to expect, what it costs, without measuring."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import typer

from api.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan", help="До замеров: влезет ли, на чём, как быстро, почём.")(plan)


def plan(  # noqa: PLR0913 - the options of the command
    model: str = typer.Argument(help="Папка, id с хаба или имя: qwen2.5-72b, llama 3.1 8b, demo."),
    gpu: list[str] = typer.Option(
        [], help="Карта: h100, 2xa100-80; несколько; any. Без неё — эта машина."
    ),
    count: int | None = typer.Option(None, help="Сколько GPU; без него: 1, 2, 4, 8."),
    engine: str = typer.Option("vllm", help="vllm, sglang, tensorrt-llm."),
    workload: str = typer.Option("chat", help="chat, rag, code, batch, agent…"),
    concurrency: int | None = typer.Option(None, help="Сколько запросов одновременно."),
    rate: float | None = typer.Option(None, help="Запросов в секунду."),
    input_tokens: int | None = typer.Option(None, help="Токенов в запросе, в среднем."),
    output_tokens: int | None = typer.Option(None, help="Токенов в ответе, в среднем."),
    dtype: list[str] = typer.Option([], help="Веса: bf16, fp8, int8, int4, fp4; без него — все."),
    kv_dtype: str | None = typer.Option(None, help="KV cache: bf16 (обычно), fp8."),
    slo: list[str] = typer.Option([], help="Например, ttft_p95=200ms; можно несколько."),
    objective: str = typer.Option("latency", help="latency, ttft, tpot, throughput, cost."),
    memory_utilization: float = typer.Option(0.9, help="Доля памяти GPU для движка."),
    prices: Path | None = typer.Option(None, help="Свои цены: файл YAML."),
    dummy_weights: bool = typer.Option(False, help="Модель без весов: одна форма."),
    as_json: bool = typer.Option(False, "--json", help="Один объект JSON."),
) -> int:
    """With --gpu from the catalogs alone; without it from this machine's measured ceilings."""
    if not gpu:
        _here(model, engine, workload, concurrency, objective, dummy_weights, as_json)
        return 0
    from advisor.planning import make_plan
    from advisor.prediction.sources import elsewhere, ours
    from api.cli._plan_text import render
    from api.plans import PlanOptions, request_of

    today = datetime.now(UTC).date()
    request = request_of(
        PlanOptions(
            model=model, gpu=gpu, count=count, engine=engine, workload=workload,
            concurrency=concurrency, rate=rate, input_tokens=input_tokens,
            output_tokens=output_tokens, dtype=dtype, kv_dtype=kv_dtype, slo=slo,
            objective=objective, utilization=memory_utilization, prices=prices,
            default_slos=objective == "latency",
        )
    )  # fmt: skip
    others = elsewhere([request.facts], request.gpus[0].name)
    found = make_plan(request, today, ours(Settings().folders()), others)
    if as_json:
        print(json.dumps(found.model_dump(mode="json"), ensure_ascii=False, indent=2))
    else:
        print(render(found, today))
    kept = found.feasible or (found.best is not None and not slo)
    return 0 if kept else 4


def _here(
    model: str,
    engine: str,
    workload: str,
    concurrency: int | None,
    objective: str,
    dummy_weights: bool,
    as_json: bool,
) -> None:
    """Ceilings and memory of this machine, as the first step of a session sees them."""
    from advisor.profiling import concurrency_of, profile_of
    from api.tasks import Request, task_of
    from knowledge.memory import fit
    from knowledge.quantities import format_bytes

    home = Settings().folders()
    request = Request(model=model, engine=engine, workload=workload, concurrency=concurrency,
                      objective=objective, dummy_weights=dummy_weights)  # fmt: skip
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
    verdict = "помещается" if room.fits else f"не хватает {format_bytes(room.shortfall_bytes)}"
    print(
        f"Память: нужно {format_bytes(room.needed_bytes)}, {verdict}; веса "
        f"{format_bytes(room.weights_bytes)}, KV cache на запрос "
        f"{format_bytes(room.kv_bytes_per_sequence)}, одновременно до {room.max_concurrency}"
    )
    print("План для GPU: advisor plan … --gpu h100 (или --gpu any)")
