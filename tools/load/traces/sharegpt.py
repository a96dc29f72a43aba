"""ShareGPT conversations: the first question is sent, and as long an answer is asked for."""

import json
from collections.abc import Iterator

from tools.load.traces.base import PlaceError, TraceRow

_HUMAN, _MODEL = ("human", "user"), ("gpt", "assistant", "chatgpt", "bing", "bard")


class ShareGpt:
    """One JSON list. What does not begin with a question and an answer is left out, as in vLLM."""

    name = "sharegpt"
    title = "ShareGPT (JSON)"
    general = False

    def recognizes(self, head: str) -> bool:
        return head.lstrip().startswith("[") and '"conversations"' in head

    def read(self, text: str) -> Iterator[tuple[str, TraceRow]]:
        try:
            listed = json.loads(text)
        except ValueError as error:
            raise PlaceError("файл", "не JSON") from error
        for number, talk in enumerate(listed, start=1):
            turns = talk.get("conversations") if isinstance(talk, dict) else None
            if not isinstance(turns, list) or len(turns) < 2:
                continue
            question, answer = _said(turns[0], _HUMAN), _said(turns[1], _MODEL)
            if question and answer:
                yield f"запись {number}", TraceRow(question, 0, answer=answer)


def _said(turn: object, by: tuple[str, ...]) -> str:
    if not isinstance(turn, dict) or turn.get("from") not in by:
        return ""
    value = turn.get("value")
    return value if isinstance(value, str) else ""


FORMAT = ShareGpt()
