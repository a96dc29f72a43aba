"""Markdown to Slack's mrkdwn, and what Slack sends back to plain text."""

import re

MOST = 3500
"""Characters in one message; Slack cuts at 4000 in some clients."""
_RULES = (
    (re.compile(r"!?\[([^\]]+)\]\((https?://[^)\s]+)\)"), r"<\2|\1>"),
    (re.compile(r"\*\*(.+?)\*\*"), r"*\1*"),
    (re.compile(r"^#{1,6}\s+(.+)$", re.MULTILINE), r"*\1*"),
    (re.compile(r"^(\s*)[-*]\s+", re.MULTILINE), r"\1• "),
)
_CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
_ENTITY = re.compile(r"<([^<>|]+)(?:\|([^<>]*))?>")


def escape(text: str) -> str:
    """The three characters that Slack reads as markup: nothing in it can ping a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def to_mrkdwn(markdown: str) -> str:
    """Bold, links, headings and lists; code stays as it is. Escaped first."""
    parts = _CODE.split(escape(markdown))
    return "".join(part if part.startswith("`") else _styled(part) for part in parts)


def pieces(text: str) -> list[str]:
    """The text in messages of a fitting length, cut at the end of a line where there is one."""
    found = []
    while len(text) > MOST:
        cut = text.rfind("\n", MOST // 2, MOST)
        cut = cut if cut > 0 else MOST
        found.append(text[:cut])
        text = text[cut:].lstrip("\n")
    return [*found, text] if text or not found else found


def to_plain(text: str, me: str = "") -> str:
    """What a user typed: without the mention of the bot, links as typed, entities undone."""
    if me:
        text = text.replace(f"<@{me}>", " ")
    text = _ENTITY.sub(_typed, text)
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(entity, sign)
    return text.strip()


def _typed(match: re.Match[str]) -> str:
    """Slack turns model.gguf into <http://model.gguf|model.gguf>."""
    target, label = match[1], match[2]
    return label if label else target


def _styled(text: str) -> str:
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
