"""Each protocol against a stream as its server sends it."""

import json
from typing import Any

import pytest

from knowledge.errors import BadInput
from tools.load.prompts import Prompt
from tools.load.protocols import Ask, load, names
from tools.load.stream import Stream
from tools.load.tokens import tokens_per_chunk

PROMPT = Prompt("Hello", 1, 8)
HEADERS = {"content-type": "text/event-stream"}

STREAMS: dict[str, tuple[list[Any], str, list[int], int]] = {
    # events, text, tokens per chunk, input tokens
    "completions": (
        [
            {"choices": [{"text": "a"}], "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
            {"choices": [{"text": "bcd"}], "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
            {"choices": [{"text": "", "finish_reason": "length"}]},
            "[DONE]",
        ],
        "abcd", [1, 3], 3,
    ),
    "chat": (
        [
            {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
            {"choices": [{"delta": {"content": ""}}]},
            {"choices": [{"delta": {"reasoning_content": "hm"}}]},
            {"choices": [{"delta": {"tool_calls": [{"function": {"name": "f"}}]}}]},
            {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "{}"}}]}}]},
            {"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]},
            {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}},
            "[DONE]",
        ],
        "hmf{}ok", [1, 1, 1, 1], 9,
    ),
    "tgi": (
        [
            {"index": 1, "token": {"id": 5, "text": "a", "special": False}, "details": None},
            {"index": 2, "token": {"id": 6, "text": " b", "special": False}, "details": None},
            {
                "index": 3, "token": {"id": 2, "text": "</s>", "special": True},
                "generated_text": "a b",
                "details": {"finish_reason": "eos_token", "generated_tokens": 3, "input_length": 2},
            },
        ],
        "a b", [1, 1, 1], 2,
    ),
    "triton": (
        [{"model_name": "m", "text_output": "a"}, {"model_name": "m", "text_output": " b"}],
        "a b", [1, 1], 0,
    ),
    "llamacpp": (
        [
            {"content": "a", "tokens": [1], "stop": False},
            {"content": " b c", "tokens": [2, 3], "stop": False},
            {
                "content": "", "tokens": [], "stop": True, "stop_type": "limit",
                "tokens_predicted": 3, "tokens_evaluated": 5,
            },
        ],
        "a b c", [1, 2], 5,
    ),
}  # fmt: skip


def test_every_protocol_has_a_stream_here() -> None:
    assert set(STREAMS) == set(names())
    with pytest.raises(BadInput, match="неизвестный протокол"):
        load("smtp")


def feed(name: str, events: list[Any]) -> Stream:
    answer = Stream(load(name).read)
    answer.head(0.0, 200, HEADERS)
    for moment, event in enumerate(events, start=1):
        data = event if isinstance(event, str) else json.dumps(event)
        answer.body(float(moment), f"data: {data}\n\n".encode())
    answer.end(99.0)
    return answer


@pytest.mark.parametrize("name", STREAMS)
async def test_text_tokens_and_end_are_read(name: str) -> None:
    events, text, tokens, inputs = STREAMS[name]
    answer = feed(name, events)
    assert answer.error is None
    assert answer.text == text
    assert tokens_per_chunk(answer.chunks, answer.output_tokens, None) == tokens
    assert (answer.input_tokens or 0) == inputs


@pytest.mark.parametrize("name", STREAMS)
async def test_a_broken_event_and_an_error_are_no_tokens(name: str) -> None:
    assert feed(name, [{"surprise": 1}]).error == "malformed"
    assert feed(name, [{"error": "out of memory"}]).error == "in-stream: out of memory"
    if name != "triton":  # has no end mark
        assert feed(name, STREAMS[name][0][:1]).error == "truncated"


@pytest.mark.parametrize("name", names())
def test_a_body_asks_for_a_stream_of_the_length(name: str) -> None:
    protocol = load(name)
    assert protocol.path("a/b").startswith("/")
    for level in range(protocol.levels):
        body = json.dumps(protocol.body(Ask("m", PROMPT, ignore_eos=True, level=level)))
        assert "Hello" in body
        assert "8" in body
