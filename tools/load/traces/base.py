"""What a format of recorded requests is."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Message = Mapping[str, str]
MOST_TOKENS = 1_000_000
Row = TypeVar("Row")


@dataclass(frozen=True)
class TraceRow:
    """One request. Without text it has a length, and text of that length is made for it."""

    text: str
    output_tokens: int
    arrival_s: float | None = None
    messages: tuple[Message, ...] | None = None
    input_tokens: int | None = None
    blocks: tuple[int, ...] = ()
    """Ids of its successive blocks of the prompt: equal ids are equal text (Mooncake)."""
    block_tokens: int = 512
    answer: str = ""
    """What was answered when it was recorded; its length is asked for where no count is known."""


class TraceFormat(Protocol):
    """Stateless. `read` raises PlaceError with a Russian reason."""

    name: str
    title: str
    general: bool
    """Recognizes files that a more particular format may recognize too."""

    def recognizes(self, head: str) -> bool:
        """By the first few kilobytes of the file."""
        ...

    def read(self, text: str) -> Iterator[tuple[str, TraceRow]]:
        """Every request, with its place in the file («строка 3»)."""
        ...


def first_object(head: str) -> dict[str, Any]:
    """The first line as a JSON object; empty where it is none."""
    line = head.lstrip().split("\n", 1)[0]
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def json_lines(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Objects, one a line. Raises PlaceError."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = f"строка {number}"
        try:
            found = json.loads(line)
        except ValueError as error:
            raise PlaceError(place, "не JSON") from error
        if not isinstance(found, dict):
            raise PlaceError(place, "строка не является объектом JSON")
        yield place, found


def header(head: str) -> list[str]:
    """Column names of a CSV file, in lower case."""
    line = head.lstrip("\ufeff").split("\n", 1)[0]
    return [name.strip().lower() for name in next(csv.reader([line]), [])]


def csv_rows(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows by column name in lower case."""
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
    for number, row in enumerate(reader, start=2):
        yield f"строка {number}", {str(k).strip().lower(): v or "" for k, v in row.items()}


class PlaceError(ValueError):
    """A reason with its place in the file."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(reason)
        self.place = place


def converted(
    rows: Iterator[tuple[str, Row]], convert: Callable[[Row], TraceRow | None]
) -> Iterator[tuple[str, TraceRow]]:
    """Each row as a request; None leaves it out. What is wrong is a PlaceError."""
    for place, data in rows:
        try:
            row = convert(data)
        except (ValueError, KeyError, TypeError) as error:
            reason = "не UTF-8" if isinstance(error, UnicodeError) else str(error)
            raise PlaceError(place, reason) from error
        if row is not None:
            yield place, row


def count(value: object, name: str, least: int = 1) -> int:
    """A number of tokens, from a number or from text. Raises ValueError."""
    try:
        number = int(float(value)) if isinstance(value, str) else value
    except (ValueError, OverflowError):
        number = None
    if not isinstance(number, int) or isinstance(number, bool):
        raise ValueError(f"{name} должно быть целым числом от {least} до {MOST_TOKENS}")
    if not least <= number <= MOST_TOKENS:
        raise ValueError(f"{name} должно быть целым числом от {least} до {MOST_TOKENS}")
    return number


def seconds(value: object, name: str) -> float:
    """A moment, not negative. Raises ValueError."""
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or math.isnan(number):
        raise ValueError(f"{name} должно быть числом секунд")
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{name} должно быть конечным и не меньше 0")
    return number
