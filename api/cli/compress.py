"""`advisor compress MODEL --method M`: prune, distil or factorize, then serve and compare."""

from pathlib import Path

import typer

from api.cli.optimize import interruptible


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compress", help="Сжать модель (pruning, distillation, low rank) и сравнить.")(
        compress
    )


def compress(  # noqa: PLR0913 - the options of the command
    model: str = typer.Argument(help="Папка с моделью, файл .gguf, id с хаба или demo."),
    method: str = typer.Option(
        help="magnitude, wanda, sparsegpt, layers, neurons, heads, iterative, distill, svd, "
        "tucker, cp, lora."
    ),
    pattern: str | None = typer.Option(None, help="Нули: unstructured или 2-4."),
    samples: int | None = typer.Option(None, help="Сколько отрывков текста."),
    steps: int | None = typer.Option(None, help="Шагов дообучения (0: без него)."),
    tokens: int | None = typer.Option(None, help="Токенов в отрывке."),
    calibration: Path | None = typer.Option(
        None, help="Свой текст: .txt или файл нагрузки .jsonl; иначе текст из Python."
    ),
    option: list[str] = typer.Option(
        [], help="Настройка метода: sparsity=0.5, ratio=0.2, student=ПАПКА; можно несколько."
    ),
    engine: str | None = typer.Option(None, help="Каким движком служить."),
    score: bool = typer.Option(True, help="Сравнить log-вероятности с исходной моделью."),
    json_file: str | None = typer.Option(None, "--json", help="Итог в ФАЙЛ («-»: на stdout)."),
) -> int:
    """The loss is shown as it goes; a run that was cut off goes on from its last checkpoint."""
    from api.cli import _derived
    from knowledge.types import Artifact
    from tools import compressors

    scheme = (pattern or compressors.load(method).schemes[0]).replace(":", "-")
    given = {"samples": samples, "steps": steps, "tokens": tokens}
    asked = _derived.Asked(
        model=model,
        recipe=Artifact(
            quantizer=method, scheme=scheme, options=_derived.options_of(method, given, option)
        ),
        calibration=calibration,
        engine=engine,
        gpu=None,
        score=score,
        json_file=json_file,
    )
    return interruptible(_derived.run(asked), resumable=False)
