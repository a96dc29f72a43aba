"""BurstGPT: times and lengths of ChatGPT and GPT-4 requests, no text; github.com/HPMLL/BurstGPT."""

from collections.abc import Iterator

from tools.load.traces.base import TraceRow, converted, count, csv_rows, header, seconds


class BurstGpt:
    """Rows of no response tokens are failures, and are left out as the authors do."""

    name = "burstgpt"
    title = "BurstGPT (CSV)"
    general = False

    def recognizes(self, head: str) -> bool:
        return {"timestamp", "request tokens", "response tokens"} <= set(header(head))

    def read(self, text: str) -> Iterator[tuple[str, TraceRow]]:
        return converted(csv_rows(text), self._row)

    def _row(self, row: dict[str, str]) -> TraceRow | None:
        if row["response tokens"].strip() in ("0", ""):
            return None
        output = count(row["response tokens"], "Response tokens")
        length = count(row["request tokens"], "Request tokens")
        moment = seconds(row["timestamp"], "Timestamp")
        return TraceRow("", output, moment, input_tokens=length)


FORMAT = BurstGpt()
