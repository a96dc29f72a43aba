"""`advisor serve`: the service."""

import sys
from typing import Any

import typer

from api.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve", help="Сервис: API, чат, панель. Настройки — переменные ADVISOR_*.")(serve)


def serve(
    host: str | None = typer.Option(None, help="Адрес; по умолчанию 127.0.0.1."),
    port: int | None = typer.Option(None, help="Порт; по умолчанию 8700."),
) -> None:
    """Until Ctrl-C or SIGTERM; sessions that run go on at the next start."""
    from api import server
    from api.service.database import Database
    from api.service.keys import Keys
    from tools.store import Store

    given: dict[str, Any] = {"host": host, "port": port}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    home = settings.folders()
    Store.open(home.store, "advisor serve").close()  # what is wrong with it is said plainly here
    database = Database(home.data / "service.sqlite")
    keys = [key for key in Keys(database).list() if key.revoked_at is None]
    database.close()
    if not keys:
        print("Ключей ещё нет. Сделать: advisor keys create ИМЯ --scope run", file=sys.stderr)
    server.run(settings)
