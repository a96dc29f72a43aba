"""The proxy of the disaggregation bench, between stand-ins of vLLM's two servers."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx

from bench._prefill_decode_proxy import build

KV = {"do_remote_prefill": True, "remote_block_ids": [1, 2], "remote_host": "h"}
ASKED = {"prompt": [1, 2], "max_tokens": 9, "min_tokens": 9, "stream": True, "stream_options": {}}


async def written() -> AsyncIterator[bytes]:
    yield b"data: one\n\n"
    yield b"data: two\n\n"


class Servers:
    """What each server was sent, and what it answers."""

    def __init__(self, prefill_status: int = 200) -> None:
        self.seen: list[tuple[str, str, dict[str, Any]]] = []
        self.prefill_status = prefill_status

    def prefill(self, request: httpx.Request) -> httpx.Response:
        self._note("prefill", request)
        return httpx.Response(self.prefill_status, json={"kv_transfer_params": KV})

    def decode(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"path": request.url.path})
        self._note("decode", request)
        kind = {"content-type": "text/event-stream"}
        return httpx.Response(200, content=written(), headers=kind)

    def _note(self, who: str, request: httpx.Request) -> None:
        name = request.headers["x-request-id"]
        self.seen.append((who, name, json.loads(request.content)))

    def client(self) -> httpx.AsyncClient:
        sides = [
            httpx.AsyncClient(base_url="http://server", transport=httpx.MockTransport(side))
            for side in (self.prefill, self.decode)
        ]
        return httpx.AsyncClient(
            base_url="http://proxy", transport=httpx.ASGITransport(build(*sides))
        )


async def test_a_request_visits_both_under_one_id() -> None:
    servers = Servers()
    async with servers.client() as client:
        answer = await client.post("/v1/completions", json=ASKED)
    assert answer.text == "data: one\n\ndata: two\n\n"
    (first, one, filled), (second, other, whole) = servers.seen
    assert (first, second, one) == ("prefill", "decode", other)
    assert (filled["max_tokens"], filled["min_tokens"], filled["stream"]) == (1, 1, False)
    assert filled["kv_transfer_params"]["do_remote_decode"]
    assert "stream_options" not in filled
    assert whole == ASKED | {"kv_transfer_params": KV}


async def test_a_prefill_server_that_refuses_is_the_answer() -> None:
    servers = Servers(prefill_status=400)
    async with servers.client() as client:
        answer = await client.post("/v1/completions", json=ASKED)
        models = await client.get("/v1/models")
    assert (answer.status_code, len(servers.seen)) == (400, 1)
    assert models.json() == {"path": "/v1/models"}
