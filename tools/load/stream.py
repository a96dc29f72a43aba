"""One streamed answer as it comes in: chunks with their times, usage, and what went wrong."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from tools.load.sse import EventSplitter
from tools.load.tokens import Chunk

_KEPT_BODY_BYTES = 65_536
_KEPT_MESSAGE = 200
_TEXT_FIELDS = ("content", "reasoning_content", "reasoning")


class Stream:
    """Receives one response. `done` is set once, with the end or with the first error."""

    def __init__(self) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.status = 0
        self.error: str | None = None
        self.retry_after_s: float | None = None
        self.chunks: list[Chunk] = []
        self.finish_reason: str | None = None
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.sent = 0.0
        self.heard = 0.0
        """When the last byte came, to tell a silent server from a slow one."""
        self.ended = 0.0
        self._splitter = EventSplitter()
        self._plain: bytearray | None = None
        self._complete = False

    # Receiver

    def head(self, now: float, status: int, headers: Mapping[str, str]) -> None:
        self.status, self.heard = status, now
        if status != 200:
            seconds = headers.get("retry-after", "")
            self.retry_after_s = float(seconds) if seconds.isdecimal() else None
        if status != 200 or "text/event-stream" not in headers.get("content-type", ""):
            self._plain = bytearray()

    def body(self, now: float, data: bytes) -> None:
        self.heard = now
        if self._plain is not None:
            self._plain += data[: _KEPT_BODY_BYTES - len(self._plain)]
            return
        for name, payload in self._splitter.feed(data):
            self._event(now, name, payload)

    def end(self, now: float) -> None:
        if self._plain is not None:
            self.fail(now, self._plain_error(bytes(self._plain)))
            return
        for name, payload in self._splitter.flush():
            self._event(now, name, payload)
        if not (self._complete or self.finish_reason):
            self.fail(now, "truncated")
        self._finish(now)

    def lost(self, now: float, reason: str) -> None:
        self.fail(now, reason)

    # What the generator asks for

    def fail(self, now: float, error: str) -> None:
        """Note the first error and end the exchange; whatever comes later is not looked at."""
        if not self.done.done():
            self.error = error
            self._finish(now)

    @property
    def text(self) -> str:
        return "".join(chunk.text for chunk in self.chunks)

    def _finish(self, now: float) -> None:
        if not self.done.done():
            self.ended = now
            self.done.set_result(None)

    def _plain_error(self, body: bytes) -> str:
        if self.status != 200:
            return f"http-{self.status}"
        try:
            message = _error_message(orjson.loads(body))
        except orjson.JSONDecodeError:
            message = None
        return "malformed" if message is None else f"in-stream: {message}"

    def _event(self, now: float, name: bytes, payload: bytes) -> None:
        if self.done.done() or self._complete:
            return
        if payload == b"[DONE]":
            self._complete = True
            return
        try:
            event = orjson.loads(payload)
            message = _error_message(event)
            if message is None and name == b"error":
                message = _shorten(payload.decode("utf-8", "replace"))
            if message is not None:
                self.fail(now, f"in-stream: {message}")
            else:
                self._read(now, event)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            self.fail(now, "malformed")

    def _read(self, now: float, event: dict[str, Any]) -> None:
        usage = event.get("usage")
        counted: int | None = None
        if usage is not None:
            counted = int(usage["completion_tokens"])
            self.input_tokens = int(usage.get("prompt_tokens") or 0) or self.input_tokens
        choices = event["choices"]
        if not choices:  # the last event: usage alone
            self.output_tokens = counted if counted is not None else self.output_tokens
            return
        choice = choices[0]
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        delta = choice.get("delta")
        text = choice.get("text") or "" if delta is None else _delta_text(delta)
        if not isinstance(text, str):
            raise TypeError("text is no string")
        if not text and delta is not None and delta.get("role"):
            return  # opens the answer, carries no token
        before = self.chunks[-1].counted if self.chunks else 0
        if text or (counted is not None and counted > (before or 0)):
            self.chunks.append(Chunk(now, text, counted))
        if counted is not None:
            self.output_tokens = counted


def _delta_text(delta: dict[str, Any]) -> str:
    """Everything that is output: the answer, the reasoning, calls of tools."""
    text = "".join(delta.get(field) or "" for field in _TEXT_FIELDS)
    for call in delta.get("tool_calls") or ():
        function = call.get("function") or {}
        text += (function.get("name") or "") + (function.get("arguments") or "")
    return text


def _error_message(event: dict[str, Any]) -> str | None:
    """The message of an error object, in OpenAI's form or in vLLM's older one."""
    error = event.get("error")
    if error is None and event.get("object") == "error":
        error = event
    if error is None:
        return None
    message = error.get("message") if isinstance(error, dict) else error
    return _shorten(str(message or "error"))


def _shorten(message: str) -> str:
    return " ".join(message.split())[:_KEPT_MESSAGE]
