"""Where a conversation takes place, and what may be done there."""

from contextvars import ContextVar
from dataclasses import dataclass

from api.service.keys import Principal
from api.settings import Settings

_ALL = "*"


@dataclass(frozen=True)
class Place:
    """A channel, or a thread in it."""

    channel: str
    thread: str | None = None


HERE: ContextVar[Place | None] = ContextVar("slack_place", default=None)
"""Where the session that is just being started was asked for."""


def place_of(notify: str | None) -> Place | None:
    """slack:C0123 or slack:#name, as a rule of the policy file says it."""
    scheme, _, channel = (notify or "").partition(":")
    return Place(channel) if scheme == "slack" and channel else None


def principal_of(settings: Settings, user: str, channel: str) -> Principal:
    """What this user may do here: by the channel's id, in direct messages (D…) by the user's."""
    name = user if channel.startswith("D") else channel
    scopes = set()
    if _listed(name, settings.slack_run):
        scopes |= {"read", "run"}
    if _listed(name, settings.slack_read):
        scopes.add("read")
    return Principal(f"slack:{user}", f"<@{user}>", frozenset(scopes))


def refusal(user: str, channel: str, scope: str) -> str:
    """What somebody is told who may not do this here."""
    name = user if channel.startswith("D") else channel
    setting = "ADVISOR_SLACK_RUN" if scope == "run" else "ADVISOR_SLACK_READ"
    what = "начинать и останавливать сессии" if scope == "run" else "спрашивать меня"
    return f"Здесь нельзя {what}. Оператор сервиса может разрешить: добавить `{name}` в {setting}."


def _listed(name: str, names: tuple[str, ...]) -> bool:
    return _ALL in names or name in names
