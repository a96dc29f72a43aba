"""An OpenAI-compatible server with an exact schedule, which logs when it really sent what."""

import asyncio
import json
import random
import socket
import ssl
import struct
import time
from dataclasses import dataclass, field, replace
from typing import Self

WORDS = ("the", " server", " sends", " naïve", " текст", " 🙂", " and", " more")
BASIC_FIELDS = frozenset({"model", "prompt", "messages", "max_tokens", "temperature", "stream"})


@dataclass
class Script:
    """How answers go. Times in seconds; faults happen after `fault_after` tokens."""

    ttft_s: float = 0.03
    itl_s: float = 0.004
    per_chunk: int = 1
    usage: str = "continuous"  # continuous | final | none
    role_first: bool = True
    framing: str = "chunked"  # chunked | until-close
    split_seed: int | None = None
    fault: str | None = None
    fault_after: int = 2
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    accepts: frozenset[str] | None = None
    stream_options: frozenset[str] = frozenset({"include_usage", "continuous_usage_stats"})
    close_after_answer: bool = False
    own_text: bool = False
    """Every prompt has an answer of its own; else all answers are the same, as from a cache."""
    stops_at: int | None = None
    """Ends early, as if an end of text had come."""
    burst: bool = False
    """Keeps all text back until the last token is due."""
    claims: float = 1.0
    """What usage says, as a multiple of the truth."""
    fault_every: int = 1
    """Only every so many-th request has the fault or the status."""
    drops_second: bool = False
    """Closes in good order when a connection is used again, as an idle timeout does in a race."""


@dataclass
class Served:
    """One request as the server saw it."""

    body: dict[str, object]
    headers: dict[str, str]
    connection: int
    received: float
    sent: list[tuple[float, int]] = field(default_factory=list)
    """When each chunk of text was written, and its tokens."""
    text: str = ""
    refused: bool = False


class ExactServer:
    """`async with ExactServer(script) as server`; server.log holds what happened."""

    def __init__(
        self,
        script: Script | None = None,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.script = script or Script()
        self.log: list[Served] = []
        self.connections = 0
        self.most_open = 0
        self._host, self._tls = host, tls
        self._busy = 0
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self._host, 0, ssl=self._tls)
        port = self._server.sockets[0].getsockname()[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"{'https' if self._tls else 'http'}://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task, writer in list(self._tasks.items()):
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*list(self._tasks), return_exceptions=True)
        await asyncio.sleep(0.01)  # transports close in later turns of the loop

    def stop_listening(self) -> None:
        """As if it died: no new connections; those that are open end with their answer."""
        self._server.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._connection(reader, writer, self.connections))
        self._tasks[task] = writer
        task.add_done_callback(self._tasks.pop)

    async def _connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        answered = 0
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {k.lower(): v for k, v in (h.split(": ", 1) for h in head[1:] if h)}
                raw = await reader.readexactly(int(headers.get("content-length", 0)))
                if head[0].startswith("GET"):
                    await self._get(writer, head[0].split()[1])
                    continue
                if answered and self.script.drops_second:
                    return
                answered += 1
                served = Served(json.loads(raw), headers, number, time.perf_counter())
                self.log.append(served)
                self._busy += 1
                self.most_open = max(self.most_open, self._busy)
                try:
                    await self._answer(writer, served)
                finally:
                    self._busy -= 1
                if self.script.close_after_answer or self.script.framing == "until-close":
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    async def _get(self, writer: asyncio.StreamWriter, path: str) -> None:
        known = path == "/v1/models"
        models = {"data": [{"id": "exact", "owned_by": "vllm"}]} if known else {}
        await _plain(writer, 200 if known else 404, models)

    async def _answer(self, writer: asyncio.StreamWriter, served: Served) -> None:
        script = self.script
        if (len(self.log) - 1) % script.fault_every:
            script = replace(script, fault=None, status=None)
        options = served.body.get("stream_options") or {}
        assert isinstance(options, dict)
        unknown = set() if script.accepts is None else set(served.body) - script.accepts
        if unknown or set(options) - script.stream_options:
            served.refused = True
            await _plain(writer, 400, {"error": {"message": "unknown field"}})
        elif script.status is not None:
            error = {"error": {"message": f"key was {served.headers.get('authorization')}"}}
            await _plain(writer, script.status, error, script.headers)
        elif script.fault == "silent":
            await asyncio.sleep(3600)
        elif script.fault == "no-stream":
            await _plain(writer, 200, {"error": {"message": "engine is dead"}})
        elif script.fault == "not-http":
            writer.write(b"220 smtp.example ready\r\n")
            await asyncio.sleep(3600)
        else:
            await _Answer(script, served, writer).run()


