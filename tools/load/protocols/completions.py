"""OpenAI /v1/completions: the prompt as it stands, so that its length is exact."""

from tools.load.protocols import _openai
from tools.load.protocols.base import Ask
from tools.load.target import LEVELS


class Completions:
    """vLLM, SGLang, llama.cpp, TensorRT-LLM and most others."""

    name = "completions"
    title = "OpenAI /v1/completions"
    levels = LEVELS
    read = staticmethod(_openai.read)

    def path(self, model: str) -> str:
        return "/v1/completions"

    def body(self, ask: Ask) -> dict[str, object]:
        return _openai.common(ask) | {"prompt": ask.prompt.text}


PROTOCOL = Completions()
