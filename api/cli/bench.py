"""`advisor bench URL`: measure any OpenAI-compatible server."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from api.cli.optimize import interruptible

if TYPE_CHECKING:
    pass


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bench", help="Измерить работающий OpenAI-совместимый сервер.")(bench)


def bench(  # noqa: PLR0913 - the options of the command
    url: str = typer.Argument(help="Например, http://127.0.0.1:8000"),
    model: str | None = typer.Option(None, help="Имя модели; по умолчанию первая у сервера."),
    workload: str = typer.Option("demo", help="chat, rag, code… или ФАЙЛ.jsonl."),
    concurrency: int | None = typer.Option(None, help="Сколько потоков запросов."),
    rate: float | None = typer.Option(None, help="Запросов в секунду (Poisson)."),
    input_tokens: int | None = typer.Option(None, help="Токенов в запросе, не больше."),
    output_tokens: int | None = typer.Option(None, help="Токенов в ответе, не больше."),
    duration: str = typer.Option("20s", help="Сколько мерить."),
    warmup: str = typer.Option("3s", help="Сколько греть перед замером."),
    tokenizer: Path | None = typer.Option(None, help="Папка с tokenizer.json для точных длин."),
    chat: bool = typer.Option(False, help="Мерить /v1/chat/completions."),
    api_key_env: str = typer.Option("OPENAI_API_KEY", help="Переменная с ключом API."),
    slo: list[str] = typer.Option([], help="Для goodput, например ttft_p95=200ms."),
    seed: int = typer.Option(0, help="Зерно случайных чисел."),
    json_file: str | None = typer.Option(None, "--json", help="Итог в ФАЙЛ («-»: на stdout)."),
) -> int:
    """Percentiles with 95 % intervals, and one JSON object."""
    from api.tasks import Request
    from knowledge.quantities import parse_duration

    request = Request(
        model=model or "", workload=workload, concurrency=concurrency, rate=rate,
        input_tokens=input_tokens, output_tokens=output_tokens, slo=slo, seed=seed,
    )  # fmt: skip
    seconds = (parse_duration(warmup), parse_duration(duration))
    endpoint: Literal["chat", "completions"] = "chat" if chat else "completions"
    key = os.environ.get(api_key_env)
    return interruptible(_bench(url, request, seconds, tokenizer, endpoint, key, json_file))


async def _bench(  # type: ignore[no-untyped-def]
    url, request, seconds, tokenizer, endpoint, key, json_file
) -> int:
    from api.tasks import workload_of
    from knowledge.errors import BadInput, NothingMeasured
    from knowledge.measure import summarize
    from knowledge.quantities import format_estimate, parse_slo
    from tools.load import PromptSource, Target, Tokenizer, models, run_round

    load = workload_of(request)
    slos = [parse_slo(text) for text in request.slo]
    served = await models(url, key)
    name = request.model or (served[0] if served else "")
    if served and name not in served:
        raise BadInput(f"у сервера нет модели {name!r}", f"Есть: {', '.join(served)}")
    words = Tokenizer.from_folder(tokenizer) if tokenizer else None
    target = Target(base_url=url, model=name, endpoint=endpoint, api_key=key)
    prompts = PromptSource(load, words, request.seed)
    warmup_s, duration_s = seconds
    for index, length in ((-1, warmup_s), (0, duration_s)):
        if length:
            outcome = await run_round(
                target,
                load,
                prompts,
                round_index=index,
                duration_s=length,
                drain_s=60,
                seed=request.seed,
            )
    measured = summarize(outcome.samples, round_s=duration_s, slos=slos, seed=request.seed)
    measured = measured.replace(client_lag_p99_ms=outcome.loop_lag_p99_ms)
    if not any(sample.ok for sample in outcome.samples):
        errors = sorted({sample.error or "" for sample in outcome.samples})
        raise NothingMeasured(f"ни один запрос не удался: {', '.join(errors)}", "Проверьте сервер")
    found = {"url": url, "model": name, "workload": load.model_dump(mode="json"),
             **measured.model_dump(mode="json")}  # fmt: skip
    if json_file == "-":
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return 0
    if json_file:
        Path(json_file).write_text(json.dumps(found, ensure_ascii=False, indent=2) + "\n")
    print(
        f"{name} на {url}: {measured.requests} запросов за {duration_s:g} с, "
        f"неудачных {measured.failed_requests}"
    )
    for metric, estimate in measured.metrics.items():
        print(f"  {metric.value:22} {format_estimate(estimate)}")
    for warning in measured.warnings:
        print(f"  ! {warning}")
    return 0
