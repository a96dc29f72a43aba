"""Text Generation Inference, POST /generate_stream: one event is one token, special or not."""

from typing import Any

from tools.load.protocols.base import Ask
from tools.load.stream import Stream


class Tgi:
    """Has no ignore_eos: answers may end early, and the length check says so."""

    name = "tgi"
    title = "TGI /generate_stream"
    levels = 1

    def path(self, model: str) -> str:
        return "/generate_stream"

    def body(self, ask: Ask) -> dict[str, object]:
        parameters = {
            "max_new_tokens": ask.prompt.output_tokens,
            "do_sample": False,
            "details": True,
        }
        return {"inputs": ask.prompt.text, "parameters": parameters}

    def read(self, event: dict[str, Any], now: float, answer: Stream) -> None:
        token = event["token"]
        text = "" if token.get("special") else token["text"]
        answer.add(now, text, answer.counted + 1)
        details = event.get("details")
        if details is not None:
            answer.finish_reason = details.get("finish_reason") or "stop"
            answer.output_tokens = int(details["generated_tokens"])
            answer.input_tokens = details.get("input_length") or answer.input_tokens
        elif event.get("generated_text") is not None:
            answer.finish_reason = "stop"


PROTOCOL = Tgi()
