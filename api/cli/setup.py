"""`advisor setup NAME…`: make the environments of engines and quantizers ahead of time."""

import asyncio
import sys
from pathlib import Path

import typer

from api.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("setup", help="Установить окружения движков: vllm, transformers, demo…")(setup)


def setup(
    names: list[str] = typer.Argument(help="Имена движков и квантователей или demo."),
    python: Path | None = typer.Option(
        None, help="Не ставить, а взять готовый интерпретатор, где уже есть пакеты движка."
    ),
    site: list[Path] = typer.Option(
        [], help="Папка с пакетами рядом с ним (PYTHONPATH); можно несколько."
    ),
    forget: bool = typer.Option(False, help="Забыть указанный раньше интерпретатор."),
) -> None:
    """Each in a virtual environment of its own; what is ready is left alone."""
    from knowledge.errors import BadInput
    from tools import engines, envs, makers, registered
    from tools.hardware import inspect
    from tools.models import resolve

    home = Settings().folders()
    hardware = inspect(home)
    known = {
        **dict.fromkeys(engines.names(), engines),
        **dict.fromkeys(makers.names(), makers),
    }
    for name in names:
        if name != "demo" and name not in known:
            raise BadInput(f"неизвестное имя {name!r}", f"Есть: demo, {', '.join(sorted(known))}")

    if (python or site or forget) and (len(names) != 1 or names[0] == "demo"):
        raise BadInput(
            "--python, --site и --forget относятся к одному движку",
            "Например: advisor setup vllm --python /usr/bin/python3 --site /opt/vllm-site",
        )
    if site and python is None:
        raise BadInput("--site без --python", "Укажите интерпретатор, которому нужна эта папка")

    def progress(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    async def make() -> None:
        for name in names:
            if name == "demo":
                await resolve("demo", home, progress)
                continue
            adapter = engines.load(name) if name in engines.names() else makers.load(name)
            needs = adapter.env_spec(hardware)
            if needs and forget:
                known = registered.forget(needs.name, home)
                print(f"{name}: {'забыт' if known else 'указан не был'}")
                continue
            if needs and python:
                await registered.register(
                    needs.name, needs.serves_with or needs.imports, python, site, home
                )
            elif needs:
                await envs.ensure(needs, home, progress)
            if needs and name in engines.names():  # so that the first session needn't wait for it
                await engines.load(name).catalog(envs.find(needs, home), home, progress)
            print(f"{name}: готово")

    asyncio.run(make())
