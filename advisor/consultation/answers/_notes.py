"""The playbook: what to do when something is wrong, what to choose, what words mean."""

from functools import lru_cache
from typing import Literal

from pydantic import Field

from advisor.consultation.writing import Draft
from knowledge.types import Frozen


class Cause(Frozen):
    """One explanation of a symptom."""

    cause: str
    check: str = ""
    do: str


class NoteSource(Frozen):
    """Where a note comes from."""

    title: str
    date: str = ""


class Note(Frozen):
    """One page of the playbook. All text is Russian; `en` is its short English form."""

    name: str = ""
    kind: Literal["diagnosis", "term", "choice"]
    title: str
    match: tuple[str, ...] = ()
    """Regular expressions over the normalized question: any of them means this page."""
    ask: str = ""
    """How people put it, for retrieval."""
    examples: tuple[str, ...] = ()
    """Whole questions that this page answers; others find it by being like one of them."""
    text: str
    en: str = ""
    causes: tuple[Cause, ...] = ()
    sources: tuple[NoteSource, ...] = Field(min_length=1)


@lru_cache(maxsize=1)
def playbook() -> dict[str, Note]:
    """All pages by name."""
    from advisor.consultation.playbook import pages

    return {name: Note.model_validate({**fields, "name": name}) for name, fields in pages().items()}


def write(name: str, draft: Draft) -> None:
    """Put a page into an answer."""
    note = playbook()[name]
    if draft.language == "en":
        draft.add(note.en or note.title)
    else:
        draft.add(note.text.strip())
        if note.causes:
            draft.add(
                "\n".join(
                    _cause(number, cause) for number, cause in enumerate(note.causes, start=1)
                )
            )
    for source in note.sources:
        draft.cite(source.title, source.date)


def _cause(number: int, cause: Cause) -> str:
    check = f" Проверить: {cause.check}" if cause.check else ""
    return f"{number}. **{cause.cause}.**{check} Что делать: {cause.do}"


__all__ = ["Cause", "Note", "playbook", "write"]
