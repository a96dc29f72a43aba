"""A minimal HTTP/1.1 client: as little as possible between the socket and the clock."""

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import cast
from urllib.parse import urlsplit

from knowledge.errors import BadInput
from tools.load.parser import BadResponseError, Receiver, ResponseParser

CONNECT_TIMEOUT_S = 10.0
_URL_HINT = "Нужен адрес вида http://127.0.0.1:8000"


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


@dataclass(frozen=True)
class Address:
    """Where a base URL points. `prefix` is its path, without the /v1 that every call adds."""

    secure: bool
    host: str
    port: int
    prefix: str = ""

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.prefix}"


def parse_url(base_url: str) -> Address:
    """Take a base URL apart; http://host:8000 and http://host:8000/v1 mean the same.

    Raises BadInput, which never repeats what stands before an @.
    """
    try:
        parts = urlsplit(base_url.strip())
        port = parts.port
    except ValueError as error:
        raise BadInput("адрес сервера не разобрать", _URL_HINT) from error
    if parts.username is not None or parts.password is not None:
        raise BadInput("логин и пароль в адресе не поддерживаются", "Передайте ключ API отдельно")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"это не адрес сервера: {base_url!r}", _URL_HINT)
    secure = parts.scheme == "https"
    prefix = parts.path.rstrip("/").removesuffix("/v1")
    return Address(secure, parts.hostname, port or (443 if secure else 80), prefix)


def render(
    address: Address, method: str, path: str, body: bytes = b"", api_key: str | None = None
) -> bytes:
    """The bytes of one request. Raises BadInput for a key that can't stand in a header."""
    lines = [
        f"{method} {address.prefix}{path} HTTP/1.1",
        f"Host: {address.authority}",
        "User-Agent: inference-advisor",
        "Accept: text/event-stream, application/json",
    ]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    if api_key:
        if not (api_key.isascii() and api_key.isprintable()):
            raise BadInput("в ключе API есть недопустимые символы", "Проверьте ключ API")
        lines.append(f"Authorization: Bearer {api_key}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection(asyncio.Protocol):
    """One keep-alive connection, one exchange at a time. The clock is read in data_received."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: ResponseParser | None = None
        self._receiver: Receiver | None = None
        self._closed_cleanly = False
        self.exchanges = 0

    @classmethod
    async def open(cls, address: Address, timeout_s: float = CONNECT_TIMEOUT_S) -> "Connection":
        """Connect. Raises OSError (refused, unknown host, TLS) or TimeoutError."""
        context = _tls() if address.secure else None
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(timeout_s):
            _, connection = await loop.create_connection(
                cls, address.host, address.port, ssl=context
            )
        return connection

    @property
    def reusable(self) -> bool:
        """Idle, open, and the last response was complete."""
        idle = self._parser is None or (self._parser.ended and self._parser.keep_alive)
        return idle and self._transport is not None and not self._transport.is_closing()

    @property
    def stale(self) -> bool:
        """A kept connection that the server closed in good order before it saw the request."""
        unanswered = self._parser is not None and not self._parser.begun
        return self._closed_cleanly and unanswered and self.exchanges > 1

    def send(self, request: bytes, receiver: Receiver) -> float:
        """Write a request and return when, in seconds of time.perf_counter."""
        assert self._transport is not None
        self._parser = ResponseParser(receiver)
        self._receiver = receiver
        self.exchanges += 1
        now = time.perf_counter()
        self._transport.write(request)
        return now

    def close(self) -> None:
        """Drop the connection at once; a response under way is not reported as lost."""
        self._receiver = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not isinstance: uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        parser, receiver = self._parser, self._receiver
        if parser is None or receiver is None or parser.ended:
            self.close()  # nobody asked
            return
        try:
            parser.feed(now, data)
        except BadResponseError:
            self.close()
            receiver.lost(now, "malformed")

    def connection_lost(self, exc: Exception | None) -> None:
        now = time.perf_counter()
        parser, receiver = self._parser, self._receiver
        self._receiver = None
        if parser is None or receiver is None or parser.ended:
            return
        self._closed_cleanly = exc is None
        if exc is None:
            parser.eof(now)
        else:
            receiver.lost(now, "reset")


@dataclass
class Response:
    """A whole response in memory, for everything that is not load."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    lost_reason: str | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def head(self, now: float, status: int, headers: Mapping[str, str]) -> None:
        self.status, self.headers = status, headers

    def body(self, now: float, data: bytes) -> None:
        self.content += data

    def end(self, now: float) -> None:
        self.done.set()

    def lost(self, now: float, reason: str) -> None:
        self.lost_reason = reason
        self.done.set()


async def fetch(
    base_url: str,
    path: str,
    *,
    method: str = "GET",
    body: bytes = b"",
    api_key: str | None = None,
    timeout_s: float = 30.0,
) -> Response:
    """One request on a connection of its own.

    Raises OSError (ConnectionError where the answer is cut off), TimeoutError or BadInput.
    """
    address = parse_url(base_url)
    request = render(address, method, path, body, api_key)
    async with asyncio.timeout(timeout_s):
        connection = await Connection.open(address, timeout_s)
        try:
            response = Response()
            connection.send(request, response)
            await response.done.wait()
        finally:
            connection.close()
    if response.lost_reason:
        raise ConnectionResetError(f"{address}: {response.lost_reason}")
    return response
