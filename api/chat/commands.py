"""What a chat message orders: start, status, follow, report, stop, resume, list, plan.

Only the user's last message is looked at, only from its beginning, and only a model that is named
as one starts anything: text that a user pastes or another message quotes orders nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from advisor.consultation import Message
from knowledge.presets import PRESETS

Verb = Literal["start", "plan", "status", "follow", "report", "stop", "resume", "list"]
SESSION_ID = re.compile(r"\b\d{8}-\d{6}-[0-9a-f]{4}\b")
_LONGEST = 400
_POLITE = r"^\s*(?:пожалуйста|давай|please)?[,\s]*"
_START = re.compile(
    _POLITE + r"(?P<verb>запусти(?:те)?|оптимизируй(?:те)?|ускорь(?:те)?|начни|optimi[sz]e|tune"
    r"|план|plan)"
    r"(?:\s+(?:оптимизаци\w+|сесси\w+|модел\w+|для|на|a|the|model|session|of|for))*"
    r"\s+(?P<model>demo|/\S+|~\S+|[A-Za-z0-9][\w.-]*/[\w.-]+|\S+\.gguf)(?=[\s,;]|$)(?P<rest>.*)$",
    re.IGNORECASE,
)  # fmt: skip
_VERBS: tuple[tuple[Verb, str], ...] = (
    ("follow", r"(?:про)?следи|покажи ход|follow|watch"),
    ("stop", r"останови|отмени|прерви|стоп|cancel|stop"),
    ("resume", r"продолжи|возобнови|resume"),
    ("list", r"(?:список|покажи(?:\s+все)?|какие)\s+(?:есть\s+)?сесси|list sessions|sessions$"),
    ("report", r"(?:покажи\s+|дай\s+|где\s+)?(?:отч[её]т|report|результат|итог)"),
    ("status", r"как (?:дела|там|ид[её]т)|статус|что (?:с|там)|прогресс|готов[ао]|status|how is"),
)
_ABOUT_A_SESSION = re.compile(r"сесси|session|оптимизаци|отч[её]т|report", re.IGNORECASE)
_OPTIONS: tuple[tuple[str, str], ...] = (
    ("budget", r"(?:--?budget|бюджет\w*|за|budget)[\s=:]+(?P<value>\d+(?:[.,]\d+)?\s*[a-zа-я]+)"),
    ("objective", r"(?:--?objective|цель\w*|objective)[\s=:]+(?P<value>[a-z]+)"),
    ("engine", r"(?:--?engine|движ\w+|engine)[\s=:]+(?P<value>[\w-]+)"),
    ("workload", r"(?:--?workload|нагрузк\w+|workload)[\s=:]+(?P<value>[^\s,;]+)"),
    ("concurrency", r"(?:--?concurrency|поток\w*|concurrency)[\s=:]+(?P<value>\d+)"),
    ("input_tokens", r"(?:--?input-tokens|вход\w*)[\s=:]+(?P<value>\d+)"),
    ("output_tokens", r"(?:--?output-tokens|выход\w*)[\s=:]+(?P<value>\d+)"),
    ("trials", r"(?:--?trials|гипотез\w*|попыт\w*)[\s=:]+(?P<value>\d+)"),
    ("slo", r"(?P<value>\b[a-z]+(?:_p?\w+)?\s*(?:<=|>=|=)\s*\d+(?:\.\d+)?\s*(?:ms|s|%|/s)?)"),
)
_NUMBERS = ("concurrency", "input_tokens", "output_tokens", "trials")
_TIME = {"мин": "m", "минут": "m", "минуты": "m", "минуту": "m", "м": "m", "ч": "h", "час": "h",
         "часа": "h", "часов": "h", "с": "s", "сек": "s", "секунд": "s"}  # fmt: skip


@dataclass(frozen=True)
class Command:
    """What to do; `session` may be None: then the chat's own or the newest."""

    verb: Verb
    session: str | None = None
    request: dict[str, Any] = field(default_factory=dict)


def command_of(messages: Sequence[Message]) -> Command | None:
    """The order in the last user message, None when it is a question."""
    text = messages[-1].content.strip()
    if messages[-1].role != "user" or len(text) > _LONGEST or "\n" in text:
        return None
    if order := _START.match(text):
        verb: Verb = "plan" if order["verb"].lower() in ("план", "plan") else "start"
        return Command(verb, request={"model": order["model"]} | _options(order["rest"]))
    named = SESSION_ID.search(text)
    for known, pattern in _VERBS:
        if re.match(_POLITE + rf"(?:{pattern})", text, re.IGNORECASE):
            if named:
                return Command(known, named[0])
            if _ABOUT_A_SESSION.search(text) or (known == "status" and _bare(text)):
                return Command(known, _mentioned(messages))
    return Command("status", named[0]) if named and text == named[0] else None


def _bare(text: str) -> bool:
    """«Как дела?» in a chat that started a session means that session."""
    return len(text.split()) <= 3


def _mentioned(messages: Sequence[Message]) -> str | None:
    """The session spoken of last in this conversation."""
    for message in reversed(messages):
        if message.role in ("user", "assistant") and (ids := SESSION_ID.findall(message.content)):
            return str(ids[-1])
    return None


def _options(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, pattern in _OPTIONS:
        for match in re.finditer(pattern, text, re.IGNORECASE):
            value = match["value"]
            if name == "slo":
                if not re.match(r"(budget|objective|engine|workload|concurrency|trials)", value):
                    found.setdefault("slo", []).append(re.sub(r"\s", "", value))
            elif name in _NUMBERS:
                found[name] = int(value)
            else:
                found[name] = _duration(value) if name == "budget" else value
        if name != "slo":
            text = re.sub(pattern, " ", text, flags=re.IGNORECASE)
    if unknown := re.findall(r"--?[a-zA-Z][\w-]*", text):
        found["unknown"] = unknown
    for word in re.findall(r"[\w-]+", text):
        if word.lower() in PRESETS and "workload" not in found:
            found["workload"] = word.lower()
    return found


def _duration(text: str) -> str:
    """«30 минут» is 30m."""
    match = re.fullmatch(r"(\d+(?:[.,]\d+)?)\s*([a-zа-я]+)", text.lower())
    if not match:
        return text
    return match[1].replace(",", ".") + _TIME.get(match[2], match[2])
