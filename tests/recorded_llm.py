"""An OpenAI-compatible endpoint that says what was recorded."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class RecordedLlm:
    """Answers every chat completion with the recorded content, or an error status."""

    def __init__(self) -> None:
        self.content: str = ""
        self.status = 200
        self.finish = "stop"
        self.silent = False
        self.requests: list[dict[str, Any]] = []
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["RecordedLlm"]:
        async with await asyncio.start_server(self.serve, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(
            int(line.split(":")[1])
            for line in head.split("\r\n")
            if line.startswith("content-length")
        )
        self.requests.append(json.loads(await reader.readexactly(length)))
        if self.silent:
            await asyncio.sleep(5)
        message = {"role": "assistant", "content": self.content}
        body = {
            "id": "1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish}],
            "usage": {"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1000},
        }  # fmt: skip
        text = json.dumps(body if self.status == 200 else {"error": {"message": "no"}}).encode()
        writer.write(
            f"HTTP/1.1 {self.status} X\r\ncontent-type: application/json\r\nconnection: close\r\n"
            f"content-length: {len(text)}\r\n\r\n".encode()
            + text
        )
        await writer.drain()
        writer.close()
