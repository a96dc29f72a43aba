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
    store: str | None = typer.Option(
        None,
        metavar="postgresql://…",
        help="Общий PostgreSQL нескольких реплик; без него DuckDB и SQLite в папке данных. Пароль"
        " лучше дать в ADVISOR_STORE или PGPASSFILE: командную строку видят соседи.",
    ),
) -> None:
    """Until Ctrl-C or SIGTERM; sessions that run go on at the next start."""
    from api import server
    from api.service.backend import backend_of
    from api.service.keys import Keys

    given: dict[str, Any] = {"host": host, "port": port, "store": store}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    backend = backend_of(settings)
    try:
        with backend.open_store():  # what is wrong with it is said plainly here
            keys = [key for key in Keys(backend.tables).list() if key.revoked_at is None]
    finally:
        backend.close()
    if not keys:
        print("Ключей ещё нет. Сделать: advisor keys create ИМЯ --scope run", file=sys.stderr)
    server.run(settings)
