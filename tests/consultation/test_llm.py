"""With an LLM: tools are called, invented numbers are held back, a dead endpoint costs nothing."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from advisor.consultation import LlmEndpoint, Message, Piece, Services, consult
from advisor.consultation.llm import Guard
from tests.consultation.exam import TODAY

_QUESTION = "Влезет ли Llama-3.1-8B в bf16 на RTX 4090?"


def _chunk(delta: dict[str, object], finish: str | None = None) -> bytes:
    body = {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return f"data: {json.dumps(body)}\n\n".encode()


class _Endpoint:
    """A scripted OpenAI-compatible server: one list of chunks for each request."""

    def __init__(self, turns: list[list[bytes]]) -> None:
        self.turns, self.requests = (
            turns,
            [],
        )  # type: tuple[list[list[bytes]], list[dict[str, object]]]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(
            next(
                line.split(":")[1]
                for line in head.split("\r\n")
                if line.startswith("content-length")
            )
        )
        self.requests.append(json.loads(await reader.readexactly(length)))
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        )
        for chunk in self.turns[len(self.requests) - 1]:
            writer.write(chunk)
            await writer.drain()
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()
        writer.close()


@pytest.fixture
async def endpoint() -> AsyncIterator[tuple[_Endpoint, LlmEndpoint]]:
    script = _Endpoint([])
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield script, LlmEndpoint(f"http://127.0.0.1:{port}/v1", "m")
    server.close()
    await server.wait_closed()


async def _ask(llm: LlmEndpoint) -> list[Piece]:
    services = Services(today=TODAY, llm=llm)
    return [
        piece
        async for piece in consult([Message(role="user", content=_QUESTION)], services=services)
    ]


def _text(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces if piece.kind == "text")


async def test_tools_count_and_invented_numbers_are_held_back(
    endpoint: tuple[_Endpoint, LlmEndpoint],
) -> None:
    script, llm = endpoint
    call = {
        "index": 0,
        "id": "c1",
        "type": "function",
        "function": {
            "name": "fit",
            "arguments": json.dumps(
                {
                    "question": _QUESTION,
                    "model": "Llama-3.1-8B",
                    "gpu": "RTX 4090",
                    "weights": "bf16",
                }
            ),
        },
    }
    script.turns = [
        [_chunk({"tool_calls": [call]}), _chunk({}, "tool_calls")],
        [
            _chunk({"content": "Влезает: веса занимают 15,0 "}),
            _chunk({"content": "ГиБ. Скорость будет 777 ток/с. Проверьте замером."}),
            _chunk({}, "stop"),
        ],
    ]
    pieces = await _ask(llm)
    text = _text(pieces)
    assert "15,0 ГиБ" in text
    assert "777" not in text
    assert "Источники" in text
    assert [piece.data["name"] for piece in pieces if piece.kind == "tool"] == ["fit"]
    assert pieces[-1].data["path"] == "llm"
    assert pieces[-1].data["held_back"] == 1
    tool = script.requests[1]["messages"][-1]  # type: ignore[index]
    assert tool["role"] == "tool"
    assert "Влезает" in tool["content"]


async def test_a_bad_tool_call_is_told_to_the_llm(endpoint: tuple[_Endpoint, LlmEndpoint]) -> None:
    script, llm = endpoint
    call = {
        "index": 0,
        "id": "c1",
        "type": "function",
        "function": {"name": "rm", "arguments": "{oops"},
    }
    script.turns = [[_chunk({"tool_calls": [call]})], [_chunk({"content": "Не знаю."})]]
    assert "Не знаю." in _text(await _ask(llm))
    assert "Нет инструмента rm" in str(script.requests[1]["messages"])


async def test_a_dead_endpoint_falls_back_to_the_rules() -> None:
    pieces = await _ask(LlmEndpoint("http://127.0.0.1:9/v1", "m", timeout_s=5))
    assert "Влезает" in _text(pieces)
    assert pieces[-1].data["path"] == "rules"


async def test_the_key_is_never_shown() -> None:
    llm = LlmEndpoint("http://127.0.0.1:9/v1", "m", api_key="sk-secret", timeout_s=5)
    assert "sk-secret" not in repr(llm)
    assert "sk-secret" not in str([piece.model_dump() for piece in await _ask(llm)])


def test_guard_knows_names_from_figures() -> None:
    guard = Guard("Влезет ли 70b на 2 карты?")
    guard.learn("TPOT 6,3 мс, всего 1 500 ток/с")
    said = guard.feed("На H100 модель 8B даёт 6,3 мс и 1500 ток/с. А ещё 42 %. ") + guard.finish()
    assert "6,3" in said
    assert "1500" in said
    assert "42" not in said
