"""`advisor sessions | resume | report | export`: what was done, and going on with it."""

import json
from pathlib import Path

import typer

from api.cli.optimize import interruptible
from api.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("sessions", help="Список сессий.")(sessions)
    app.command("resume", help="Продолжить прерванную сессию.")(resume)
    app.command("report", help="Написать отчёт сессии заново из её записей.")(report)
    app.command("export", help="Скрипт запуска, compose и манифест Kubernetes.")(export)


def sessions(as_json: bool = typer.Option(False, "--json", help="Один объект JSON.")) -> None:
    """Newest first."""
    from tools.store import Store

    with Store.open(Settings().folders().store, "advisor sessions") as store:
        rows = store.sessions()
    if as_json:
        print(
            json.dumps([row.model_dump(mode="json") for row in rows], ensure_ascii=False, indent=2)
        )
        return
    for row in rows:
        print(
            f"{row.session}  {row.status.value:10}  {row.model}  {row.engine}  "
            f"{row.workload}  {row.objective}"
        )


def resume(
    session: str = typer.Argument(help="Номер сессии или его начало."),
    json_file: str | None = typer.Option(None, "--json", help="Итог в ФАЙЛ («-»: на stdout)."),
) -> int:
    """From the last checkpoint to the report."""
    return interruptible(_resume(session, json_file))


async def _resume(session: str, json_file: str | None) -> int:
    from advisor import runner
    from api.cli.watch import Watcher, finish
    from tools.store import Store

    home = Settings().folders()
    with Store.open(home.store, "advisor resume") as store, Watcher() as watcher:
        full = store.session(session).session
        record = await runner.resume(full, store, home, watcher.event)
    return finish(record, json_file, Path("reports"))


def report(
    session: str = typer.Argument(help="Номер сессии или его начало."),
    out: Path = typer.Option(Path("reports"), help="Папка отчётов."),
) -> None:
    """From the rows of the store alone."""
    from advisor.report import write_report
    from tools.store import Store

    with Store.open(Settings().folders().store, "advisor report") as store:
        record = store.record(store.session(session).session)
        print(write_report(record, store.samples, out))


def export(
    session: str = typer.Argument(help="Номер сессии или его начало."),
    out: Path = typer.Option(Path("deploy-export"), help="Куда писать."),
) -> None:
    """The handed-in configuration as files that run as they stand."""
    from advisor.export import export as render
    from tools.store import Store

    with Store.open(Settings().folders().store, "advisor export") as store:
        record = store.record(store.session(session).session)
    for path in render(record, out):
        print(path)
