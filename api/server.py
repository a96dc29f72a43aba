"""Uvicorn with what a service on a network needs: slow headers end a connection, stops are soft."""

import asyncio
import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.app import create_app
from api.client import LOCAL_FILE
from api.settings import Settings

_MOST_HEAD_BYTES = 2**16


def protocol_of(header_timeout_s: float, stalled_s: float) -> type[HttpToolsProtocol]:
    """Ends connections whose headers are too slow or too long, and those that stopped reading."""

    class Protocol(HttpToolsProtocol):
        _impatience: asyncio.TimerHandle | None = None
        _stalled: asyncio.TimerHandle | None = None
        _head_bytes = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._await_headers()

        def data_received(self, data: bytes) -> None:
            self._head_bytes += len(data)
            super().data_received(data)
            if self._impatience and self._head_bytes > _MOST_HEAD_BYTES:
                self.transport.abort()

        def on_message_begin(self) -> None:
            self._await_headers()
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._calm()
            super().on_headers_complete()

        def pause_writing(self) -> None:
            super().pause_writing()
            # Not close(): that would wait for the reader to take what is buffered.
            self._stalled = self.loop.call_later(stalled_s, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._stalled:
                self._stalled.cancel()

        def connection_lost(self, exc: Exception | None) -> None:
            self._calm()
            if self._stalled:
                self._stalled.cancel()
            super().connection_lost(exc)

        def _await_headers(self) -> None:
            self._calm()
            self._head_bytes = 0
            self._impatience = self.loop.call_later(header_timeout_s, self.transport.close)

        def _calm(self) -> None:
            if self._impatience:
                self._impatience.cancel()
                self._impatience = None

    return Protocol


class Server(uvicorn.Server):
    """Tells the command line of the same user where it is, and lets event streams go at a stop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.announced = False
        self.app = create_app(settings)
        super().__init__(
            uvicorn.Config(
                self.app,
                host=settings.host,
                port=settings.port,
                http=protocol_of(settings.header_timeout_s, settings.stalled_s),
                ws="none",
                loop="uvloop",
                log_level=settings.log_level,
                access_log=settings.log_level == "debug",
                server_header=False,
                limit_concurrency=settings.connections,
                backlog=min(settings.connections, 2048),
                timeout_keep_alive=30,
                timeout_graceful_shutdown=10,
                h11_max_incomplete_event_size=None,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn does, but a stop that was asked for ends with exit code 0."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()
            self.announced = True

    async def shutdown(self, sockets: Any = None) -> None:
        self.local_file.unlink(missing_ok=True)
        await self.app.state.service.events.close()
        await super().shutdown(sockets)

    @property
    def address(self) -> str:
        """Where it really listens: port 0 means any."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        host = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def local_file(self) -> Any:
        return self.settings.folders().data / LOCAL_FILE

    def _announce(self) -> None:
        note = {"url": self.address, "pid": os.getpid(),
                "token": self.app.state.service.local_token}  # fmt: skip
        self.local_file.unlink(missing_ok=True)
        descriptor = os.open(self.local_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(note, file)


def run(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM."""
    Server(settings).run()
