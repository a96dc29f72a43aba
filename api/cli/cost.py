"""`advisor cost`: what tokens cost and what would make them cheaper."""

import json
from datetime import UTC, datetime
from pathlib import Path

import typer

from api.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("cost", help="Деньги: токены, окупаемость, API, spot, маршрутизация, кэши.")(cost)


def cost(  # noqa: PLR0913 - the options of the command
    model: str | None = typer.Argument(None, help="Модель; не нужна с --tokens-per-s или --trace."),
    gpu: str | None = typer.Option(None, help="Карта: h100, 2xa100-80."),
    count: int | None = typer.Option(None, help="Сколько GPU."),
    engine: str = typer.Option("vllm", help="vllm, sglang, tensorrt-llm."),
    workload: str = typer.Option("chat", help="chat, rag, code, batch, agent…"),
    concurrency: int | None = typer.Option(None, help="Сколько запросов одновременно."),
    input_tokens: int | None = typer.Option(None, help="Токенов в запросе, в среднем."),
    output_tokens: int | None = typer.Option(None, help="Токенов в ответе, в среднем."),
    dtype: list[str] = typer.Option([], help="Веса: bf16, fp8, int8, int4, fp4."),
    tokens_per_s: float | None = typer.Option(None, help="Измеренный throughput вместо прогноза."),
    load_share: float = typer.Option(1.0, help="Какую долю часов сервер загружен, от 0 до 1."),
    price: float | None = typer.Option(None, help="USD за час одного GPU."),
    prices: Path | None = typer.Option(None, help="Свои цены: файл YAML."),
    api_price: str | None = typer.Option(None, help="Цена API за 1M токенов: вход/выход, 0.15/0.6"),
    tuning_hours: float | None = typer.Option(None, help="Часы настройки: когда окупится."),
    speedup: str = typer.Option("1.1..1.4", help="Ожидаемое ускорение от настройки."),
    spot: float | None = typer.Option(None, help="Цена spot за час GPU; 0 — из каталога."),
    interruptions: float = typer.Option(2.0, help="Прерываний spot в сутки."),
    job_hours: float = typer.Option(24.0, help="Сколько часов работы на spot."),
    checkpoint: float | None = typer.Option(None, help="Часы между checkpoint (пакетная работа)."),
    fallback: bool = typer.Option(True, help="On-demand, пока spot нет."),
    small_model_price: float | None = typer.Option(None, help="USD/1M у малой модели."),
    easy: float = typer.Option(0.5, help="Доля простых запросов."),
    router_error: float = typer.Option(0.05, help="Доля ошибок маршрутизатора."),
    trace: Path | None = typer.Option(None, help="Свои запросы, JSONL: что дадут кэши."),
    cache_tokens: int = typer.Option(500_000, help="Токенов в KV cache под prefix cache."),
    similarity: float = typer.Option(0.9, help="Порог сходства для semantic cache, от 0 до 1."),
    tokenizer: Path | None = typer.Option(None, help="Папка с tokenizer.json для --trace."),
    as_json: bool = typer.Option(False, "--json", help="Один объект JSON."),
) -> None:
    """Each part is computed when its inputs are given."""
    from api.cli._cost_text import render
    from api.costs import CostOptions, CostReport, report_of
    from api.plans import PlanOptions

    plan = PlanOptions(
        model=model or "", gpu=[gpu] if gpu else [], count=count, engine=engine,
        workload=workload, concurrency=concurrency, input_tokens=input_tokens,
        output_tokens=output_tokens, dtype=dtype, objective="cost", prices=prices,
    )  # fmt: skip
    today = datetime.now(UTC).date()
    found: CostReport = report_of(
        CostOptions(
            plan=plan, tokens_per_s=tokens_per_s, load_share=load_share, price=price,
            api_price=api_price, tuning_hours=tuning_hours, speedup=speedup, spot=spot,
            interruptions=interruptions, job_hours=job_hours, checkpoint=checkpoint,
            fallback=fallback, small_model_price=small_model_price, easy=easy,
            router_error=router_error, trace=trace, cache_tokens=cache_tokens,
            similarity=similarity, tokenizer=tokenizer,
        ),
        Settings().folders(),
        today,
    )  # fmt: skip
    if as_json:
        print(json.dumps(found.model_dump(mode="json"), ensure_ascii=False, indent=2))
    else:
        print(render(found, today))
