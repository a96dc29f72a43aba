"""MCP over streamable HTTP at /mcp; the key is checked at the gate, as everywhere."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.mcp.backend import Backend, LocalBackend
from api.mcp.server import build

router = APIRouter()


class _Endpoint:
    """The MCP application, which is made once the service is open."""

    def __init__(self) -> None:
        self.inner: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.inner, "lifespan has not run"
        await self.inner(scope, receive, send)


def mount(app: FastAPI) -> None:
    """At exactly /mcp: a mount would answer with a redirect."""
    endpoint = _Endpoint()
    app.state.mcp = endpoint
    app.router.routes.append(Route("/mcp", endpoint, include_in_schema=False))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Its session manager lives as long as the application."""
    server = _server(app)
    # Every request carries a key that a browser does not add by itself, so a Host or Origin that
    # somebody rebound opens nothing.
    security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    app.state.mcp.inner = server.streamable_http_app(
        stateless_http=True,
        max_request_body_size=app.state.settings.body_limit_bytes,
        transport_security=security,
    )
    async with server.session_manager.run():
        yield


def _server(app: FastAPI) -> MCPServer:
    def who(context: Any) -> Backend:
        return LocalBackend(app.state.service, context.request_context.request.scope["principal"])

    return build(who)
