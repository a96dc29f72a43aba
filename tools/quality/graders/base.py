"""What a question of the user's is, and what grades an answer to it."""

from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import Field

from knowledge.types import Frozen
from tools.load.target import Target
from tools.load.tokenizer import Tokenizer


class Question(Frozen):
    """One line of a task file. Which of the fields count depends on the kind."""

    id: str = ""
    kind: str
    label: str = ""
    """Under which name its result is summed up; empty: its kind."""
    prompt: str = ""
    """Text to go on with, for base models; else messages."""
    messages: tuple[dict[str, str], ...] = ()
    max_tokens: int = Field(default=256, ge=1)
    stop: tuple[str, ...] = Field(default=(), max_length=4)
    """Where the answer ends."""
    choices: tuple[str, ...] = ()
    answer: str | int | tuple[str, ...] | None = None
    """The right one: text, several that are right, or the number of a choice from 0."""
    pattern: str = ""
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    tests: str = ""
    """Python that fails where the answer's code is wrong."""
    rubric: str = ""
    response_format: dict[str, Any] | None = None
    """Handed to the server: structured output is asked for, not only hoped for."""


@dataclass(frozen=True)
class Judge:
    """The endpoint of a model that grades, and the name it has there."""

    target: Target


@dataclass(frozen=True)
class Asked:
    """What a grader may use beside the answer."""

    question: Question
    target: Target
    tokenizer: Tokenizer | None
    judge: Judge | None = None


@dataclass(frozen=True)
class Grade:
    """Whether the answer is right, and in a few words why not."""

    passed: bool
    reason: str = ""


class Grader(Protocol):
    """One file in this folder adds one; nothing else is edited."""

    needs_answer: bool
    """False: it asks the server itself, no text is generated."""

    def check(self, question: Question, judge: Judge | None) -> str | None:
        """Russian: what the question lacks; None when it can be graded."""

    async def grade(self, asked: Asked, text: str) -> Grade:
        """Never raises for what the model said: a broken answer is a wrong one."""
