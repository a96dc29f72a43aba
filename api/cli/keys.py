"""`advisor keys create | list | revoke`: who may use the service. Works while it runs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from api.settings import Settings

if TYPE_CHECKING:
    from api.service.keys import Keys


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Ключи API сервиса.", no_args_is_help=True)
    group.command("create", help="Сделать ключ; он показывается один раз.")(create)
    group.command("list", help="Список ключей.")(show)
    group.command("revoke", help="Отозвать ключ: действует сразу.")(revoke)
    app.add_typer(group, name="keys")


def create(
    name: str = typer.Argument(help="Для кого или для чего ключ."),
    scope: str = typer.Option("read", help="read: смотреть и спрашивать; run: ещё и запускать."),
) -> None:
    """Print the key to stdout, and nothing else there."""
    with _keys() as keys:
        print(keys.create(name, (scope,)))


def show(as_json: bool = typer.Option(False, "--json", help="Один объект JSON.")) -> None:
    """Without secrets: they are not kept."""
    with _keys() as keys:
        rows = keys.list()
    if as_json:
        print(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=2))
        return
    for row in rows:
        state = f"отозван {row.revoked_at[:16]}" if row.revoked_at else "действует"
        print(f"{row.id}  {'+'.join(row.scopes):9} {row.created_at[:16]}  {state}  {row.name}")


def revoke(
    key: str = typer.Argument(help="Номер ключа из advisor keys list."),
) -> None:
    """At once, also in a service that runs."""
    with _keys() as keys:
        keys.revoke(key)
    print(f"Ключ {key} отозван")


@contextmanager
def _keys() -> Iterator["Keys"]:
    from api.service.backend import tables_of
    from api.service.keys import Keys

    database = tables_of(Settings())
    try:
        yield Keys(database)
    finally:
        database.close()
