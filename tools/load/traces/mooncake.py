"""Mooncake: times in milliseconds, lengths, ids of blocks of 512 tokens; equal ids, equal text.

github.com/kvcache-ai/Mooncake; vLLM's timed_trace reads the same.
"""

from collections.abc import Iterator

from tools.load.traces.base import TraceRow, converted, count, first_object, json_lines, seconds


class Mooncake:
    """The prefixes that were shared in the recorded traffic are shared again."""

    name = "mooncake"
    title = "Mooncake (JSONL)"
    general = False

    def recognizes(self, head: str) -> bool:
        return {"timestamp", "input_length", "output_length"} <= first_object(head).keys()

    def read(self, text: str) -> Iterator[tuple[str, TraceRow]]:
        return converted(json_lines(text), self._row)

    def _row(self, data: dict[str, object]) -> TraceRow:
        ids = data.get("hash_ids") or []
        if not isinstance(ids, list) or not all(isinstance(i, int) for i in ids):
            raise ValueError("hash_ids должен быть списком целых чисел")
        output = count(data.get("output_length"), "output_length")
        length = count(data.get("input_length"), "input_length")
        moment = seconds(data.get("timestamp"), "timestamp") / 1000
        return TraceRow("", output, moment, input_tokens=length, blocks=tuple(ids))


FORMAT = Mooncake()
