"""One keep-alive connection to a server, and when exactly each piece of an answer came.

Between the socket and the clock there is as little as possible. On plain TCP under Linux the time
is the kernel's, taken when the packet came in, so that it stays true while this process parses
other answers or waits for a core; elsewhere the clock is read here, before anything else.
"""

import asyncio
import contextlib
import errno
import socket
import ssl
import struct
import sys
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import cast

from tools.load.parser import BadResponseError, Receiver, ResponseParser

_SO_TIMESTAMPNS = getattr(socket, "SO_TIMESTAMPNS", 35)
"""Linux' number on x86 and ARM; where it means something else, no stamps come and it is noticed."""
_STAMP = struct.Struct("@ll")
_READ_BYTES = 65_536
_LONGEST_WAIT_NS = 60_000_000_000
"""An older stamp means that the wall clock was set."""


@dataclass
class Stamps:
    """How many pieces got their time from the kernel, and how many from this process' clock."""

    kernel: int = 0
    user: int = 0

    @property
    def kernel_share(self) -> float:
        return self.kernel / max(1, self.kernel + self.user)


class Connection(ABC):
    """One exchange at a time, whatever the transport."""

    def __init__(self, stamps: Stamps) -> None:
        self._stamps = stamps
        self._parser: ResponseParser | None = None
        self._receiver: Receiver | None = None
        self._closed_cleanly = False
        self.heard = 0.0
        """When the last byte came, to tell a silent server from a slow one."""
        self.exchanges = 0

    @property
    @abstractmethod
    def is_open(self) -> bool: ...

    @abstractmethod
    def close(self) -> None:
        """Drop the connection at once; a response under way is not reported as lost."""

    @abstractmethod
    def _write(self, request: bytes) -> None: ...

    @property
    def reusable(self) -> bool:
        """Idle, open, and the last response was complete."""
        idle = self._parser is None or (self._parser.ended and self._parser.keep_alive)
        return idle and self.is_open

    @property
    def stale(self) -> bool:
        """A kept connection that the server closed in good order before it saw the request."""
        unanswered = self._parser is not None and not self._parser.begun
        return self._closed_cleanly and unanswered and self.exchanges > 1

    def send(self, request: bytes, receiver: Receiver) -> float:
        """Write a request and return when, in seconds of time.perf_counter."""
        self._parser, self._receiver = ResponseParser(receiver), receiver
        self.exchanges += 1
        now = self.heard = time.perf_counter()
        self._write(request)
        return now

    def received(self, at: float, data: bytes) -> None:
        """Bytes that came at `at`. Parsed at once: put off, the work of streams that end together
        would pile up just when each has its next request to send."""
        self.heard = at
        parser, receiver = self._parser, self._receiver
        if parser is None or receiver is None or parser.ended:
            self.close()  # nobody asked
            return
        try:
            parser.feed(at, data)
        except BadResponseError:
            self.close()
            receiver.lost(at, "malformed")

    def ended(self, exc: Exception | None) -> None:
        """The peer closed, in good order or not."""
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


class StreamConnection(Connection, asyncio.Protocol):
    """TLS, and wherever the kernel gives no stamps: the clock is read in data_received."""

    def __init__(self, stamps: Stamps) -> None:
        super().__init__(stamps)
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(
        cls, host: str, port: int, stamps: Stamps, tls: ssl.SSLContext | None
    ) -> "StreamConnection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: cls(stamps), host, port, ssl=tls)
        return connection

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        self._receiver = None
        if self._transport is not None:
            self._transport.abort()

    def _write(self, request: bytes) -> None:
        assert self._transport is not None
        self._transport.write(request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not isinstance: uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._stamps.user += 1
        self.received(now, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended(exc)


class StampedConnection(Connection):
    """Plain TCP, read by recvmsg, which hands over the kernel's time of arrival with the bytes."""

    def __init__(self, sock: socket.socket, stamps: Stamps) -> None:
        super().__init__(stamps)
        self._sock: socket.socket | None = sock
        self._loop = asyncio.get_running_loop()
        self._unsent = b""
        self._last = 0.0
        self._loop.add_reader(sock.fileno(), self._readable)

    @classmethod
    async def open(cls, host: str, port: int, stamps: Stamps) -> "StampedConnection":
        loop = asyncio.get_running_loop()
        refused: OSError = OSError(errno.EHOSTUNREACH, f"no address for {host}")
        for family, kind, protocol, _, address in await loop.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        ):
            sock = socket.socket(family, kind, protocol)
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
                await loop.sock_connect(sock, address)
            except OSError as error:
                sock.close()
                refused = error
            except BaseException:
                sock.close()
                raise
            else:
                return cls(sock, stamps)
        raise refused

    @property
    def is_open(self) -> bool:
        return self._sock is not None

    def close(self) -> None:
        self._receiver = None
        self._shut()

    def _shut(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            self._loop.remove_reader(sock.fileno())
            if self._unsent:
                self._loop.remove_writer(sock.fileno())
            sock.close()

    def _readable(self) -> None:
        sock = self._sock
        if sock is None:
            return
        try:
            data, notes, _, _ = sock.recvmsg(_READ_BYTES, 64)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._shut()
            self.ended(error)
            return
        if not data:
            self._shut()
            self.ended(None)
            return
        self.received(self._arrival(notes), data)

    def _arrival(self, notes: list[tuple[int, int, bytes]]) -> float:
        """The kernel's stamp as a time of perf_counter: now, less how long ago it was taken."""
        now = time.perf_counter()
        if notes and notes[0][1] == _SO_TIMESTAMPNS:
            seconds, nanoseconds = cast(tuple[int, int], _STAMP.unpack(notes[0][2]))
            waited = time.time_ns() - seconds * 1_000_000_000 - nanoseconds
            if 0 <= waited < _LONGEST_WAIT_NS:
                self._stamps.kernel += 1
                now = max(self._last, now - waited * 1e-9)
                self._last = now
                return now
        self._stamps.user += 1
        self._last = now
        return now

    def _write(self, request: bytes) -> None:
        assert self._sock is not None
        try:
            sent = self._sock.send(request)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._loop.call_soon(self._broken, error)
            return
        if sent < len(request):
            self._unsent = request[sent:]
            self._loop.add_writer(self._sock.fileno(), self._writable)

    def _writable(self) -> None:
        if self._sock is None:
            return
        try:
            self._unsent = self._unsent[self._sock.send(self._unsent) :]
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._broken(error)
            return
        if not self._unsent:
            self._loop.remove_writer(self._sock.fileno())

    def _broken(self, error: OSError) -> None:
        """A write failed. EPIPE is how a kept connection that was closed meanwhile answers."""
        if self._sock is not None:
            self._shut()
            self.ended(None if error.errno == errno.EPIPE else error)


async def open_connection(
    host: str, port: int, *, stamps: Stamps | None = None, tls: ssl.SSLContext | None = None
) -> Connection:
    """The best clock that this platform and this URL allow. Raises OSError."""
    stamps = stamps or Stamps()
    if tls is None and sys.platform == "linux":
        return await StampedConnection.open(host, port, stamps)
    return await StreamConnection.open(host, port, stamps, tls)