class _Answer:
    def __init__(self, script: Script, served: Served, writer: asyncio.StreamWriter) -> None:
        self.script, self.served, self.writer = script, served, writer
        self.chat = "messages" in served.body
        options = served.body.get("stream_options") or {}
        assert isinstance(options, dict)
        self.final = script.usage != "none" and "include_usage" in options
        self.continuous = script.usage == "continuous" and "continuous_usage_stats" in options
        self.rng = random.Random(script.split_seed)

    async def run(self) -> None:
        script, total = self.script, int(str(self.served.body["max_tokens"]))
        total = min(total, script.stops_at or total)
        own = random.Random(str(self.served.body.get("prompt")))
        words = own.sample(WORDS, len(WORDS)) if script.own_text else WORDS
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
        if script.framing == "chunked":
            head += "Transfer-Encoding: chunked\r\n"
        self.writer.write((head + "\r\n").encode())
        if self.chat and script.role_first:
            await self._event(self._choice({"role": "assistant", "content": ""}, 0))
        produced = 0
        while produced < total or script.fault == "drip":
            produced = min(produced + script.per_chunk, max(total, produced + 1))
            fresh = produced - sum(n for _, n in self.served.sent)
            step = total if script.burst else produced - fresh
            due = self.served.received + script.ttft_s + script.itl_s * step
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            text = "".join(words[i % len(words)] for i in range(produced - fresh, produced))
            self.served.sent.append((time.perf_counter(), fresh))
            self.served.text += text
            await self._event(self._choice({"content": text}, produced, produced >= total))
            if script.fault and produced >= script.fault_after and await self._fault():
                return
        if self.final:
            await self._event({"choices": [], "usage": self._usage(produced)})
        await self._write(b"data: [DONE]\n\n")
        if script.framing == "chunked":
            self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def _fault(self) -> bool:
        """Misbehave; True when the answer ends with it."""
        if self.script.fault == "reset":
            sock = self.writer.get_extra_info("socket")
            await asyncio.sleep(0.01)
            linger = struct.pack("ii", 1, 0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)  # close with an RST
            self.writer.transport.abort()
        elif self.script.fault == "malformed":
            await self._write(b'data: {"choices": [{"te\n\n')
        elif self.script.fault == "error-event":
            message = f"out of memory {self.served.headers.get('authorization')}"
            await self._event({"error": {"message": message}})
        elif self.script.fault == "truncated":
            self.writer.write(b"0\r\n\r\n")
        elif self.script.fault == "half-open":
            await asyncio.sleep(3600)
        return self.script.fault != "drip"

    def _choice(
        self, delta: dict[str, str], produced: int, last: bool = False
    ) -> dict[str, object]:
        reason = "stop" if self.script.stops_at else "length"
        choice: dict[str, object] = {"index": 0, "finish_reason": reason if last else None}
        choice |= {"delta": delta} if self.chat else {"text": delta["content"]}
        event: dict[str, object] = {"choices": [choice]}
        return event | ({"usage": self._usage(produced)} if self.continuous else {})

    def _usage(self, tokens: int) -> dict[str, int]:
        asked = self.served.body.get("prompt")
        prompt = len(str(asked).split()) if self.script.own_text else 7
        return _usage(round(self.script.claims * tokens), prompt)

    async def _event(self, event: dict[str, object]) -> None:
        data = json.dumps(event, ensure_ascii=False)
        await self._write(f"data: {data}\n\n".encode())

    async def _write(self, data: bytes) -> None:
        if self.script.framing == "chunked":
            data = b"%x\r\n%s\r\n" % (len(data), data)
        if self.script.split_seed is None:
            self.writer.write(data)
            return
        while data:  # packets that end anywhere, inside a character too
            size = self.rng.randint(1, 40)
            self.writer.write(data[:size])
            data = data[size:]
            await asyncio.sleep(0)


def _usage(tokens: int, prompt: int = 7) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens}


async def _plain(
    writer: asyncio.StreamWriter, status: int, data: object, headers: dict[str, str] | None = None
) -> None:
    body = json.dumps(data).encode()
    lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
    await writer.drain()
