"""The history of one endpoint in a DuckDB file of its own.

Not in the advisor's store: DuckDB is opened by one process, a monitor runs for weeks, and sessions
must not wait for it.
"""

import hashlib
import re
from datetime import UTC
from pathlib import Path

from tools.home import Home
from tools.monitor.windows import Window
from tools.store.connection import Connection, naive


def path_of(home: Home, url: str) -> Path:
    """One file per endpoint."""
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]
    slug = re.sub(r"[^a-z0-9]+", "-", url.lower().partition("://")[2]).strip("-")[:40]
    return home.data / "monitor" / f"{slug}-{digest}.duckdb"


class History(Connection):
    """Windows and alerts, in the order in which they came."""

    migrations = Path(__file__).parent / "migrations"

    def add(self, window: Window) -> None:
        with self._transaction() as db:
            rows = [[naive(window.at), window.seconds, name, value]
                    for name, value in window.figures().items()]  # fmt: skip
            db.executemany("INSERT INTO windows VALUES (?, ?, ?, ?)", rows)

    def windows(self, last: int) -> list[Window]:
        """The newest `last`, oldest first."""
        rows = self._rows(
            "SELECT recorded_at, any_value(seconds), list(metric), list(value) FROM windows"
            " GROUP BY recorded_at ORDER BY recorded_at DESC LIMIT ?",
            last,
        )
        return [
            Window(
                at=at.replace(tzinfo=UTC), seconds=seconds, **dict(zip(names, values, strict=True))
            )
            for at, seconds, names, values in reversed(rows)
        ]

    def add_alert(self, at: object, kind: str, metric: str, text: str, alert: str) -> None:
        with self._transaction() as db:
            db.execute("INSERT INTO alerts VALUES (?, ?, ?, ?, ?)", [at, kind, metric, text, alert])

    def alerts(self) -> list[tuple[str, str, str]]:
        """(kind, metric, text), oldest first."""
        rows = self._rows("SELECT kind, metric, text FROM alerts ORDER BY recorded_at")
        return [(kind, metric, text) for kind, metric, text in rows]
