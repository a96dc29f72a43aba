"""API keys: random, shown once, stored as a hash, with scopes; revoked by the command line."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from api.service.database import Tables, now_text
from knowledge.errors import BadInput

Scope = Literal["read", "run"]
SCOPES: tuple[str, ...] = get_args(Scope)
_PREFIX = "adv"
_LOGIN_LASTS = timedelta(days=14)


@dataclass(frozen=True)
class Principal:
    """Who asks. `run` includes `read`."""

    key_id: str
    name: str
    scopes: frozenset[str]
    trusted: bool = False
    """The service's own user on this machine, not somebody who was given a key."""

    def may(self, scope: str) -> bool:
        return scope in self.scopes


@dataclass(frozen=True)
class KeyRow:
    """A key as a list of keys shows it; the secret is not kept."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: str
    revoked_at: str | None


class Keys:
    """The keys of one service. A revoked one is refused at once, also by a running service."""

    def __init__(self, database: Tables) -> None:
        self._db = database
        self._version = -1
        self._known: dict[str, tuple[str, Principal]] = {}

    def create(self, name: str, scopes: tuple[str, ...]) -> str:
        """Make a key and return its text, for the only time. Raises BadInput."""
        unknown = [scope for scope in scopes if scope not in SCOPES]
        if unknown or not scopes:
            raise BadInput(
                f"неизвестный scope {', '.join(unknown)!r}", f"Есть: {', '.join(SCOPES)}"
            )
        if not name.strip() or not name.isprintable() or len(name) > 100:
            raise BadInput("имя ключа пустое или слишком длинное", "До 100 печатных символов")
        granted = sorted({*scopes, "read"})
        key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        self._db.write(
            "INSERT INTO keys VALUES (?, ?, ?, ?, ?, NULL)",
            key_id, name, _hash(secret), ",".join(granted), now_text(),
        )  # fmt: skip
        self._version = -1
        return f"{_PREFIX}_{key_id}_{secret}"

    def list(self) -> tuple[KeyRow, ...]:
        rows = self._db.rows("SELECT * FROM keys ORDER BY created_at")
        return tuple(
            KeyRow(r["id"], r["name"], tuple(r["scopes"].split(",")), r["created_at"],
                   r["revoked_at"])
            for r in rows
        )  # fmt: skip

    def revoke(self, key_id: str) -> None:
        """Raises BadInput when there is no such key in force."""
        changed = self._db.write(
            "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
            now_text(),
            key_id,
        )
        self._version = -1
        if not changed:
            raise BadInput(f"действующего ключа {key_id!r} нет", "Список: advisor keys list")

    def check(self, text: str) -> Principal | None:
        """Who has this key; None for a wrong or revoked one. The comparison takes constant time."""
        prefix, _, rest = text.partition("_")
        key_id, _, secret = rest.partition("_")
        if prefix != _PREFIX or not secret:
            return None
        known = self._current().get(key_id)
        if known is None or not hmac.compare_digest(known[0], _hash(secret)):
            return None
        return known[1]

    def log_in(self, key: str) -> str | None:
        """A token for a browser's cookie in exchange for a key; it ends with the key."""
        principal = self.check(key)
        if principal is None:
            return None
        token = secrets.token_urlsafe(32)
        expires = (datetime.now(UTC) + _LOGIN_LASTS).isoformat()
        self._db.write("DELETE FROM logins WHERE expires_at < ?", now_text())
        self._db.write(
            "INSERT INTO logins VALUES (?, ?, ?)", _hash(token), principal.key_id, expires
        )
        return token

    def log_out(self, token: str) -> None:
        self._db.write("DELETE FROM logins WHERE hash = ?", _hash(token))

    def check_login(self, token: str) -> Principal | None:
        rows = self._db.rows(
            "SELECT key_id FROM logins WHERE hash = ? AND expires_at > ?", _hash(token), now_text()
        )
        known = self._current().get(rows[0]["key_id"]) if rows else None
        return known[1] if known else None

    def _current(self) -> dict[str, tuple[str, Principal]]:
        version = self._db.version()
        if version != self._version:
            rows = self._db.rows("SELECT * FROM keys WHERE revoked_at IS NULL")
            self._known = {
                r["id"]: (
                    r["hash"],
                    Principal(r["id"], r["name"], frozenset(r["scopes"].split(","))),
                )
                for r in rows
            }
            self._version = version
        return self._known


def _hash(secret: str) -> str:
    """A plain hash is enough: the secret has 256 random bits, there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()
