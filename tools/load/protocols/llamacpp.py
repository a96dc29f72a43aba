"""llama.cpp's own POST /completion: an event may hold several tokens, the last has the counts."""

from typing import Any

from tools.load.protocols.base import Ask
from tools.load.stream import Stream


class LlamaCpp:
    """return_tokens makes every event list its token ids, which are counted."""

    name = "llamacpp"
    title = "llama.cpp /completion"
    levels = 1

    def path(self, model: str) -> str:
        return "/completion"

    def body(self, ask: Ask) -> dict[str, object]:
        return {
            "prompt": ask.prompt.text,
            "n_predict": ask.prompt.output_tokens,
            "temperature": 0,
            "stream": True,
            "ignore_eos": ask.ignore_eos,
            "return_tokens": True,
        }

    def read(self, event: dict[str, Any], now: float, answer: Stream) -> None:
        ids = event.get("tokens")
        counted = answer.counted + len(ids) if ids else None
        if event["content"] or ids:
            answer.add(now, event["content"], counted)
        if event.get("stop"):
            answer.finish_reason = "length" if event.get("stop_type") == "limit" else "stop"
            answer.output_tokens = event.get("tokens_predicted") or answer.output_tokens
            answer.input_tokens = event.get("tokens_evaluated") or answer.input_tokens
            answer.complete = True


PROTOCOL = LlamaCpp()
