"""What is measured, and how its dialect is spoken."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from knowledge.types import Workload
from tools.load.prompts import Prompt

if TYPE_CHECKING:
    from tools.load.protocols import Protocol

FULL, NO_CONTINUOUS_USAGE, NO_IGNORE_EOS, BARE = range(LEVELS := 4)
"""What an OpenAI body leaves out; other protocols have fewer levels."""


@dataclass
class Dialect:
    """Which optional fields a server takes; found out on a 400, remembered once proved by a 200."""

    level: int = FULL
    proved: bool = False

    def accept(self, level: int) -> None:
        """The server answered a request of this level: from now on a 400 means the request."""
        if not self.proved or level < self.level:
            self.level, self.proved = level, True

    def after_refusal(self, level: int, levels: int = LEVELS) -> int | None:
        """With which level to send a refused request again; None when it is itself at fault."""
        if level == levels - 1 or (self.proved and level >= self.level):
            return None
        return max(level + 1, self.level)


@dataclass(frozen=True)
class Target:
    """One server and model. The key is kept out of repr and of errors."""

    base_url: str
    model: str
    endpoint: str = "completions"
    """The name of a protocol."""
    api_key: str | None = field(default=None, repr=False)
    extra: dict[str, object] = field(default_factory=dict)
    """Merged into every request's body; None removes a field."""
    dialect: Dialect = field(default_factory=Dialect, repr=False, compare=False)

    @property
    def protocol(self) -> "Protocol":
        """How the endpoint is spoken to. Raises BadInput where nobody knows it."""
        from tools.load.protocols import load

        return load(self.endpoint)

    @property
    def path(self) -> str:
        return self.protocol.path(self.model)

    def body(self, prompt: Prompt, workload: Workload, level: int) -> bytes:
        """The JSON of one request, with the optional fields of a dialect level."""
        from tools.load.protocols import Ask

        fields = self.protocol.body(Ask(self.model, prompt, workload.ignore_eos, level))
        return orjson.dumps({k: v for k, v in (fields | self.extra).items() if v is not None})

    def redact(self, text: str) -> str:
        """Take the key out of a text that a server or a library wrote."""
        return text.replace(self.api_key, "***") if self.api_key else text
