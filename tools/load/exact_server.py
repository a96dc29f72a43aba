"""A server whose every token has a due time, and which notes when it really sent it.

Standard library alone, run by its path, so that it starts at once and nothing of ours is in its
way: `python exact_server.py --ttft-ms 50 --itl-ms 10`. It prints its port, answers
/v1/completions and /v1/chat/completions with continuous usage, and gives its log at GET /log.
Deadlines are absolute, counted from the moment the kernel received the request; a late token does
not push the next one back. With no delay at all an answer goes out in one write.
"""

import argparse
import contextlib
import heapq
import json
import os
import select
import socket
import struct
import time
from array import array
from dataclasses import dataclass, field

_SO_TIMESTAMPNS = getattr(socket, "SO_TIMESTAMPNS", 35)
_STAMP = struct.Struct("@ll")
_LOOK_EVERY = 32
_IDLE_S = 1.0
_SPIN_S = 0.00006
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_PROMPT_TOKENS = 16


@dataclass(eq=False)
class Peer:
    """One connection and the answer under way on it."""

    sock: socket.socket
    buffer: bytes = b""
    number: int = -1
    chunks: list[bytes] = field(default_factory=list)
    sent: int = 0
    start: float = 0.0
    record: "Record | None" = None


@dataclass(eq=False)
class Record:
    """What really happened to one request, in seconds of time.perf_counter."""

    name: str
    received: float
    times: array = field(default_factory=lambda: array("d"))  # type: ignore[type-arg]


