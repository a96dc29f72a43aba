"""A server that answers from a cache what looks like something it answered before."""

import asyncio
import json
from typing import Any, Self

from tools.load.http import Response, fetch

_LOOKED_AT = 120
"""Characters of a prompt's beginning that the cache tells prompts apart by."""


class CachingProxy:
    """`async with CachingProxy(url) as proxy`: scoring is passed on, answers are replayed."""

    def __init__(self, behind: str) -> None:
        self._behind = behind
        self._known: dict[str, Response] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.sleep(0.01)  # transports close in later turns of the loop

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        sizes = [line for line in lines if line.lower().startswith("content-length:")]
        body = await reader.readexactly(int(sizes[0].split(":")[1]) if sizes else 0)
        answer = await self._answer(method, path, body)
        head = f"HTTP/1.1 {answer.status} X\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(answer.content)}\r\n\r\n".encode())
        writer.write(answer.content)
        await writer.drain()
        writer.close()

    async def _answer(self, method: str, path: str, body: bytes) -> Response:
        key = _key(path, json.loads(body)) if body else None
        if key is None:
            return await fetch(self._behind, path, method=method, body=body, timeout_s=600)
        if key not in self._known:
            passed_on = fetch(self._behind, path, method=method, body=body, timeout_s=600)
            self._known.setdefault(key, await passed_on)
        return self._known[key]


def _key(path: str, fields: dict[str, Any]) -> str | None:
    """None for what is scored and not answered."""
    if fields.get("prompt_logprobs") is not None or fields.get("echo"):
        return None
    asked = fields.get("prompt") or json.dumps(fields.get("messages"))
    return f"{path} {str(asked)[:_LOOKED_AT]}"
