"""A local server with a small language model in it: the last tokens decide, by fixed weights.

It scores prompts, answers greedily or by sampling, knows a chat template and a stop token. Each
fault of a served model can be switched on.
"""

import asyncio
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tools.load.tokenizer import Tokenizer

END = 7
"""The token with which a chat's answer ends."""
_ANSWER_TOKENS = 8
_VOCABULARY = 256
_PRINTABLE = 94
"""Ids below it are printable ASCII."""
_CONTEXT = 6


@dataclass
class Model:
    """`seed` is which model it is, `noise` how much its weights were disturbed."""

    seed: int = 0
    noise: float = 0.0
    stop: int = END
    template: str = "<{role}>{content}\n"
    vocabulary_shift: int = 0
    """Its own tokenizer numbers tokens so much higher than the model's."""
    forgets: bool = False
    """Decoding sees another context than prefill does: a ruined KV cache."""

    def logprobs(self, before: Sequence[int]) -> NDArray[np.float64]:
        """Of every token of the vocabulary, given those before it."""
        key = zlib.crc32(" ".join(map(str, before[-_CONTEXT:])).encode())
        row = np.random.default_rng((self.seed, key)).normal(0, 2, _VOCABULARY)
        if self.noise:
            row += np.random.default_rng((99, self.seed, key)).normal(0, self.noise, _VOCABULARY)
        row[_PRINTABLE:] -= 12  # the bytes of half a character are never said
        return np.asarray(row - np.log(np.exp(row).sum()))


class LanguageServer:
    """`async with LanguageServer(model, tokenizer) as server`."""

    def __init__(self, model: Model, tokenizer: Tokenizer, *, cached: bool = False) -> None:
        self.model = model
        self.bodies: list[dict[str, Any]] = []
        self._tokenizer = tokenizer
        self._cache: dict[str, bytes] | None = {} if cached else None
        self._draws = np.random.default_rng(1)

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
        content = self._answer(body)
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode())
        writer.write(content)
        await writer.drain()
        writer.close()

    def _answer(self, body: dict[str, Any]) -> bytes:
        ids = self._ids(body)
        if body.get("prompt_logprobs") is not None:
            return self._scored(ids, body["prompt_logprobs"])
        key = str(body.get("prompt") or body.get("messages"))[:60]
        if self._cache is not None and key in self._cache:
            return self._cache[key]
        answer = self._generated(ids, body)
        if self._cache is not None:
            self._cache[key] = answer
        return answer

    def _ids(self, body: dict[str, Any]) -> list[int]:
        if "messages" in body:
            text = "".join(self.model.template.format(**turn) for turn in body["messages"])
            return self._tokenizer.encode(text)
        prompt = body["prompt"]
        if isinstance(prompt, str):
            shift = self.model.vocabulary_shift
            return [(i + shift) % _VOCABULARY for i in self._tokenizer.encode(prompt)]
        return list(prompt)

    def _scored(self, ids: list[int], top: int) -> bytes:
        entries: list[dict[str, Any] | None] = [None]
        for place, token in enumerate(ids[1:], start=1):
            row = self.model.logprobs(ids[:place])
            likeliest = np.argsort(-row)[:top].tolist()
            entries.append({str(i): {"logprob": float(row[i])} for i in (token, *likeliest)})
        return json.dumps({"choices": [{"text": "x", "prompt_logprobs": entries}]}).encode()

    def _next(self, ids: list[int], done: int, temperature: float) -> int:
        seen = ids[:-1] if self.model.forgets and done % 2 else ids
        row = self.model.logprobs(seen)
        if not temperature:
            return int(row.argmax())
        odds = np.exp(row / temperature)
        return int(self._draws.choice(_VOCABULARY, p=odds / odds.sum()))

    def _generated(self, ids: list[int], body: dict[str, Any]) -> bytes:
        said: list[int] = []
        chat, finish = "messages" in body, "length"
        while len(said) < body["max_tokens"]:
            chosen = self._next([*ids, *said], len(said), body["temperature"])
            if chat and len(said) == _ANSWER_TOKENS:
                chosen = END
            if chat and chosen == self.model.stop:
                finish = "stop"
                break
            said.append(chosen)
        text = self._tokenizer.decode(said)
        usage = {"prompt_tokens": len(ids), "completion_tokens": len(said)}
        choice: dict[str, Any] = {"finish_reason": finish}
        choice |= {"message": {"content": text}} if "messages" in body else {"text": text}
        return json.dumps({"choices": [choice], "usage": usage}).encode()
