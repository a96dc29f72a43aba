"""A history of messages to one question with everything it inherits."""

import re
from collections.abc import Sequence
from typing import Literal

from advisor.consultation.question import Question
from advisor.consultation.types import Message, Services
from advisor.consultation.understanding.frame import Frame, inherit
from advisor.consultation.understanding.reading import read
from advisor.consultation.understanding.text import normalize, wants_english

_FOLLOWS = re.compile(
    r"^\W*(а|ну а|и|и а|а вот|теперь|тогда|ок|хорошо|ладно|что если|а что|what"
    r" about|and|then|ok|now|what if|how about)\b|"
    r"\b(а если|что если|тогда|то же|то же самое|там же|эту|этой|этого|на ней|на нем|на них|такой"
    r" же|вместо|what if|instead|same)\b"
)
_CARDS = re.compile(r"(?:на|с) (\d{1,2})(?: (?:таких|таких же|штук\w*))?\W*$")
"""«а если на двух?» after a question about cards: so many of them."""
_CROWD = re.compile(
    r"(?:юзеров|пользователей|человек|запросов|клиентов|диалогов|чатов|users|requests)\s+(\d+)\W*$"
)
"""«а если таких юзеров 10?»"""
_NUMBER = re.compile(r"(?<![\w.,])(\d+(?:[.,]\d+)?)\s?([кk](?![a-zа-я]))?\W*$")
_TOKENS = 512
"""From here on a bare number is a length rather than a number of requests."""
_TALK = ("knowledge", "versus", "diagnosis", "kv_cache", "format_support")
_SCRAP = 4
"""So few words only continue what was talked about."""
_KEPT = 12
"""Earlier messages that still matter."""


def understand(messages: Sequence[Message], services: Services) -> Question:
    """The last user message with the frame of the conversation."""
    said = [message.content for message in messages if message.role == "user"][-_KEPT:]
    raw = said[-1] if said else ""
    text = normalize(raw)
    own = read(raw)
    old, previous = Frame(), None
    for earlier in said[:-1]:
        step = read(earlier)
        old, _ = inherit(step, old)
    follow = bool(said[:-1]) and _follows(text, own)
    if follow and own == Frame():
        own = _bare_number(text, old)
    frame, taken = inherit(own, old) if follow else (own, ())
    if follow:
        previous = _last_intent(messages, services)
        if previous in _TALK and len(text.split()) <= _SCRAP and not own.models and not own.gpus:
            raw = f"{said[-2]}; {raw}"
            text = normalize(raw)
    return Question(
        raw=raw,
        text=text,
        frame=frame,
        own=own,
        services=services,
        language=_language(said),
        inherited=taken,
        previous=previous,
        follow_up=follow,
        history=tuple(said[:-1]),
    )


def _bare_number(text: str, old: Frame) -> Frame:
    """«а на двух?», «а при 16000?», «а если 20?»: a number in the place of an earlier one."""
    cards = _CARDS.search(text)
    if cards and old.gpus:
        return Frame(gpu_count=int(cards[1]))
    crowd = _CROWD.search(text)
    if crowd:
        return Frame(concurrency=int(crowd[1]))
    number = _NUMBER.search(text)
    if number is None:
        return Frame()
    value = round(float(number[1].replace(",", ".")) * (1024 if number[2] else 1))
    if value >= _TOKENS:
        for role in ("input_tokens", "context_tokens", "output_tokens"):
            if getattr(old, role):
                return Frame(**{role: value})
    elif value >= 1 and old.concurrency:
        return Frame(concurrency=value)
    return Frame()


def _follows(text: str, own: Frame) -> bool:
    """A question that leans on what was said: by its words, or because it names no model."""
    if _FOLLOWS.search(text):
        return True
    return not own.models and not own.parameters and not own.unknown


def _language(said: Sequence[str]) -> Literal["ru", "en"]:
    """Russian, unless the user asked for another in this conversation; the last wish holds."""
    for text in reversed(said):
        wish = wants_english(text)
        if wish is not None:
            return "en" if wish else "ru"
    return "ru"


def _last_intent(messages: Sequence[Message], services: Services) -> str | None:
    """What the question before was about."""
    from advisor.consultation.choosing import choose

    users = [index for index, message in enumerate(messages) if message.role == "user"]
    if len(users) < 2:
        return None
    before = understand(messages[: users[-2] + 1], services)
    chosen = choose(before)
    return chosen[0] if chosen else before.previous
