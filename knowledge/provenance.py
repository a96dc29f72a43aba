"""Where a fact comes from, and whether anybody looked."""

from datetime import date
from typing import Self

from pydantic import model_validator

from knowledge.types import Frozen

STALE_DAYS = 90
"""Older than this, a price is not to be relied on."""


class Provenance(Frozen):
    """The source of a record in a catalog."""

    title: str
    date: date
    """When the source was read, or what is its own date where it was not."""
    url: str = ""
    checked: bool = False
    """True: read there, or in the dated copy that the title names. False: from memory."""
    note: str = ""

    @model_validator(mode="after")
    def _unchecked_says_so(self) -> Self:
        if not self.checked and not self.note:
            raise ValueError("a source that was not checked needs a note that says why")
        return self

    def describe(self) -> str:
        """One Russian phrase for an answer or a report."""
        parts = [self.title, self.date.isoformat()]
        if not self.checked:
            parts.append(self.note)
        return ", ".join(parts)


def age_days(then: date, today: date) -> int:
    """Whole days between two dates."""
    return (today - then).days
