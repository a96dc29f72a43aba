"""Azure LLM inference traces (2023 and 2024): times and lengths, no text.

Columns TIMESTAMP, ContextTokens, GeneratedTokens; github.com/Azure/AzurePublicDataset.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from tools.load.traces.base import TraceRow, converted, count, csv_rows, header

_FRACTION = re.compile(r"\.(\d+)")


class Azure:
    """Rows of no generated tokens are requests that failed, and are left out."""

    name = "azure"
    title = "Azure LLM inference trace (CSV)"
    general = False

    def recognizes(self, head: str) -> bool:
        return {"timestamp", "contexttokens", "generatedtokens"} <= set(header(head))

    def read(self, text: str) -> Iterator[tuple[str, TraceRow]]:
        origin: float | None = None
        for place, row in converted(csv_rows(text), self._row):
            assert row.arrival_s is not None
            origin = row.arrival_s if origin is None else origin
            yield place, replace(row, arrival_s=row.arrival_s - origin)

    def _row(self, row: dict[str, str]) -> TraceRow | None:
        if row["generatedtokens"].strip() in ("0", ""):
            return None
        output = count(row["generatedtokens"], "GeneratedTokens")
        length = count(row["contexttokens"], "ContextTokens")
        return TraceRow("", output, _moment(row["timestamp"]), input_tokens=length)


def _moment(text: str) -> float:
    """Seconds; the 2023 trace has seven digits after the point, one more than Python reads."""
    short = _FRACTION.sub(lambda found: "." + found[1][:6].ljust(6, "0"), text.strip())
    try:
        moment = datetime.fromisoformat(short)
    except ValueError as error:
        raise ValueError(f"TIMESTAMP не разобрать: {text!r}") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


FORMAT = Azure()
