"""What chat programs ask on their own: a title, tags, follow-ups of a conversation.

Open WebUI sends «### Task:» with the JSON it wants back; LibreChat asks for a title in words.
Answered from the conversation itself, and never taken for a question or a command.
"""

import json
import re

_TASK = re.compile(r"^\s*###\s*task\b", re.IGNORECASE)
_TITLE = re.compile(
    r"\b(title|heading)\b.{0,80}\b(conversation|chat|dialog)|\b(conversation|chat)\b.{0,80}\btitle\b",
    re.IGNORECASE | re.DOTALL,
)
_HISTORY = re.compile(r"<chat_history>(.*?)</chat_history>", re.IGNORECASE | re.DOTALL)
_USER_LINE = re.compile(r"^\s*(?:USER|User|user|Human)\s*:\s*(.+)$", re.MULTILINE)
_WORDS = 6
_EMPTY: dict[str, dict[str, object]] = {
    "follow_ups": {"follow_ups": []},
    "queries": {"queries": []},
    "tags": {"tags": ["LLM inference"]},
    "text": {"text": ""},
}


def chore(text: str) -> str | None:
    """The answer to a program's own request; None when a person asked."""
    if _TASK.match(text):
        if '"title"' in text:
            return json.dumps({"title": _title(text)}, ensure_ascii=False)
        for key, value in _EMPTY.items():
            if f'"{key}"' in text:
                return json.dumps(value, ensure_ascii=False)
        return "🙂" if "emoji" in text.lower() else _title(text)
    if len(text) > 80 and _TITLE.search(text[:600]) and _USER_LINE.search(text):
        return _title(text)
    return None


def _title(text: str) -> str:
    """The first words that the user said."""
    history = _HISTORY.search(text)
    said = _USER_LINE.search(history[1] if history else text)
    words = re.sub(r"[\"'«»`*#<>{}]", "", said[1]).split() if said else []
    return " ".join(words[:_WORDS]).rstrip(".,:;?!") or "Оптимизация inference"
