"""A minimal HTTP/1.1 client: addresses, requests, and a whole response where no time counts."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlsplit

from knowledge.errors import BadInput
from tools.load.connection import Connection, Stamps, open_connection

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


async def connect(
    address: Address, timeout_s: float = CONNECT_TIMEOUT_S, stamps: Stamps | None = None
) -> Connection:
    """Connect. Raises OSError (refused, unknown host, TLS) or TimeoutError."""
    tls = _tls() if address.secure else None
    async with asyncio.timeout(timeout_s):
        return await open_connection(address.host, address.port, stamps=stamps, tls=tls)


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
        connection = await connect(address, timeout_s)
        try:
            response = Response()
            connection.send(request, response)
            await response.done.wait()
        finally:
            connection.close()
    if response.lost_reason:
        raise ConnectionResetError(f"{address}: {response.lost_reason}")
    return response
