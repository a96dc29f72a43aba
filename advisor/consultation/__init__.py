"""Consultation: a question in Russian or English, an answer with its formula and its sources.

    async for piece in consult(messages, services=services):
        if piece.kind == "text":
            ...

The history is the memory: a follow-up («а если INT4?») inherits what earlier questions said.
"""

from collections.abc import AsyncIterator, Sequence

from advisor.consultation.types import (
    LlmEndpoint,
    Message,
    Piece,
    Services,
    SessionRequest,
    Sessions,
    SessionView,
)

__all__ = [
    "LlmEndpoint",
    "Message",
    "Piece",
    "Services",
    "SessionRequest",
    "SessionView",
    "Sessions",
    "consult",
]


async def consult(messages: Sequence[Message], *, services: Services) -> AsyncIterator[Piece]:
    """Answer the last user message. Never raises for what a user wrote; ends with kind "end"."""
    from advisor.consultation.dialogue import answer

    async for piece in answer(messages, services):
        yield piece
