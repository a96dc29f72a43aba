"""`advisor watch DIR`: a session for every new model, by the policy file."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from api.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Offer = Callable[[str], Awaitable[dict[str, Any]]]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("watch", help="Следить за папкой: новая модель — новая сессия по правилам.")(watch)


def watch(
    folder: Path = typer.Argument(help="Папка, где появляются модели."),
    policy: Path | None = typer.Option(None, help="YAML с правилами; иначе ADVISOR_HOOK_POLICY."),
    every: str = typer.Option("30s", help="Как часто смотреть."),
    settle: str = typer.Option("60s", help="Сколько файлы не должны меняться."),
    once: bool = typer.Option(False, help="Посмотреть один раз, дождаться сессий и выйти."),
) -> int:
    """Through the service that runs, else with a service of its own inside this process."""
    from api.cli.optimize import interruptible
    from knowledge.errors import BadInput
    from knowledge.quantities import parse_duration

    if not folder.is_dir():
        raise BadInput(f"папки {folder} нет", "Проверьте путь")
    settings = Settings(hook_policy=policy) if policy else Settings()
    pauses = parse_duration(every), parse_duration(settle)
    return interruptible(_watch(folder.absolute(), settings, pauses, once))


async def _watch(folder: Path, settings: Settings, pauses: tuple[float, float], once: bool) -> int:
    from api.auth import LOCAL
    from api.client import Client
    from api.service import Service
    from api.service.policy import Policy

    if here := Client.local(settings.folders()):
        # The service reads its own policy; a file given here would not be heeded.
        async with here as client:
            return await _look(
                folder, lambda model: client.post("/v1/hooks/model", {"model": model}), pauses, once
            )
    Policy.load(settings.hook_policy)
    async with Service.open(settings) as service:

        async def offer(model: str) -> dict[str, Any]:
            return (await service.new_model(model, LOCAL, "watch")).model_dump()

        code = await _look(folder, offer, pauses, once)
        while once and service.busy:  # noqa: ASYNC110 - a look now and then is enough
            await asyncio.sleep(0.5)
        return code


async def _look(folder: Path, offer: "Offer", pauses: tuple[float, float], once: bool) -> int:
    from knowledge.errors import AdvisorError

    every_s, settle_s = pauses
    told: dict[Path, float] = {}
    while True:
        for model, changed in models(folder):
            if told.get(model) == changed or time.time() - changed < settle_s:
                continue
            told[model] = changed
            try:
                found = await offer(str(model))
            except AdvisorError as error:
                print(f"{model.name}: {error}", flush=True)
                continue
            words = found["reason"] or f"сессия {found['session']} по правилу {found['rule']}"
            print(f"{model.name}: {words}", flush=True)
        if once:
            return 0
        await asyncio.sleep(every_s)


def models(folder: Path) -> Iterator[tuple[Path, float]]:
    """Complete models below a folder, two levels deep, with the time of their last change."""
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        if path.suffix == ".gguf" and path.is_file():
            yield path, path.stat().st_mtime
        elif (path / "config.json").is_file() and (path / "tokenizer.json").is_file():
            files = [file for file in path.iterdir() if file.is_file()]
            partial = any(file.suffix in (".incomplete", ".part", ".tmp") for file in files)
            if not partial and any(file.suffix == ".safetensors" for file in files):
                yield path, max(file.stat().st_mtime for file in files)
