"""vLLM's custom data set: JSONL with prompts, and output_tokens by choice."""

from collections.abc import Iterator

from tools.load.traces.base import TraceRow, converted, count, first_object, json_lines

_DEFAULT_OUTPUT = 256
"""vLLM's own --custom-output-len."""


class Vllm:
    """Told from ours by a first line that leaves the length to the command line."""

    name = "vllm"
    title = "vLLM custom dataset (JSONL)"
    general = False

    def recognizes(self, head: str) -> bool:
        found = first_object(head).keys()
        others = {"output_tokens_count", "output_token_count", "prompt_tokens_count"}
        return "prompt" in found and "output_tokens" not in found and not found & others

    def read(self, text: str) -> Iterator[tuple[str, TraceRow]]:
        return converted(json_lines(text), self._row)

    def _row(self, data: dict[str, object]) -> TraceRow:
        prompt = data.get("prompt")
        if not isinstance(prompt, str) or not prompt:
            raise ValueError("prompt должен быть непустой строкой")
        return TraceRow(prompt, count(data.get("output_tokens", _DEFAULT_OUTPUT), "output_tokens"))


FORMAT = Vllm()
