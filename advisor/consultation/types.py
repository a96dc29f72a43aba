"""What goes into a consultation and what comes out of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, Protocol

from knowledge.prediction import Observation
from knowledge.types import Frozen


class Message(Frozen):
    """One turn of the client's history; the last one is the question."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


class Piece(Frozen):
    """A part of the answer, in the order in which it is ready.

    `text`: Markdown to append. `tool`: a calculator ran (data: name, arguments, result). `source`:
    what the answer cites (data: title, date, note). `action`: a session was started or stopped
    (data: session). `end`: always last (data: path "rules" or "llm", intents, frame, figures).
    """

    kind: Literal["text", "tool", "source", "action", "end"]
    text: str = ""
    data: dict[str, Any] = {}


class SessionView(Frozen):
    """A session as a consultation speaks of it."""

    session: str
    status: str
    model: str
    engine: str
    workload: str
    started: date
    summary: str = ""
    """One or two Russian sentences: what was handed in and measured; empty: nothing yet."""
    device: str = ""


class Sessions(Protocol):
    """Where sessions are looked up and started; the service and the command line have their own."""

    async def recent(self) -> Sequence[SessionView]:
        """The newest first."""
        ...

    async def start(self, request: "SessionRequest") -> str | None:
        """Start a measured session; its id, or None where this place can't start one."""
        ...


class SessionRequest(Frozen):
    """What a user asked to be measured, in the words of `advisor optimize`."""

    model: str
    engine: str = "vllm"
    workload: str = "chat"
    concurrency: int | None = None
    objective: str = "latency"
    slos: tuple[str, ...] = ()
    budget: str = "30m"


@dataclass(frozen=True)
class LlmEndpoint:
    """Any OpenAI-compatible endpoint. The key never appears in a log or an answer."""

    base_url: str
    model: str
    api_key: str = "none"
    timeout_s: float = 60.0

    def __repr__(self) -> str:
        return f"LlmEndpoint({self.base_url!r}, {self.model!r})"


@dataclass(frozen=True)
class Services:
    """What a consultation may use. Without any of it, it still computes and answers."""

    today: date
    llm: LlmEndpoint | None = None
    sessions: Sessions | None = None
    measured: Callable[[], Sequence[Observation]] | None = None
    """Trials of our own store; asked only where a speed is forecast."""
