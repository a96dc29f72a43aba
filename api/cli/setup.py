"""`advisor setup NAME…`: make the environments of engines and quantizers ahead of time."""

import asyncio
import sys

import typer

from api.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("setup", help="Установить окружения движков: vllm, transformers, demo…")(setup)


def setup(
    names: list[str] = typer.Argument(help="Имена движков и квантователей или demo."),
) -> None:
    """Each in a virtual environment of its own; what is ready is left alone."""
    from knowledge.errors import BadInput
    from tools import engines, envs, quantizers
    from tools.hardware import inspect
    from tools.models import resolve

    home = Settings().folders()
    hardware = inspect(home)
    known = {
        **dict.fromkeys(engines.names(), engines),
        **dict.fromkeys(quantizers.names(), quantizers),
    }
    for name in names:
        if name != "demo" and name not in known:
            raise BadInput(f"неизвестное имя {name!r}", f"Есть: demo, {', '.join(sorted(known))}")

    def progress(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    async def make() -> None:
        for name in names:
            if name == "demo":
                await resolve("demo", home, progress)
                continue
            adapter = engines.load(name) if name in engines.names() else quantizers.load(name)
            needs = adapter.env_spec(hardware)
            if needs:
                await envs.ensure(needs, home, progress)
            print(f"{name}: готово")

    asyncio.run(make())
