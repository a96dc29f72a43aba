"""A small served model that streams real answers and tells vLLM's metrics of what it served."""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.tools.monitor.test_windows import histogram


@dataclass
class Served:
    url: str = ""
    failing: bool = False
    """Requests are answered 500; /metrics goes on."""
    ttft_ms: float = 30.0
    served: int = 0

    def metrics(self) -> str:
        times = [self.ttft_ms / 1000] * self.served
        text = histogram("vllm:time_to_first_token_seconds", times, (0.01, 0.1, 1.0))
        text += "# TYPE vllm:request_success counter\n"
        text += f'vllm:request_success_total{{finished_reason="stop"}} {self.served}\n'
        return text + "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running 1\n"


@contextmanager
def served_engine() -> Iterator[Served]:
    """Listens on loopback while inside."""
    state = Served()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            listing = {"data": [{"id": "m", "owned_by": "vllm"}]}
            text = state.metrics() if self.path == "/metrics" else json.dumps(listing)
            self._send(200, "text/plain" if self.path == "/metrics" else "application/json", text)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if state.failing:
                self._send(500, "application/json", "{}")
                return
            state.served += 1
            time.sleep(state.ttft_ms / 1000)
            events = [{"choices": [{"text": " x", "finish_reason": None}]}
                      for _ in range(body["max_tokens"])]  # fmt: skip
            events[-1]["choices"][0]["finish_reason"] = "length"
            text = "".join(f"data: {json.dumps(e)}\n\n" for e in events) + "data: [DONE]\n\n"
            self._send(200, "text/event-stream", text)

        def _send(self, status: int, kind: str, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
