"""A server of /v1/completions that scores prompts in either dialect, well or badly."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Self

Answer = tuple[int, bytes]


def logprob(token: int, position: int) -> float:
    """What this server's model thinks of a token."""
    return -((token * 31 + position) % 97 + 1) / 20


def vllm_style(body: dict[str, Any]) -> Answer:
    if "prompt_logprobs" not in body:
        return 400, b'{"error": {"message": "nothing asked"}}'
    entries: list[object] = [
        {str(t): {"logprob": logprob(t, i), "rank": 1, "decoded_token": "?"}} if i else None
        for i, t in enumerate(_ids(body))
    ]
    return _ok({"choices": [{"text": "x", "prompt_logprobs": entries}]})


def echo_style(body: dict[str, Any]) -> Answer:
    if "prompt_logprobs" in body:
        return 400, b'{"error": {"message": "unknown field prompt_logprobs"}}'
    ids = _ids(body)
    values = [logprob(t, i) if i else None for i, t in enumerate([*ids, 7])]
    choice = {"text": "x", "logprobs": {"token_logprobs": values}}
    return _ok({"choices": [choice], "usage": {"prompt_tokens": len(ids)}})


def indifferent(body: dict[str, Any]) -> Answer:
    """Ignores every field it does not know."""
    return _ok({"choices": [{"text": "x"}], "usage": {"prompt_tokens": 1}})


def _ids(body: dict[str, Any]) -> list[int]:
    prompt = body["prompt"]
    return list(prompt.encode()) if isinstance(prompt, str) else list(prompt)


def _ok(value: dict[str, Any]) -> Answer:
    return 200, json.dumps(value).encode()


class ScoringServer:
    """`async with ScoringServer(vllm_style) as server`; bodies holds what was asked."""

    def __init__(self, answer: Callable[[dict[str, Any]], Answer]) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.most_in_flight = 0
        self._answer = answer
        self._in_flight = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.sleep(0.01)  # transports close in later turns of the loop

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        body = json.loads(await reader.readexactly(length))
        self.bodies.append(body)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        await asyncio.sleep(0.005)
        self._in_flight -= 1
        status, content = self._answer(body)
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n\r\n".encode())
        writer.write(content)
        await writer.drain()
        writer.close()
