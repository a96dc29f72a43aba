"""`advisor bench URL`: measure any server that streams, one load, a sweep, or its limit."""

import os
from pathlib import Path

import typer

from api.cli.optimize import interruptible


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bench", help="Измерить работающий сервер: одна нагрузка, лестница или предел.")(
        bench
    )


def bench(  # noqa: PLR0913 - the options of the command
    url: str | None = typer.Argument(None, help="Например, http://127.0.0.1:8000"),
    model: str | None = typer.Option(None, help="Имя модели; по умолчанию первая у сервера."),
    workload: str = typer.Option("demo", help="chat, rag, code… или файл с запросами."),
    concurrency: int | None = typer.Option(None, help="Сколько потоков запросов."),
    rate: float | None = typer.Option(None, help="Запросов в секунду (Poisson)."),
    burstiness: float | None = typer.Option(
        None, help="К --rate: форма гамма-распределения пауз; 1 — Poisson, меньше — пачками."
    ),
    constant: bool = typer.Option(False, "--constant", help="К --rate: равные паузы."),
    max_in_flight: int | None = typer.Option(None, help="К --rate: открытых запросов не больше."),
    input_tokens: int | None = typer.Option(None, help="Токенов в запросе, не больше."),
    output_tokens: int | None = typer.Option(None, help="Токенов в ответе, не больше."),
    duration: str = typer.Option("20s", help="Сколько мерить каждую нагрузку."),
    warmup: str = typer.Option("3s", help="Сколько греть перед замером (0 — не греть)."),
    sweep: str | None = typer.Option(None, help="Лестница потоков, например 1,4,16,64."),
    sweep_rate: str | None = typer.Option(None, help="Лестница частот, например 1,2,4,8."),
    find: str | None = typer.Option(
        None, help="Найти наибольшую нагрузку, при которой держатся SLO: rate или streams."
    ),
    tokenizer: Path | None = typer.Option(None, help="Папка с tokenizer.json для точных длин."),
    protocol: str = typer.Option(
        "completions", help="completions, chat, tgi, triton или llamacpp."
    ),
    chat: bool = typer.Option(False, help="То же, что --protocol chat."),
    processes: int | None = typer.Option(
        None, min=1, help="Процессов генератора; обычно выбирает сам."
    ),
    executor: str = typer.Option(
        "local", help="Откуда нагрузка: local или ray — с узлов кластера, по процессу на узел."
    ),
    api_key_env: str = typer.Option("OPENAI_API_KEY", help="Переменная с ключом API."),
    slo: list[str] = typer.Option([], help="Для goodput и --find, например ttft_p95=200ms."),
    assertion: list[str] = typer.Option(
        [], "--assert", help="Условие для CI, например ttft_p95<200ms; нарушено — код 4."
    ),
    compare: Path | None = typer.Option(None, help="Сравнить с прежним --json."),
    html: Path | None = typer.Option(None, help="Страница с кривыми в ФАЙЛ."),
    vllm_json: Path | None = typer.Option(None, help="Итог в форме vllm bench serve."),
    guidellm_json: Path | None = typer.Option(None, help="Итог в форме GuideLLM."),
    calibrate: bool = typer.Option(
        False, "--calibrate", help="Проверить сам генератор на этой машине; URL не нужен."
    ),
    seed: int = typer.Option(0, help="Зерно случайных чисел."),
    json_file: str | None = typer.Option(None, "--json", help="Итог в ФАЙЛ («-»: на stdout)."),
) -> int:
    """Percentiles with 95 % intervals, and one JSON object."""
    from api.cli import bench_run
    from api.tasks import Request
    from knowledge.errors import BadInput
    from knowledge.quantities import parse_duration

    if calibrate:
        return interruptible(bench_run.calibrated(json_file), resumable=False)
    if url is None:
        raise BadInput("не указан адрес сервера", "Например: advisor bench http://127.0.0.1:8000")
    if chat and protocol not in ("completions", "chat"):
        raise BadInput(f"--chat и --protocol {protocol} заданы вместе", "Оставьте --protocol")
    request = Request(
        model=model or "", workload=workload, concurrency=concurrency, rate=rate,
        input_tokens=input_tokens, output_tokens=output_tokens, slo=slo, seed=seed,
    )  # fmt: skip
    asked = bench_run.Asked(
        url=url,
        request=request,
        arrival=bench_run.ArrivalOptions(burstiness, constant, max_in_flight),
        warmup_s=0.0 if warmup.strip() in ("0", "0s") else parse_duration(warmup),
        duration_s=parse_duration(duration),
        streams=bench_run.numbers("--sweep", sweep, whole=True),
        rates=bench_run.numbers("--sweep-rate", sweep_rate),
        find=find,
        tokenizer=tokenizer,
        endpoint="chat" if chat else protocol,
        processes=processes,
        executor=executor,
        api_key=os.environ.get(api_key_env),
        assertions=tuple(assertion),
        compare=compare,
        files={"html": html, "vllm": vllm_json, "guidellm": guidellm_json},
        json_file=json_file,
    )
    return interruptible(bench_run.run(asked), resumable=False)
