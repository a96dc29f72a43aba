"""`advisor sessions | resume | report | export`: what was done, and going on with it.

DuckDB is opened by one process: while the service runs, these speak to it.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from api.cli.optimize import connected, interruptible
from api.settings import Settings

if TYPE_CHECKING:
    from tools.store import SessionRecord


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("sessions", help="Список сессий.")(sessions)
    app.command("resume", help="Продолжить прерванную сессию.")(resume)
    app.command("report", help="Написать отчёт сессии заново из её записей.")(report)
    app.command("export", help="Скрипт запуска, compose и манифест Kubernetes.")(export)


def sessions(as_json: bool = typer.Option(False, "--json", help="Один объект JSON.")) -> None:
    """Newest first."""
    rows = asyncio.run(_sessions())
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not rows:
        print("Сессий пока нет. Начать: advisor optimize demo", file=sys.stderr)
    for row in rows:
        print(
            f"{row['session']}  {row['status']:10}  {row['model']}  {row['engine']}  "
            f"{row['workload']}  {row['objective']}"
        )


async def _sessions() -> list[dict[str, Any]]:
    from api.client import Client
    from tools.store import Store

    home = Settings().folders()
    if here := Client.local(home):
        async with here as client:
            return await client.rows()
    with Store.open(home.store, "advisor sessions") as store:
        return [row.model_dump(mode="json") for row in store.sessions()]


def resume(
    session: str = typer.Argument(help="Номер сессии или его начало."),
    json_file: str | None = typer.Option(None, "--json", help="Итог в ФАЙЛ («-»: на stdout)."),
) -> int:
    """From the last checkpoint to the report."""
    return interruptible(_resume(session, json_file))


async def _resume(session: str, json_file: str | None) -> int:
    from advisor import runner
    from api.advice import adviser_of
    from api.cli.watch import Watcher, finish, follow
    from api.client import Client
    from tools.store import Store

    home = Settings().folders()
    if here := Client.local(home):
        async with here as client:
            full = await client.find(session)
            before = await client.get(f"/v1/sessions/{full}")
            if before["state"] not in ("done", "infeasible"):
                await client.post(f"/v1/sessions/{full}/resume")
            record = await follow(client, full, int(before["last_event"]))
        return finish(record, json_file, Path("reports"))
    with Store.open(home.store, "advisor resume") as store:
        full = store.session(session).session
        begun = runner.executor_of(store.record(full))
        async with connected(begun) as executor:
            with Watcher() as watcher:
                record = await runner.resume(
                    full, store, home, watcher.event,
                    adviser=adviser_of(Settings()), executor=executor,
                )  # fmt: skip
    return finish(record, json_file, Path("reports"))


def report(
    session: str = typer.Argument(help="Номер сессии или его начало."),
    out: Path = typer.Option(Path("reports"), help="Папка отчётов."),
) -> None:
    """From the rows of the store alone."""
    print(asyncio.run(_report(session, out)))


async def _report(session: str, out: Path) -> Path:
    from advisor.report import write_report
    from api.client import Client
    from tools.store import Store

    home = Settings().folders()
    if here := Client.local(home):
        async with here as client:
            return await client.report(await client.find(session), out)
    with Store.open(home.store, "advisor report") as store:
        record = store.record(store.session(session).session)
        return write_report(record, store.samples, out)


def export(
    session: str = typer.Argument(help="Номер сессии или его начало."),
    out: Path = typer.Option(Path("deploy-export"), help="Куда писать."),
) -> None:
    """The handed-in configuration as files that run as they stand."""
    from advisor.export import export as render

    for path in render(asyncio.run(_record(session)), out):
        print(path)


async def _record(session: str) -> "SessionRecord":
    from api.client import Client
    from tools.store import Store

    home = Settings().folders()
    if here := Client.local(home):
        async with here as client:
            return await client.record(await client.find(session))
    with Store.open(home.store, "advisor export") as store:
        return store.record(store.session(session).session)
