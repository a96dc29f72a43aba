"""Triton's generate extension, POST /v2/models/MODEL/generate_stream (TensorRT-LLM and vLLM)."""

from typing import Any
from urllib.parse import quote

from tools.load.protocols.base import Ask
from tools.load.stream import Stream

_PARAMETERS = 2


class Triton:
    """Has no end mark: a stream that the server closes in good order is complete. Only our own back
    end counts; else tokens are counted by the model's tokenizer. The first form is that of a back
    end that can ignore the end of a text (ours), the second the TensorRT-LLM back end's, the third
    vLLM's."""

    name = "triton"
    title = "Triton /generate_stream"
    levels = 3

    def path(self, model: str) -> str:
        return f"/v2/models/{quote(model, safe='')}/generate_stream"

    def body(self, ask: Ask) -> dict[str, object]:
        length = ask.prompt.output_tokens
        if ask.level < _PARAMETERS:
            plain = {"text_input": ask.prompt.text, "max_tokens": length, "stream": True}
            own = ask.level == 0 and ask.ignore_eos
            return plain | ({"ignore_eos": True} if own else {})
        parameters: dict[str, object] = {
            "stream": True,
            "temperature": 0,
            "max_tokens": length,
            "exclude_input_in_output": True,
        }
        if ask.ignore_eos:
            parameters["ignore_eos"] = True
        return {"text_input": ask.prompt.text, "parameters": parameters}

    def read(self, event: dict[str, Any], now: float, answer: Stream) -> None:
        answer.add(now, event["text_output"], event.get("output_tokens"))
        answer.input_tokens = event.get("input_tokens", answer.input_tokens)
        answer.finish_reason = "end"  # perhaps; each event may be the last


PROTOCOL = Triton()
