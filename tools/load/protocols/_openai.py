"""What both OpenAI endpoints share: options of the stream, and how an event is read."""

from typing import Any

from tools.load.protocols.base import Ask
from tools.load.stream import Stream
from tools.load.target import BARE, NO_CONTINUOUS_USAGE, NO_IGNORE_EOS

_TEXT_FIELDS = ("content", "reasoning_content", "reasoning")


def common(ask: Ask) -> dict[str, object]:
    """All fields but the prompt."""
    fields: dict[str, object] = {
        "model": ask.model,
        "max_tokens": ask.prompt.output_tokens,
        "temperature": 0,
        "stream": True,
    }
    if ask.level < BARE:
        options: dict[str, object] = {"include_usage": True}
        if ask.level < NO_CONTINUOUS_USAGE:
            options["continuous_usage_stats"] = True
        fields["stream_options"] = options
    if ask.level < NO_IGNORE_EOS and ask.ignore_eos:
        fields["ignore_eos"] = True
    return fields


def read(event: dict[str, Any], now: float, answer: Stream) -> None:
    """Text, reasoning and tool calls are output; what opens the answer and has none is no token."""
    usage = event.get("usage")
    counted: int | None = None
    if usage is not None:
        counted = int(usage["completion_tokens"])
        answer.input_tokens = int(usage.get("prompt_tokens") or 0) or answer.input_tokens
    choices = event["choices"]
    if not choices:  # the last event: usage alone
        answer.output_tokens = counted if counted is not None else answer.output_tokens
        return
    choice = choices[0]
    answer.finish_reason = choice.get("finish_reason") or answer.finish_reason
    delta = choice.get("delta")
    text = choice.get("text") or "" if delta is None else _delta_text(delta)
    if not text and delta is not None and delta.get("role"):
        return  # opens the answer, carries no token
    answer.add(now, text, counted)


def _delta_text(delta: dict[str, Any]) -> str:
    """Everything that is output: the answer, the reasoning, calls of tools."""
    text: str = "".join([delta.get(field) or "" for field in _TEXT_FIELDS])
    for call in delta.get("tool_calls") or ():
        function = call.get("function") or {}
        text += (function.get("name") or "") + (function.get("arguments") or "")
    return text
