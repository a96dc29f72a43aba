"""What is measured, and how its dialect of the OpenAI API is spoken."""

from dataclasses import dataclass, field
from typing import Literal

import orjson

from knowledge.types import Workload
from tools.load.prompts import Prompt

FULL, NO_CONTINUOUS_USAGE, NO_IGNORE_EOS, BARE = range(4)


@dataclass
class Dialect:
    """Which optional fields a server takes; found out on a 400, remembered once proved by a 200."""

    level: int = FULL
    proved: bool = False

    def accept(self, level: int) -> None:
        """The server answered a request of this level: from now on a 400 means the request."""
        if not self.proved or level < self.level:
            self.level, self.proved = level, True

    def after_refusal(self, level: int) -> int | None:
        """With which level to send a refused request again; None when it is itself at fault."""
        if level == BARE or (self.proved and level >= self.level):
            return None
        return max(level + 1, self.level)


@dataclass(frozen=True)
class Target:
    """One OpenAI-compatible server and model. The key is kept out of repr and of errors."""

    base_url: str
    model: str
    endpoint: Literal["completions", "chat"] = "completions"
    api_key: str | None = field(default=None, repr=False)
    extra: dict[str, object] = field(default_factory=dict)
    """Merged into every request's body; None removes a field."""
    dialect: Dialect = field(default_factory=Dialect, repr=False, compare=False)

    @property
    def path(self) -> str:
        return "/v1/chat/completions" if self.endpoint == "chat" else "/v1/completions"

    def body(self, prompt: Prompt, workload: Workload, level: int) -> bytes:
        """The JSON of one request, with the optional fields of a dialect level."""
        fields: dict[str, object] = {
            "model": self.model,
            "max_tokens": prompt.output_tokens,
            "temperature": 0,
            "stream": True,
        }
        if self.endpoint == "chat":
            messages = prompt.messages or ({"role": "user", "content": prompt.text},)
            fields["messages"] = list(messages)
        else:
            fields["prompt"] = prompt.text
        if level < BARE:
            options: dict[str, object] = {"include_usage": True}
            if level < NO_CONTINUOUS_USAGE:
                options["continuous_usage_stats"] = True
            fields["stream_options"] = options
        if level < NO_IGNORE_EOS and workload.ignore_eos:
            fields["ignore_eos"] = True
        return orjson.dumps({k: v for k, v in (fields | self.extra).items() if v is not None})

    def redact(self, text: str) -> str:
        """Take the key out of a text that a server or a library wrote."""
        return text.replace(self.api_key, "***") if self.api_key else text
