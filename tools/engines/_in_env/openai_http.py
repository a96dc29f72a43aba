"""A small OpenAI-compatible HTTP server over asyncio, standard library only.

Serves the naive reference inside its own environment and the simulated engine in ours.
"""

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

_LARGEST_BODY_BYTES = 64 * 2**20
_COMPLETION_TOKENS = 16
"""OpenAI's default max_tokens of /v1/completions."""
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}


class BadRequest(Exception):
    """Answered with 400 and this text."""


@dataclass(frozen=True)
class Piece:
    """Some output at once: usually one token, more under speculation."""

    text: str
    tokens: int = 1
    finish: str | None = None


@dataclass(frozen=True)
class TokenScore:
    """One prompt token with its log-probability (natural logarithm) given those before it."""

    token: int
    text: str
    logprob: float
    top: tuple[tuple[int, str, float], ...] = ()
    """The likeliest tokens at its place (id, text, log-probability), the likeliest first."""


@dataclass(frozen=True)
class Ask:
    """One request, checked."""

    prompt: str | list[int] | None
    messages: list[dict[str, Any]] | None
    max_tokens: int | None
    temperature: float = 0.0
    ignore_eos: bool = False
    stream: bool = False
    usage_at_end: bool = False
    usage_always: bool = False
    prompt_logprobs: bool = False
    echo_logprobs: bool = False
    top: int = 0
    """Likeliest tokens wanted at every place of a scored prompt."""
    gone: Callable[[], bool] = field(default=lambda: False, repr=False)
    """True once the client has hung up: work for it may stop."""


class Backend(Protocol):
    """What answers. Token ids are the backend's own."""

    model: str
    max_model_len: int

    def encode(self, ask: Ask) -> list[int]: ...

    def generate(
        self, ask: Ask, ids: list[int], max_tokens: int
    ) -> AsyncGenerator[Piece, None]: ...

    async def score(self, ids: list[int]) -> list[TokenScore]:
        """Scores of ids[1:]."""

    def metrics(self) -> str | None: ...


async def serve(backend: Backend, host: str, port: int) -> None:
    """Serve until cancelled."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await _exchange(backend, reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client hung up
        finally:
            writer.close()

    server = await asyncio.start_server(connected, host, port, backlog=4096)
    async with server:
        await server.serve_forever()


async def _exchange(
    backend: Backend, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    """One request and its answer; False when the connection is to be closed."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ", 2)
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:])}
    size = int(headers.get("content-length") or 0)
    if size > _LARGEST_BODY_BYTES:
        return False
    body = await reader.readexactly(size)
    out = _Output(writer)
    try:
        await _route(backend, method, path.partition("?")[0], body, reader, out)
    except BadRequest as error:
        problem = {"message": str(error), "type": "BadRequestError", "code": 400}
        await out.json({"error": problem}, status=400)
    return headers.get("connection", "").lower() != "close"


async def _route(
    backend: Backend,
    method: str,
    path: str,
    body: bytes,
    reader: asyncio.StreamReader,
    out: "_Output",
) -> None:
    if path in ("/v1/completions", "/v1/chat/completions"):
        if method != "POST":
            await out.json({"error": {"message": "POST it"}}, status=405)
            return
        chat = path == "/v1/chat/completions"
        ask = _read(body, chat=chat, model=backend.model, reader=reader)
        await _answer(backend, ask, out)
    elif path == "/health":
        await out.plain("")
    elif path == "/v1/models":
        card = {"id": backend.model, "object": "model", "max_model_len": backend.max_model_len}
        await out.json({"object": "list", "data": [card]})
    elif path == "/metrics" and (metrics := backend.metrics()) is not None:
        await out.plain(metrics)
    else:
        await out.json({"error": {"message": f"no such path: {path}"}}, status=404)


