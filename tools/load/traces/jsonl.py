"""Our own JSONL."""

from collections.abc import Iterator

from tools.load.traces.base import (
    Message,
    TraceRow,
    converted,
    count,
    first_object,
    json_lines,
    seconds,
)


class Jsonl:
    """{"prompt": "…", "output_tokens": 64} or {"messages": […], …}, by choice "arrival_s"."""

    name = "jsonl"
    title = "JSONL: prompt или messages, output_tokens, arrival_s"
    general = True

    def recognizes(self, head: str) -> bool:
        keys = first_object(head).keys()
        return bool(keys & {"prompt", "messages", "output_tokens"})

    def read(self, text: str) -> Iterator[tuple[str, TraceRow]]:
        return converted(json_lines(text), self._row)

    def _row(self, data: dict[str, object]) -> TraceRow:
        asked = data.get("output_tokens")
        output = count(asked if not isinstance(asked, str) else None, "output_tokens")
        arrival = data.get("arrival_s")
        if isinstance(arrival, str):
            raise ValueError("arrival_s должно быть числом секунд")
        moment = None if arrival is None else seconds(arrival, "arrival_s")
        if ("prompt" in data) == ("messages" in data):
            raise ValueError("нужно ровно одно из двух: prompt или messages")
        if "prompt" in data:
            prompt = data["prompt"]
            if not isinstance(prompt, str) or not prompt:
                raise ValueError("prompt должен быть непустой строкой")
            prompt.encode()  # half a surrogate pair is JSON, but can't be sent
            return TraceRow(prompt, output, moment)
        messages = _messages(data["messages"])
        joined = "\n\n".join(message["content"] for message in messages)
        joined.encode()
        return TraceRow(joined, output, moment, messages)


def _messages(data: object) -> tuple[Message, ...]:
    if not isinstance(data, list) or not data:
        raise ValueError("messages должен быть непустым списком")
    for message in data:
        if not isinstance(message, dict) or not all(
            isinstance(message.get(key), str) for key in ("role", "content")
        ):
            raise ValueError("в каждом из messages нужны строки role и content")
    return tuple({"role": m["role"], "content": m["content"]} for m in data)


FORMAT = Jsonl()
