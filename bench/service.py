"""What the service carries: 500 watchers of one session, and chat without an LLM, on this machine.

The clients run beside the server on the same cores. Delays count from before the event is stored to
its bytes at the client; a chat request's from the moment when it was due.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop

from tools.load.connection import Connection
from tools.load.http import Response, connect, parse_url, render

_EVENT = re.compile(rb'"seq":(\d+),.*?"sent":([0-9.]+)\}\}\nid: (\d+)\n\n')
_MODELS = (
    "Llama 3.1 8B",
    "Llama 3.1 70B",
    "Qwen2.5 7B",
    "Qwen2.5 72B",
    "Mistral 7B",
    "Mixtral 8x7B",
)
_GPUS = ("A100 80GB", "H100", "L40S", "RTX 4090", "A10", "L4", "H200", "T4")
_TEMPLATES = (
    "Влезет ли {model} в {count} {gpu}?",
    "Сколько стоит миллион токенов {model} на {gpu}?",
    "Сколько запросов выдержит {model} на {count} {gpu}?",
    "Что даст FP8 для {model} на {gpu}?",
    "Как снизить TTFT у {model} на {gpu} при промптах по {length} токенов?",
    "Какой KV cache у {model} при контексте {length}?",
    "Чем опасна квантизация {model} в 4 бита?",
    "Что такое continuous batching и поможет ли он {model}?",
    "список сессий",
)


def question(number: int) -> str:
    """Hardly any twice: nothing is answered from a cache."""
    draw = random.Random(number)
    return draw.choice(_TEMPLATES).format(
        model=draw.choice(_MODELS), gpu=draw.choice(_GPUS), count=draw.choice((1, 2, 4, 8)),
        length=draw.randrange(500, 32_000, 100),
    )  # fmt: skip


class Host:
    """The server's process."""

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench._service_host", self._home.name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.hello = self.read()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout
        return dict(json.loads(self.process.stdout.readline()))

    def tell(self, **order: object) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def ask(self, **order: object) -> dict[str, Any]:
        self.tell(**order)
        return self.read()

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)
        self._home.cleanup()


@dataclass
class Tally:
    """What all watchers saw."""

    delays_ms: list[float] = field(default_factory=list)
    wrong_order: int = 0
    reconnects: int = 0
    complete: int = 0


