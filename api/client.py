"""The service over HTTP: what the command line and the MCP bridge use while it runs."""

import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import httpx2

from knowledge.errors import AdvisorError, BadInput
from knowledge.types import Event
from tools.home import Home
from tools.store import SessionRecord
from tools.store.holder import Holder

LOCAL_FILE = "service.json"
_TIMEOUT = httpx2.Timeout(90.0, read=90.0)
_PICTURE = re.compile(r"\]\([^)\s]*?([A-Za-z0-9_-]+\.(?:png|svg))\)")


class Client:
    """One service and one key."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx2.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT,
            trust_env=False,
        )

    @classmethod
    def local(cls, home: Home) -> Self | None:
        """The service that holds this user's store at the moment; None when none does."""
        try:
            note = json.loads((home.data / LOCAL_FILE).read_text())
            os.kill(int(note["pid"]), 0)
            if Holder.is_free(home.store):
                return None  # it was killed, its note stayed, and its pid is another's now
            return cls(str(note["url"]), str(note["token"]))
        except (OSError, ValueError, KeyError):
            return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, path: str, **params: str | int) -> Any:
        return (await self._ask("GET", path, params=params)).json()

    async def post(self, path: str, body: object = None) -> Any:
        content = {"json": body} if body is not None else {}
        return (await self._ask("POST", path, **content)).json()

    async def text(self, path: str) -> str:
        return (await self._ask("GET", path)).text

    async def record(self, session: str) -> SessionRecord:
        answer = await self._ask("GET", f"/v1/sessions/{session}/record")
        return SessionRecord.model_validate_json(answer.content)

    async def rows(self) -> list[dict[str, Any]]:
        """All sessions, newest first, as the store's own rows."""
        return list(await self.get("/v1/sessions/rows"))

    async def find(self, start: str) -> str:
        """The session of this id, or of the only id that starts so."""
        names = [str(row["session"]) for row in await self.rows()]
        found = [name for name in names if name == start] or [
            name for name in names if start and name.startswith(start)
        ]
        if len(found) == 1:
            return found[0]
        what = "начинаются несколько сессий" if found else "не начинается ни одна сессия"
        raise BadInput(f"с «{start}» {what}", "Список: advisor sessions")

    async def follow(self, session: str, after: int = 0) -> AsyncIterator[Event]:
        """Every event once, over reconnects; ends when the session does."""
        seen, over = after, False
        while not over:
            headers = {"Last-Event-ID": str(seen)} if seen else {}
            path = f"/v1/sessions/{session}/events"
            with suppress(httpx2.TransportError):
                async with self._http.stream("GET", path, headers=headers) as answer:
                    if answer.status_code == 204:
                        return
                    if answer.status_code >= 400:
                        raise _error(answer.status_code, await answer.aread())
                    async for line in answer.aiter_lines():
                        if line == "event: end":
                            over = True
                        elif line.startswith('data: {"seq"'):
                            event = Event.model_validate_json(line.removeprefix("data: "))
                            seen = event.seq
                            yield event

    async def report(self, session: str, out: Path) -> Path:
        """Fetch the report with its pictures into a folder."""
        answer = await self._ask("GET", f"/v1/sessions/{session}/report")
        named = re.search(r'filename="([\w.-]+)"', answer.headers.get("content-disposition", ""))
        path = out / (named[1] if named else f"{session}.md")
        pictures = path.with_suffix("")
        pictures.mkdir(parents=True, exist_ok=True)
        path.write_bytes(answer.content)
        for name in sorted(set(_PICTURE.findall(answer.text))):
            picture = await self._ask("GET", f"/v1/sessions/{session}/report/{name}")
            (pictures / name).write_bytes(picture.content)
        return path

    async def _ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        try:
            answer = await self._http.request(method, path, **more)
        except httpx2.TransportError as error:
            raise AdvisorError(
                f"сервис {self.url} не отвечает ({type(error).__name__})",
                "Запустить его: advisor serve",
            ) from None
        if answer.status_code >= 400:
            raise _error(answer.status_code, answer.content)
        return answer


def _error(status: int, content: bytes) -> AdvisorError:
    try:
        message = str(json.loads(content)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = f"сервис ответил {status}"
    return BadInput(message) if status < 500 else AdvisorError(message)
