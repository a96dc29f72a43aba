"""GuideLLM's data files: JSONL or CSV with a column of text and, by choice, output tokens."""

from collections.abc import Iterator, Mapping

from tools.load.traces.base import (
    TraceRow,
    converted,
    count,
    csv_rows,
    first_object,
    header,
    json_lines,
)

_TEXT = ("prompt", "instruction", "question", "input", "context", "content", "text", "body")
_OUTPUT = ("output_tokens_count", "output_token_count", "output_tokens")
_INPUT = ("prompt_tokens_count", "prompt_token_count")
_DEFAULT_OUTPUT = 256


class GuideLlm:
    """The names of columns that GuideLLM looks for itself."""

    name = "guidellm"
    title = "GuideLLM (JSONL, CSV)"
    general = False

    def recognizes(self, head: str) -> bool:
        columns = first_object(head).keys() or set(header(head))
        return bool({*_OUTPUT[:2], *_INPUT} & set(columns)) and bool(set(_TEXT) & set(columns))

    def read(self, text: str) -> Iterator[tuple[str, TraceRow]]:
        lined = text.lstrip().startswith("{")
        rows: Iterator[tuple[str, Mapping[str, object]]]
        rows = json_lines(text) if lined else csv_rows(text)
        return converted(rows, self._row)

    def _row(self, row: Mapping[str, object]) -> TraceRow:
        prompt = next((row[name] for name in _TEXT if row.get(name)), None)
        if not isinstance(prompt, str):
            raise ValueError(f"нет текста ни в одном из столбцов {', '.join(_TEXT)}")
        asked = next((row[name] for name in _OUTPUT if row.get(name)), _DEFAULT_OUTPUT)
        return TraceRow(prompt, count(asked, "output_tokens_count"))


FORMAT = GuideLlm()
