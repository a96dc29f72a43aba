"""What the MCP tools do, in this process or through a service that runs."""

from collections.abc import Callable
from typing import Any, Protocol

from advisor.consultation import Message
from api.auth import require
from api.chat.answer import answer, status_text
from api.client import Client
from api.schemas import SessionRequest
from api.service import Service
from api.service.keys import Principal


class Backend(Protocol):
    """The five tools."""

    async def ask(self, text: str) -> str: ...

    async def plan(self, request: SessionRequest) -> dict[str, Any]: ...

    async def start(self, request: SessionRequest) -> dict[str, Any]: ...

    async def status(self, session: str) -> str: ...

    async def report(self, session: str) -> str: ...


class LocalBackend:
    """In the service's own process, in the name of the key that asks."""

    def __init__(self, service: Service, principal: Principal) -> None:
        self._service, self._principal = service, principal

    async def ask(self, text: str) -> str:
        messages = [Message(role="user", content=text)]
        pieces = answer(messages, self._service, self._principal, origin="mcp", live=False)
        return "".join([piece async for piece in pieces])

    async def plan(self, request: SessionRequest) -> dict[str, Any]:
        plan = await self._service.plan(request, self._principal)
        return plan.model_dump(mode="json")

    async def start(self, request: SessionRequest) -> dict[str, Any]:
        require(self._principal, "run")
        view, _ = await self._service.submit(request, self._principal, "mcp")
        return view.model_dump(mode="json")

    async def status(self, session: str) -> str:
        return status_text(await self._service.detail(session), self._service)

    async def report(self, session: str) -> str:
        return (await self._service.report(session)).read_text(encoding="utf-8")


class RemoteBackend:
    """Through a service's API."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def ask(self, text: str) -> str:
        body = {"model": "advisor", "messages": [{"role": "user", "content": text}]}
        said = await self._client.post("/v1/chat/completions", body)
        return str(said["choices"][0]["message"]["content"])

    async def plan(self, request: SessionRequest) -> dict[str, Any]:
        return dict(await self._client.post("/v1/plan", request.model_dump(mode="json")))

    async def start(self, request: SessionRequest) -> dict[str, Any]:
        return dict(await self._client.post("/v1/sessions", request.model_dump(mode="json")))

    async def status(self, session: str) -> str:
        return await self.ask(f"статус сессии {session}")

    async def report(self, session: str) -> str:
        return await self._client.text(f"/v1/sessions/{session}/report")


WhoAsks = Callable[[Any], Backend]
"""From an MCP context to the backend of whoever called."""
