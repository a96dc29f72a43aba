"""One streamed answer as it comes in: chunks with their times, usage, and what went wrong."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from tools.load.sse import EventSplitter
from tools.load.tokens import Chunk

_KEPT_BODY_BYTES = 65_536
_KEPT_MESSAGE = 200

Reader = Callable[[dict[str, Any], float, "Stream"], None]
"""A protocol's reading of one event: what it says goes into the stream by `add` and the fields."""


class Stream:
    """Receives one response. `done` is set once, with the end or with the first error."""

    def __init__(self, read: Reader) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.status = 0
        self.error: str | None = None
        self.retry_after_s: float | None = None
        self.chunks: list[Chunk] = []
        self.counted = 0
        """Output tokens so far by the server's own running count."""
        self.finish_reason: str | None = None
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.complete = False
        """The protocol's end mark came."""
        self.sent = 0.0
        self.ended = 0.0
        self._read = read
        self._splitter = EventSplitter()
        self._plain: bytearray | None = None

    # Receiver

    def head(self, now: float, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        if status != 200:
            seconds = headers.get("retry-after", "")
            self.retry_after_s = float(seconds) if seconds.isdecimal() else None
        if status != 200 or "text/event-stream" not in headers.get("content-type", ""):
            self._plain = bytearray()

    def body(self, now: float, data: bytes) -> None:
        if self._plain is not None:
            self._plain += data[: _KEPT_BODY_BYTES - len(self._plain)]
            return
        if (
            data.startswith(b"data: {")
            and data.endswith(b"}\n\n")
            and self._splitter.empty
            and data.count(b"\n") == 2
        ):
            self._event(now, b"", data[6:-2])  # the usual case: one whole event
            return
        for name, payload in self._splitter.feed(data):
            self._event(now, name, payload)

    def end(self, now: float) -> None:
        if self._plain is not None:
            self.fail(now, self._plain_error(bytes(self._plain)))
            return
        for name, payload in self._splitter.flush():
            self._event(now, name, payload)
        if not (self.complete or self.finish_reason):
            self.fail(now, "truncated")
        self._finish(now)

    def lost(self, now: float, reason: str) -> None:
        self.fail(now, reason)

    # What a protocol says

    def add(self, now: float, text: str, counted: int | None) -> None:
        """A piece of output. Without text it is one only if the running count went up."""
        if type(text) is not str:
            raise TypeError("text is no string")
        if text or (counted is not None and counted > self.counted):
            self.chunks.append(Chunk(now, text, counted))
        if counted is not None:
            self.counted = self.output_tokens = counted

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
        if self.complete or self.done.done():
            return
        if payload == b"[DONE]":
            self.complete = True
            return
        try:
            event = orjson.loads(payload)
            if name != b"error" and "error" not in event and event.get("object") != "error":
                self._read(event, now, self)
                return
            message = _error_message(event)
            if message is None and name == b"error":
                message = _shorten(payload.decode("utf-8", "replace"))
            if message is None:
                self._read(event, now, self)  # "error": null
            else:
                self.fail(now, f"in-stream: {message}")
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            self.fail(now, "malformed")


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