class Server:
    """One thread, one heap of deadlines."""

    def __init__(self, ttft_s: float, itl_s: float) -> None:
        self.ttft_s, self.itl_s = ttft_s, itl_s
        self.parent = os.getppid()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.listener.setblocking(False)
        self.poller = select.epoll()
        self.poller.register(self.listener, select.EPOLLIN)
        self.peers: dict[int, Peer] = {}
        self.due: list[tuple[float, int, Peer]] = []
        self.records: list[Record] = []
        self.late = array("d")
        self.templates: dict[tuple[bool, bool, int], list[bytes]] = {}

    def run(self) -> None:
        print(self.listener.getsockname()[1], flush=True)
        since_look = 0
        while True:
            now = time.perf_counter()
            due = self.due
            if due and due[0][0] <= now:
                moment, _, peer = heapq.heappop(due)
                self.step(peer, moment)
                since_look += 1
                if since_look < _LOOK_EVERY:
                    continue
            since_look = 0
            self.look(due[0][0] - now if due else _IDLE_S)

    def look(self, wait_s: float) -> None:
        """Serve what came in; wait for it until shortly before the next deadline."""
        if wait_s > _SPIN_S:  # epoll itself waits in whole milliseconds, select in microseconds
            select.select([self.poller], [], [], wait_s - _SPIN_S / 2)
        if wait_s >= _IDLE_S and os.getppid() != self.parent:
            raise SystemExit  # nobody is left who would stop it
        for number, _ in self.poller.poll(0):
            if number == self.listener.fileno():
                self.accept()
            else:
                self.read(self.peers[number])

    def accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = self.listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
                self.peers[sock.fileno()] = Peer(sock)
                self.poller.register(sock, select.EPOLLIN)

    def read(self, peer: Peer) -> None:
        try:
            data, notes, _, _ = peer.sock.recvmsg(262_144, 64)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, notes = b"", []
        if not data:
            self.drop(peer)
            return
        received = time.perf_counter()
        if notes and notes[0][1] == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _STAMP.unpack(notes[0][2])
            received -= max(0, time.time_ns() - seconds * 10**9 - nanoseconds) * 1e-9
        peer.buffer += data
        head = peer.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        lines = peer.buffer[:head].split(b"\r\n")
        length = 0
        for line in lines[1:]:
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        if len(peer.buffer) < head + 4 + length:
            return
        body, peer.buffer = peer.buffer[head + 4 : head + 4 + length], b""
        method, path, _ = lines[0].split(b" ", 2)
        if method == b"POST":
            self.begin(peer, json.loads(body), received)
        else:
            self.get(peer, path)

    def begin(self, peer: Peer, asked: dict[str, object], received: float) -> None:
        chat = "messages" in asked
        tokens = int(str(asked.get("max_tokens") or asked.get("max_completion_tokens") or 16))
        options = asked.get("stream_options")
        usage = isinstance(options, dict) and bool(options.get("continuous_usage_stats"))
        key = (chat, usage, tokens)
        if key not in self.templates:
            self.templates[key] = answer_chunks(chat, usage, tokens)
        prompt = asked.get("prompt", "")
        peer.record = Record(str(prompt)[:24].split(" ")[0], received)
        self.records.append(peer.record)
        peer.chunks, peer.sent, peer.start = self.templates[key], 0, received + self.ttft_s
        heapq.heappush(self.due, (peer.start, peer.sock.fileno(), peer))

    def step(self, peer: Peer, moment: float) -> None:
        """Send what is due: one token, or all of them where there is no delay between them."""
        record = peer.record
        assert record is not None
        if self.itl_s == 0:
            data, tokens = b"".join(peer.chunks), len(peer.chunks)
        else:
            data, tokens = peer.chunks[peer.sent], 1
        now = time.perf_counter()
        try:
            sent = peer.sock.send(data)
            if sent < len(data):  # only where there is no delay: wait for the client to read
                peer.sock.setblocking(True)
                peer.sock.sendall(data[sent:])
                peer.sock.setblocking(False)
        except OSError:
            self.drop(peer)
            return
        self.late.append(now - moment)
        record.times.extend([now] * tokens)
        peer.sent += tokens
        if peer.sent < len(peer.chunks):
            following = peer.start + self.itl_s * peer.sent
            heapq.heappush(self.due, (following, peer.sock.fileno(), peer))

    def get(self, peer: Peer, path: bytes) -> None:
        if path == b"/v1/models":
            model = {"id": "exact", "object": "model", "owned_by": "exact", "max_model_len": 8192}
            self.plain(peer, json.dumps({"object": "list", "data": [model]}).encode())
        elif path == b"/log":
            taken, self.records = self.records, []
            late, self.late = self.late, array("d")
            rows = [(r.name, r.received, list(r.times)) for r in taken]
            self.plain(peer, json.dumps({"requests": rows, "late_s": list(late)}).encode())
        else:
            self.plain(peer, b"{}")

    def plain(self, peer: Peer, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        peer.sock.setblocking(True)
        peer.sock.sendall(head % len(body) + body)
        peer.sock.setblocking(False)

    def drop(self, peer: Peer) -> None:
        self.due = [entry for entry in self.due if entry[2] is not peer]
        heapq.heapify(self.due)
        self.peers.pop(peer.sock.fileno(), None)
        with contextlib.suppress(OSError):
            self.poller.unregister(peer.sock)
        peer.sock.close()


def answer_chunks(chat: bool, usage: bool, tokens: int) -> list[bytes]:
    """One write per token. The head and a chat's opening chunk go with the first, the end with the
    last: none of them is a token, so none has a time of its own."""
    chunks = []
    for k in range(1, tokens + 1):
        reason = "length" if k == tokens else None
        counts = {"prompt_tokens": _PROMPT_TOKENS, "completion_tokens": k,
                  "total_tokens": _PROMPT_TOKENS + k}  # fmt: skip
        choice: dict[str, object] = {"index": 0, "logprobs": None, "finish_reason": reason}
        choice |= {"delta": {"content": " tok"}} if chat else {"text": " tok", "stop_reason": None}
        event: dict[str, object] = {
            "id": "cmpl-0123456789abcdef", "created": 1_700_000_000, "model": "exact",
            "object": "chat.completion.chunk" if chat else "text_completion", "choices": [choice],
        }  # fmt: skip
        if usage:
            event["usage"] = counts
        data = framed(event)
        if k == 1:
            data = _HEAD + data
        if k == tokens:
            final = {"id": "cmpl-0123456789abcdef", "created": 1_700_000_000, "model": "exact",
                     "object": event["object"], "choices": [], "usage": counts}  # fmt: skip
            data += framed(final) + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
        chunks.append(data)
    return chunks


def framed(event: dict[str, object]) -> bytes:
    """One event as one HTTP chunk."""
    data = b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ttft-ms", type=float, default=50.0)
    parser.add_argument("--itl-ms", type=float, default=10.0)
    options = parser.parse_args()
    import gc

    gc.disable()
    with contextlib.suppress(KeyboardInterrupt):
        Server(options.ttft_ms / 1000, options.itl_ms / 1000).run()


if __name__ == "__main__":
    main()
