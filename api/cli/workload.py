"""`advisor workload FILE|URL`: what the traffic is like, before anything is tuned for it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from api.cli.optimize import interruptible

if TYPE_CHECKING:
    from tools.load.describe import Description


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("workload", help="Описать нагрузку: длины, паузы, общие префиксы, повторы.")(
        workload
    )


def workload(
    source: str = typer.Argument(
        help="Файл с запросами, имя нагрузки (chat, rag…) или адрес работающего vLLM."
    ),
    tokenizer: Path | None = typer.Option(None, help="Папка с tokenizer.json для точных длин."),
    seed: int = typer.Option(0, help="Зерно случайных чисел."),
    json_file: str | None = typer.Option(None, "--json", help="Итог в ФАЙЛ («-»: на stdout)."),
) -> int:
    """Lengths, burstiness, what prompts share, near-duplicates."""
    if source.startswith(("http://", "https://")):
        return interruptible(_server(source, json_file), resumable=False)
    from knowledge.errors import BadWorkload
    from knowledge.presets import PRESETS, preset
    from tools.load import Tokenizer, load_trace
    from tools.load.describe import describe_rows, describe_workload
    from tools.load.trace import format_of

    words = Tokenizer.from_folder(tokenizer) if tokenizer else None
    if source in PRESETS:
        found = describe_workload(preset(source), words, seed)
    elif Path(source).is_file():
        form = format_of(source)
        found = describe_rows(f"{source} ({form.title})", load_trace(source), words)
    else:
        raise BadWorkload(
            f"нет ни файла, ни нагрузки {source!r}", f"Нагрузки: {', '.join(PRESETS)}"
        )
    if json_file != "-":
        _show(found)
    _write(asdict(found), json_file)
    return 0


async def _server(url: str, json_file: str | None) -> int:
    from knowledge.errors import BadInput
    from tools.load import fetch
    from tools.load.describe import describe_server

    try:
        page = await fetch(url, "/metrics")
    except (OSError, TimeoutError) as error:
        raise BadInput(f"сервер не отвечает: {url}", "Проверьте адрес") from error
    found = dict(describe_server(url, page.content.decode("utf-8", "replace")))
    if not found:
        raise BadInput(
            f"у {url} нет счётчиков запросов vLLM на /metrics (или запросов ещё не было)",
            "Дайте файл с запросами",
        )
    if json_file != "-":
        from knowledge.quantities import format_number

        names = {
            "requests": "запросов",
            "input_tokens_mean": "токенов в запросе, в среднем",
            "output_tokens_mean": "токенов в ответе, в среднем",
            "prefix_cache_hit_share": "доля попаданий в prefix cache",
        }
        for name, value in found.items():
            print(f"{names[name]}: {format_number(value)}")
    _write({"source": url, **found}, json_file)
    return 0


def _write(found: dict[str, object], json_file: str | None) -> None:
    text = json.dumps(found, ensure_ascii=False, indent=2)
    if json_file == "-":
        print(text)
    elif json_file:
        Path(json_file).write_text(text + "\n", encoding="utf-8")


def _show(found: "Description") -> None:
    from knowledge.quantities import format_duration, format_number

    def share(value: float) -> str:
        return f"{format_number(100 * value, 1)} %"

    print(f"{found.source}: запросов {found.requests}")
    for name, seen in (("вход", found.input_tokens), ("выход", found.output_tokens)):
        print(
            f"  {name}, токенов: в среднем {format_number(seen.mean)}, p50 "
            f"{format_number(seen.p50)}, p95 {format_number(seen.p95)}, наибольшее "
            f"{format_number(seen.largest)}"
        )
    if not found.exact_lengths:
        print("  длины оценены по четырём символам на токен; точные даст --tokenizer ПАПКА")
    if found.rate_per_s is not None and found.span_s is not None and found.gap_cv is not None:
        print(
            f"  за {format_duration(found.span_s)}, {format_number(found.rate_per_s)} запр./с; "
            f"коэффициент вариации пауз {format_number(found.gap_cv)} (Poisson — 1), пик к "
            f"среднему {format_number(found.peak_to_mean or 0)}"
        )
    else:
        print("  времени прихода в файле нет")
    if found.shared_prefix_share is not None:
        print(f"  общий префикс с прежними запросами: {share(found.shared_prefix_share)} токенов")
    if found.near_duplicates is not None:
        print(f"  почти повторяют прежний запрос: {share(found.near_duplicates)} запросов")
