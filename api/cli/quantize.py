"""`advisor quantize MODEL --scheme S`: a smaller checkpoint, made, served and compared."""

from pathlib import Path

import typer

from api.cli.optimize import interruptible


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("quantize", help="Квантовать модель и сравнить её качество с исходным.")(quantize)


def quantize(  # noqa: PLR0913 - the options of the command
    model: str = typer.Argument(help="Папка с моделью, файл .gguf, id с хаба или demo."),
    scheme: str = typer.Option(
        help="w8a8, w8a16, w4a16, awq, smoothquant, fp8, fp8-static, bf16, fp16, nf4, llm-int8, "
        "int8-weight-only, int8-dynamic, q8_0…q4_0, onnx-int4, onnx-int8."
    ),
    method: str | None = typer.Option(None, help="gptq, rtn, awq, smoothquant."),
    samples: int | None = typer.Option(None, help="Сколько отрывков калибровочного текста."),
    tokens: int | None = typer.Option(None, help="Токенов в отрывке."),
    calibration: Path | None = typer.Option(
        None, help="Свой текст: .txt или файл нагрузки .jsonl; иначе текст из Python."
    ),
    option: list[str] = typer.Option(
        [], help="Настройка метода: group_size=64, imatrix=true; можно несколько."
    ),
    engine: str | None = typer.Option(None, help="Каким движком служить."),
    gpu: str | None = typer.Option(None, help="Сделать для этой видеокарты, здесь не запускать."),
    score: bool = typer.Option(True, help="Сравнить log-вероятности с исходной моделью."),
    json_file: str | None = typer.Option(None, "--json", help="Итог в ФАЙЛ («-»: на stdout)."),
) -> int:
    """Refused before the work: a format that nothing here serves, too little memory or disk."""
    from api.cli import _derived
    from tools import makers

    recipe = makers.recipe(scheme)
    given = {"method": method, "samples": samples, "tokens": tokens}
    typed = _derived.options_of(recipe.quantizer, given, option)
    asked = _derived.Asked(
        model=model,
        recipe=recipe.replace(options=recipe.options | typed),
        calibration=calibration,
        engine=engine,
        gpu=gpu,
        score=score,
        json_file=json_file,
    )
    return interruptible(_derived.run(asked), resumable=False)