class Watcher(asyncio.Protocol):
    """One event stream; drops its connection once on the way and comes back."""

    def __init__(
        self, hello: dict[str, Any], count: int, tally: Tally, done: asyncio.Event
    ) -> None:
        self._hello, self._count, self._tally, self._done = hello, count, tally, done
        self.seen = 0
        self._buffer = b""
        self._leave_at = random.randint(count // 10, count - count // 10)
        self._transport: asyncio.Transport | None = None

    async def connect(self) -> None:
        parts = urlsplit(self._hello["url"])
        await asyncio.get_running_loop().create_connection(lambda: self, parts.hostname, parts.port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._buffer = b""
        last = f"Last-Event-ID: {self.seen}\r\n" if self.seen else ""
        self._transport.write(  # type: ignore[union-attr]
            f"GET /v1/sessions/{self._hello['session']}/events HTTP/1.1\r\nHost: bench\r\n"
            f"Authorization: Bearer {self._hello['key']}\r\n{last}\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._buffer += data
        end = 0
        for found in _EVENT.finditer(self._buffer):
            end = found.end()
            number = int(found[3])
            if number != self.seen + 1:
                self._tally.wrong_order += 1
            self.seen = number
            self._tally.delays_ms.append((now - float(found[2])) * 1000)
        if end:
            self._buffer = self._buffer[end:]
        if self.seen >= self._count:
            self._tally.complete += 1
            self._done.set()
            self._drop()
        elif self._leave_at and self.seen >= self._leave_at:
            self._leave_at = 0
            self._tally.reconnects += 1
            self._drop()
            asyncio.get_running_loop().create_task(self._return())

    def _drop(self) -> None:
        assert self._transport
        self._transport.abort()

    async def _return(self) -> None:
        await asyncio.sleep(random.uniform(0.0, 0.05))
        await self.connect()


async def watch(host: Host, watchers: int, events: int, per_s: float) -> dict[str, Any]:
    """Every event to every watcher."""
    tally, ends = Tally(), [asyncio.Event() for _ in range(watchers)]
    for done in ends:
        await Watcher(host.hello, events, tally, done).connect()
    await asyncio.sleep(2)
    memory: list[float] = []
    sent = 0
    step = max(1, events // 10)
    while sent < events:
        count = min(step, events - sent)
        await asyncio.to_thread(host.ask, events=count, per_s=per_s)
        sent += count
        memory.append((await asyncio.to_thread(host.ask, memory=True))["rss"] / 2**20)
    async with asyncio.timeout(60):
        await asyncio.gather(*(done.wait() for done in ends))
    delays = sorted(tally.delays_ms)
    return {
        "watchers": watchers,
        "events": events,
        "events_per_s": per_s,
        "delivered": len(delays),
        "lost_or_doubled": watchers * events - len(delays),
        "out_of_order": tally.wrong_order,
        "reconnects": tally.reconnects,
        "delay_p50_ms": round(delays[len(delays) // 2], 1),
        "delay_p99_ms": round(delays[int(len(delays) * 0.99)], 1),
        "delay_max_ms": round(delays[-1], 1),
        "server_rss_mib": [round(value, 1) for value in memory],
    }


async def chat(host: Host, per_s: float, seconds: float) -> dict[str, Any]:
    """Requests on absolute deadlines, each on a kept connection, whatever the answers do."""
    address = parse_url(host.hello["url"])
    idle: list[Connection] = []
    late: list[float] = []
    failed = 0

    async def one(number: int, due: float) -> None:
        nonlocal failed
        body = json.dumps(
            {"model": "advisor", "messages": [{"role": "user", "content": question(number)}]}
        ).encode()
        connection = idle.pop() if idle else await connect(address, 10)
        response = Response()
        connection.send(
            render(address, "POST", "/v1/chat/completions", body, host.hello["key"]), response
        )
        await response.done.wait()
        late.append((time.monotonic() - due) * 1000)
        failed += response.status != 200 or b'"content":""' in response.content
        idle.append(connection)

    begun = time.monotonic() + 0.5
    running = set()
    total = int(per_s * seconds)
    for number in range(total):
        due = begun + number / per_s
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        task = asyncio.create_task(one(number, due))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    took = time.monotonic() - begun
    late.sort()
    return {
        "asked_per_s": per_s,
        "answered_per_s": round(total / took, 1),
        "requests": total,
        "failed": failed,
        "latency_p50_ms": round(late[total // 2], 1),
        "latency_p99_ms": round(late[int(total * 0.99)], 1),
        "latency_max_ms": round(late[-1], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--watchers", type=int, default=500)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--events-per-s", type=float, default=70)
    parser.add_argument("--chat-per-s", type=float, default=200)
    parser.add_argument("--chat-s", type=float, default=20)
    parser.add_argument("--only", choices=("chat", "events"))
    options = parser.parse_args()
    host = Host()
    try:
        found: dict[str, Any] = {
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, "
            f"Python {platform.python_version()}"
        }
        if options.only != "events":
            uvloop.run(chat(host, 20, 3))  # everything is imported by then
            found["chat"] = uvloop.run(chat(host, options.chat_per_s, options.chat_s))
        if options.only != "chat":
            found["events"] = uvloop.run(
                watch(host, options.watchers, options.events, options.events_per_s)
            )
    finally:
        host.close()
    show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


def show(found: dict[str, Any]) -> None:
    print(found["machine"])
    for part in ("events", "chat"):
        if part not in found:
            continue
        print(f"\n{part}")
        for name, value in found[part].items():
            print(f"  {name:18} {value}")


if __name__ == "__main__":
    main()
