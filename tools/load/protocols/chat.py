"""OpenAI /v1/chat/completions: the server puts its chat template around the messages."""

from tools.load.protocols import _openai
from tools.load.protocols.base import Ask
from tools.load.target import LEVELS


class Chat:
    """The one endpoint that hosted services have too."""

    name = "chat"
    title = "OpenAI /v1/chat/completions"
    levels = LEVELS
    read = staticmethod(_openai.read)

    def path(self, model: str) -> str:
        return "/v1/chat/completions"

    def body(self, ask: Ask) -> dict[str, object]:
        messages = ask.prompt.messages or ({"role": "user", "content": ask.prompt.text},)
        return _openai.common(ask) | {"messages": list(messages)}


PROTOCOL = Chat()