def _read(body: bytes, *, chat: bool, model: str, reader: asyncio.StreamReader) -> Ask:
    """The fields of a request that mean something here. Raises BadRequest."""
    try:
        fields = json.loads(body)
        options = fields.get("stream_options") or {}
        limit = fields.get("max_completion_tokens") or fields.get("max_tokens")
        ask = Ask(
            prompt=None if chat else _one_prompt(fields["prompt"]),
            messages=fields["messages"] if chat else None,
            max_tokens=limit if limit or chat else _COMPLETION_TOKENS,
            temperature=float(fields.get("temperature", 1.0)),
            ignore_eos=bool(fields.get("ignore_eos")),
            stream=bool(fields.get("stream")),
            usage_at_end=bool(options.get("include_usage")),
            usage_always=bool(options.get("continuous_usage_stats")),
            prompt_logprobs=fields.get("prompt_logprobs") is not None,
            echo_logprobs=bool(fields.get("echo")) and fields.get("logprobs") is not None,
            top=int(fields.get("prompt_logprobs") or 0),
            gone=reader.at_eof,
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadRequest(f"malformed request: {type(error).__name__} {error}") from error
    if ask.max_tokens is not None and (not isinstance(ask.max_tokens, int) or ask.max_tokens < 1):
        raise BadRequest("max_tokens must be a positive integer")
    if fields.get("n", 1) != 1:
        raise BadRequest("n above 1 is not supported")
    if fields.get("model", model) != model:
        raise BadRequest(f"the model {fields['model']!r} does not exist; there is {model!r}")
    return ask


def _one_prompt(prompt: Any) -> str | list[int]:
    if isinstance(prompt, str) and prompt:
        return prompt
    if isinstance(prompt, list) and prompt:
        if all(isinstance(token, int) for token in prompt):
            return prompt
        if len(prompt) == 1:
            return _one_prompt(prompt[0])
    raise ValueError("prompt must be one text or one list of token ids")


async def _answer(backend: Backend, ask: Ask, out: "_Output") -> None:
    ids = backend.encode(ask)
    room = backend.max_model_len - len(ids)
    limit = ask.max_tokens or room
    if limit > room:
        raise BadRequest(
            f"{len(ids)} + {limit} tokens exceed the {backend.max_model_len} there are"
        )
    scores = await backend.score(ids) if ask.prompt_logprobs or ask.echo_logprobs else None
    form = _Form(backend.model, chat=ask.messages is not None, prompt_tokens=len(ids))
    pieces = backend.generate(ask, ids, limit)
    async with contextlib.aclosing(pieces) as stream:
        if ask.stream:
            await _stream(form, ask, stream, out)
        else:
            await out.json(form.whole([piece async for piece in stream], ids, scores, ask))


async def _stream(form: "_Form", ask: Ask, pieces: AsyncIterator[Piece], out: "_Output") -> None:
    await out.open_stream()
    if form.chat:
        await out.event(form.chunk({"delta": {"role": "assistant", "content": ""}}))
    done = 0
    async for piece in pieces:
        if ask.gone():
            return
        done += piece.tokens
        choice = {"delta": {"content": piece.text}} if form.chat else {"text": piece.text}
        chunk = form.chunk({**choice, "finish_reason": piece.finish})
        await out.event(chunk | ({"usage": form.usage(done)} if ask.usage_always else {}))
    if ask.usage_at_end:
        await out.event({**form.chunk({}), "choices": [], "usage": form.usage(done)})
    await out.close_stream()


class _Form:
    """The JSON of one answer."""

    def __init__(self, model: str, *, chat: bool, prompt_tokens: int) -> None:
        self.chat = chat
        self._prompt_tokens = prompt_tokens
        self._head = {
            "id": f"{'chatcmpl' if chat else 'cmpl'}-{uuid.uuid4().hex[:16]}",
            "created": int(time.time()),
            "model": model,
        }

    def usage(self, completion_tokens: int) -> dict[str, int]:
        total = self._prompt_tokens + completion_tokens
        counts = {"prompt_tokens": self._prompt_tokens, "completion_tokens": completion_tokens}
        return counts | {"total_tokens": total}

    def chunk(self, choice: dict[str, Any]) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        whole = {"index": 0, "finish_reason": None, **choice}
        return {**self._head, "object": kind, "choices": [whole]}

    def whole(
        self, pieces: list[Piece], ids: list[int], scores: list[TokenScore] | None, ask: Ask
    ) -> dict[str, Any]:
        text = "".join(piece.text for piece in pieces)
        finish = next((piece.finish for piece in pieces if piece.finish), "stop")
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
        if self.chat:
            choice["message"] = {"role": "assistant", "content": text}
        else:
            choice["text"] = text
        if scores is not None and ask.prompt_logprobs:
            choice["prompt_logprobs"] = [None, *(_as_vllm(score, ask.top) for score in scores)]
        if scores is not None and ask.echo_logprobs:
            choice["logprobs"] = {"token_logprobs": [None, *(s.logprob for s in scores)]}
        usage = self.usage(sum(piece.tokens for piece in pieces))
        kind = "chat.completion" if self.chat else "text_completion"
        return {**self._head, "object": kind, "choices": [choice], "usage": usage}


def _as_vllm(score: TokenScore, top: int) -> dict[str, Any]:
    """The token itself, then the likeliest; by id."""
    entry = {str(score.token): {"logprob": score.logprob, "decoded_token": score.text}}
    for token, text, logprob in score.top[:top]:
        entry.setdefault(str(token), {"logprob": logprob, "decoded_token": text})
    return entry


class _Output:
    """Writes one response; keep-alive."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def json(self, value: object, status: int = 200) -> None:
        await self._send(status, "application/json", json.dumps(value).encode())

    async def plain(self, text: str) -> None:
        await self._send(200, "text/plain; charset=utf-8", text.encode())

    async def open_stream(self) -> None:
        self._head(200, "text/event-stream", "Transfer-Encoding: chunked")
        await self._writer.drain()

    async def event(self, value: object) -> None:
        await self._chunk(b"data: " + json.dumps(value).encode() + b"\n\n")

    async def close_stream(self) -> None:
        await self._chunk(b"data: [DONE]\n\n")
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def _send(self, status: int, kind: str, body: bytes) -> None:
        self._head(status, kind, f"Content-Length: {len(body)}")
        self._writer.write(body)
        await self._writer.drain()

    async def _chunk(self, data: bytes) -> None:
        self._writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self._writer.drain()

    def _head(self, status: int, kind: str, length: str) -> None:
        reason = _REASONS[status]
        head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\n{length}\r\n\r\n"
        self._writer.write(head.encode())
