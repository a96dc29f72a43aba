"""What text-generation-launcher and trtllm-serve do as far as the advisor sees it: run as a script.

    python fake_servers.py tgi --model-id FOLDER --hostname 127.0.0.1 --port N …
    python fake_servers.py trtllm serve FOLDER --served_model_name NAME --host … --port N …

Standard library only. Answers are as long as asked; the text is a word per token.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ARGUMENTS = """\
\x1b[2m2025-03-17T07:49:06.934488Z\x1b[0m \x1b[32m INFO\x1b[0m \
\x1b[2mtext_generation_launcher\x1b[0m\x1b[2m:\x1b[0m Args {{
    model_id: "{model}",
    revision: None,
    num_shard: None,
    quantize: {quantize},
    kv_cache_dtype: None,
    trust_remote_code: false,
    max_concurrent_requests: 128,
    waiting_served_ratio: 0.3,
    hostname: "127.0.0.1",
    port: {port},
    cors_allow_origin: [],
}}
2025-03-17T07:49:07.000000Z  INFO text_generation_launcher: Sharding model on 1 processes
"""
COMPLETION_FIELDS = {
    *("model", "prompt", "max_tokens", "temperature", "stream", "stream_options", "ignore_eos"),
}
"""trtllm-serve forbids all fields that it does not know; these are some of those it does."""


class Tgi(BaseHTTPRequestHandler):
    """/generate_stream as router/src/server.rs of TGI 3 has it."""

    protocol_version = "HTTP/1.1"
    options: dict[str, str] = {}
    tokens = 0

    def do_GET(self) -> None:
        model = self.options["--model-id"]
        listed = {"id": model, "object": "model", "created": 0, "owned_by": model}
        metrics = (
            "# TYPE tgi_queue_size gauge\ntgi_queue_size 2\ntgi_batch_current_size 3\n"
            'tgi_request_input_length_bucket{le="+Inf"} 4\ntgi_request_input_length_sum 120\n'
            f"tgi_request_generated_tokens_sum {type(self).tokens}\ntgi_request_count 4\n"
        )
        answers = {
            "/v1/models": json.dumps({"object": "list", "data": [listed]}),
            "/info": json.dumps({"model_id": model, "max_concurrent_requests": 128}),
            "/metrics": metrics,
        }
        _answer(self, answers.get(self.path), "application/json")

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        count = asked["parameters"]["max_new_tokens"] if self.path == "/generate_stream" else 0
        type(self).tokens += count
        events = []
        for index in range(1, count + 1):
            last = index == count
            token = {"id": index, "text": " word", "logprob": -0.5, "special": False}
            details = {"finish_reason": "length", "generated_tokens": count, "input_length": 5}
            events.append(
                {
                    "index": index,
                    "token": token,
                    "generated_text": " word" * count if last else None,
                    "details": details if last else None,
                }
            )
        body = "".join(f"data:{json.dumps(event)}\n\n" for event in events)
        _answer(self, body or None, "text/event-stream")

    def log_message(self, format: str, *args: Any) -> None:
        pass


class TrtLlm(BaseHTTPRequestHandler):
    """/v1/completions and the iterations of /metrics, which are gone once they were read."""

    protocol_version = "HTTP/1.1"
    options: dict[str, str] = {}
    iterations: list[dict[str, Any]] = []

    def do_GET(self) -> None:
        name = self.options["--served_model_name"]
        listed = {"id": name, "object": "model", "created": 1, "owned_by": "tensorrt_llm"}
        answers = {"/v1/models": {"object": "list", "data": [listed]}, "/version": {"version": "1"}}
        found: Any = answers.get(self.path)
        if self.path == "/metrics":
            found = list(self.iterations)
            self.iterations.clear()
        _answer(self, None if found is None else json.dumps(found), "application/json")

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if unknown := set(asked) - COMPLETION_FIELDS:
            said = json.dumps({"error": f"Extra inputs are not permitted: {sorted(unknown)}"})
            return _answer(self, said, "application/json", status=400)
        count = asked["max_tokens"]
        blocks = {"maxNumBlocks": 100, "usedNumBlocks": 25, "cacheHitRate": 0.0}
        self.iterations.append(
            {
                "iter": len(self.iterations),
                "numActiveRequests": 3,
                "numQueuedRequests": 1,
                "kvCacheStats": blocks,
            }
        )
        events = []
        for index in range(1, count + 1):
            usage = {"prompt_tokens": 5, "total_tokens": 5 + index, "completion_tokens": index}
            choice = {"index": 0, "text": " word", "finish_reason": None}
            if index == count:
                choice["finish_reason"] = "length"
            events.append({"object": "text_completion", "choices": [choice], "usage": usage})
        events.append({"object": "text_completion", "choices": [], "usage": usage})
        lines = [json.dumps(event) for event in events] + ["[DONE]"]
        return _answer(self, "".join(f"data: {line}\n\n" for line in lines), "text/event-stream")

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _answer(
    handler: BaseHTTPRequestHandler, body: str | None, kind: str, *, status: int = 200
) -> None:
    content = (body or "").encode()
    handler.send_response(404 if body is None else status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def main(program: str, arguments: list[str]) -> None:
    """Say what the real one says first, then serve until killed."""
    pairs = arguments[2:] if program == "trtllm" else arguments  # less `serve FOLDER`
    options = dict(zip(pairs[::2], pairs[1::2], strict=True))
    if program == "tgi":
        quantize = options.get("--quantize", "")
        spelt = f"Some(\n        {quantize.capitalize()},\n    )" if quantize else "None"
        said = {"model": options["--model-id"], "port": options["--port"], "quantize": spelt}
        print(ARGUMENTS.format(**said), flush=True)
    else:
        print("[TensorRT-LLM] TensorRT LLM version: 1.3.0rc13")
        print("[11/25/2026-11:19:23] [TRT-LLM] [I] Using LLM with PyTorch backend", flush=True)
    handler = Tgi if program == "tgi" else TrtLlm
    handler.options = options
    ThreadingHTTPServer(("127.0.0.1", int(options["--port"])), handler).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
