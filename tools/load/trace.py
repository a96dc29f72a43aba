"""A user's own requests: one JSON object a line."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from knowledge.errors import BadWorkload

_FORM = (
    'Нужна строка вида {"prompt": "…", "output_tokens": 64} или {"messages": […], '
    '"output_tokens": 64}, по желанию "arrival_s"'
)
_MOST_TOKENS = 1_000_000
Message = Mapping[str, str]


@dataclass(frozen=True)
class TraceRow:
    """One request of a trace. `messages` is None where the line had a plain prompt."""

    text: str
    output_tokens: int
    arrival_s: float | None = None
    messages: tuple[Message, ...] | None = None


def trace_sha256(path: Path | str) -> str:
    """Hex digest of the file: what Workload.trace_sha256 holds. Raises BadWorkload."""
    return hashlib.sha256(_read(Path(path))).hexdigest()


def load_trace(path: Path | str) -> tuple[TraceRow, ...]:
    """Every request of a JSONL file. Raises BadWorkload naming the file and the line."""
    rows: list[TraceRow] = []
    for number, line in enumerate(_read(Path(path)).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = _row(json.loads(line))
            if rows and (row.arrival_s is None) != (rows[0].arrival_s is None):
                raise ValueError("arrival_s есть не во всех строках")
            if rows and (row.arrival_s or 0) < (rows[-1].arrival_s or 0):
                raise ValueError("arrival_s меньше, чем строкой выше")
        except ValueError as error:
            reason = "не JSON" if isinstance(error, json.JSONDecodeError) else str(error)
            if isinstance(error, UnicodeError):
                reason = "не UTF-8"
            raise BadWorkload(f"{path}, строка {number}: {reason}", _FORM) from error
        rows.append(row)
    if not rows:
        raise BadWorkload(f"{path}: в файле нет ни одного запроса", _FORM)
    return tuple(rows)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadWorkload(
            f"файл нагрузки не читается: {path} ({error.strerror})", "Проверьте путь к файлу"
        ) from error


def _row(data: object) -> TraceRow:
    if not isinstance(data, dict):
        raise ValueError("строка не является объектом JSON")
    output = data.get("output_tokens")
    if not isinstance(output, int) or isinstance(output, bool) or not 0 < output <= _MOST_TOKENS:
        raise ValueError(f"output_tokens должно быть целым числом от 1 до {_MOST_TOKENS}")
    arrival = _arrival(data.get("arrival_s"))
    if ("prompt" in data) == ("messages" in data):
        raise ValueError("нужно ровно одно из двух: prompt или messages")
    if "prompt" in data:
        if not isinstance(data["prompt"], str) or not data["prompt"]:
            raise ValueError("prompt должен быть непустой строкой")
        data["prompt"].encode()  # half a surrogate pair is JSON, but can't be sent
        return TraceRow(data["prompt"], output, arrival)
    messages = _messages(data["messages"])
    text = "\n\n".join(message["content"] for message in messages)
    text.encode()
    return TraceRow(text, output, arrival, messages)


def _arrival(data: object) -> float | None:
    if data is None:
        return None
    if not isinstance(data, int | float) or isinstance(data, bool):
        raise ValueError("arrival_s должно быть числом секунд")
    if not (math.isfinite(data) and data >= 0):
        raise ValueError("arrival_s должно быть конечным и не меньше 0")
    return float(data)


def _messages(data: object) -> tuple[Message, ...]:
    if not isinstance(data, list) or not data:
        raise ValueError("messages должен быть непустым списком")
    for message in data:
        if not isinstance(message, dict) or not all(
            isinstance(message.get(key), str) for key in ("role", "content")
        ):
            raise ValueError("в каждом из messages нужны строки role и content")
    return tuple({"role": m["role"], "content": m["content"]} for m in data)
