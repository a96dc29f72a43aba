"""What a protocol is: a path, a body, and what an event of the stream says."""

from dataclasses import dataclass
from typing import Any
from typing import Protocol as Interface

from tools.load.prompts import Prompt
from tools.load.stream import Stream


@dataclass(frozen=True)
class Ask:
    """What a body is made of. `level`: how many optional fields to leave out, 0 is none."""

    model: str
    prompt: Prompt
    ignore_eos: bool
    level: int = 0


class Protocol(Interface):
    """Stateless. Events are the JSON objects of server-sent events; an error object never comes."""

    name: str
    title: str
    levels: int
    """A body can be asked for with levels 0 to levels - 1; a 400 leads to the next one."""

    def path(self, model: str) -> str:
        """Below the base URL, e.g. /v1/completions."""
        ...

    def body(self, ask: Ask) -> dict[str, object]:
        """Greedy, streamed, of the asked length."""
        ...

    def read(self, event: dict[str, Any], now: float, answer: Stream) -> None:
        """Note the event's text, counts and end in the answer.

        Raises ValueError, TypeError, KeyError, IndexError or AttributeError for what is none.
        """
        ...
