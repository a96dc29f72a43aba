"""A user's own requests, or recorded ones: every format of tools/load/traces."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from knowledge.errors import BadWorkload
from tools.load.traces import Message, TraceFormat, TraceRow, formats
from tools.load.traces.base import PlaceError

__all__ = ["Message", "TraceRow", "format_of", "load_trace", "trace_sha256"]

_FORM = (
    'Нужна строка вида {"prompt": "…", "output_tokens": 64} или {"messages": […], '
    '"output_tokens": 64}, по желанию "arrival_s"'
)
_HEAD_CHARACTERS = 65_536
_CHARACTERS_PER_TOKEN = 4


def trace_sha256(path: Path | str) -> str:
    """Hex digest of the file: what Workload.trace_sha256 holds. Raises BadWorkload."""
    return hashlib.sha256(_read(Path(path))).hexdigest()


def format_of(path: Path | str) -> TraceFormat:
    """Which format the file has; our own JSONL where none is recognized. Raises BadWorkload."""
    return _format(_text(Path(path), _read(Path(path))))


def load_trace(path: Path | str) -> tuple[TraceRow, ...]:
    """Every request of a file, in order of arrival. Raises BadWorkload naming file and place."""
    path = Path(path)
    text = _text(path, _read(path))
    form = _format(text)
    rows: list[TraceRow] = []
    try:
        for place, row in _walk(form, text):  # noqa: B007 - named below
            if rows and (row.arrival_s is None) != (rows[0].arrival_s is None):
                raise ValueError("arrival_s есть не во всех строках")
            if rows and (row.arrival_s or 0) < (rows[-1].arrival_s or 0):
                raise ValueError("arrival_s меньше, чем строкой выше")
            rows.append(row)
    except ValueError as error:
        where = error.place if isinstance(error, PlaceError) else place
        raise BadWorkload(f"{path}, {where}: {error}", _hint(form)) from error
    if not rows:
        raise BadWorkload(f"{path}: в файле нет ни одного запроса", _hint(form))
    return tuple(rows)


def _walk(form: TraceFormat, text: str) -> Iterator[tuple[str, TraceRow]]:
    for place, row in form.read(text):
        if not row.output_tokens:
            guess = max(1, len(row.answer) // _CHARACTERS_PER_TOKEN)
            yield place, replace(row, output_tokens=guess)
        else:
            yield place, row


def _format(text: str) -> TraceFormat:
    head = text[:_HEAD_CHARACTERS]
    known = {form.name: form for form in formats()}
    return next((form for form in formats() if form.recognizes(head)), known["jsonl"])


def _hint(form: TraceFormat) -> str:
    return _FORM if form.name == "jsonl" else f"Формат файла распознан как {form.title}"


def _text(path: Path, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadWorkload(f"{path}, строка {line}: не UTF-8", _FORM) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadWorkload(
            f"файл нагрузки не читается: {path} ({error.strerror})", "Проверьте путь к файлу"
        ) from error
