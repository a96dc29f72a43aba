"""`advisor mcp`: the same tools over stdio, for programs that start their servers themselves."""

import asyncio
from typing import TYPE_CHECKING, Any

import typer

from api.settings import Settings

if TYPE_CHECKING:
    from api.mcp.backend import Backend


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("mcp", help="MCP-сервер на stdio: ask, plan, start, status, report.")(mcp)


def mcp(
    url: str | None = typer.Option(None, help="Адрес сервиса; по умолчанию свой на этой машине."),
    key_env: str = typer.Option("ADVISOR_API_KEY", help="Переменная с ключом API для --url."),
) -> None:
    """Through the service that runs, else with a service of its own inside this process."""
    asyncio.run(_mcp(url, key_env))


async def _mcp(url: str | None, key_env: str) -> None:
    import os

    from api.auth import LOCAL
    from api.client import Client
    from api.mcp.backend import LocalBackend, RemoteBackend
    from api.service import Service
    from knowledge.errors import BadInput

    settings = Settings()
    if url is not None:
        key = os.environ.get(key_env)
        if not key:
            raise BadInput(f"в переменной {key_env} нет ключа", "Сделать ключ: advisor keys create")
        async with Client(url, key) as client:
            await _serve(RemoteBackend(client))
    elif client_here := Client.local(settings.folders()):
        async with client_here as client:
            await _serve(RemoteBackend(client))
    else:
        async with Service.open(settings) as service:
            await _serve(LocalBackend(service, LOCAL))


async def _serve(backend: "Backend") -> None:
    from api.mcp.server import build

    def who(_context: Any) -> "Backend":
        return backend

    await build(who).run_stdio_async()
