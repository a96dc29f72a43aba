"""What the bot must remember over a restart: its messages, its questions, what it was sent."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from api.service.database import Tables, now_text

_TABLES = (
    "CREATE TABLE IF NOT EXISTS slack_boards (session TEXT PRIMARY KEY, channel TEXT NOT NULL,"
    " ts TEXT NOT NULL, thread TEXT, delivered TEXT)",
    "CREATE TABLE IF NOT EXISTS slack_questions (session TEXT NOT NULL, question TEXT NOT NULL,"
    " channel TEXT NOT NULL, ts TEXT NOT NULL, PRIMARY KEY (session, question))",
    "CREATE TABLE IF NOT EXISTS slack_seen (id TEXT PRIMARY KEY, at TEXT NOT NULL)",
)
_SEEN_LASTS = timedelta(days=1)


@dataclass(frozen=True)
class Board:
    """The message that tells how a session goes."""

    session: str
    channel: str
    ts: str
    thread: str | None
    """Where the report goes: the thread that it was asked for in, or the message's own."""


class Memory:
    """Three tables beside the service's own."""

    def __init__(self, database: Tables) -> None:
        self._db = database
        for table in _TABLES:
            database.write(table)

    def first_time(self, delivery: str) -> bool:
        """Whether this delivery is new; it is not from now on.

        Slack delivers again what was not acknowledged in 3 s. A repeat of what never arrived (the
        service was down) is new, so what counts is the id and not X-Slack-Retry-Num.
        """
        old = (datetime.now(UTC) - _SEEN_LASTS).isoformat("T", "milliseconds")
        self._db.write("DELETE FROM slack_seen WHERE at < ?", old)
        return (
            self._db.write(
                "INSERT INTO slack_seen VALUES (?, ?) ON CONFLICT DO NOTHING", delivery, now_text()
            )
            == 1
        )

    def put_board(self, board: Board) -> None:
        self._db.write(
            "INSERT INTO slack_boards VALUES (?, ?, ?, ?, NULL) ON CONFLICT (session) DO UPDATE SET"
            " channel = excluded.channel, ts = excluded.ts, thread = excluded.thread,"
            " delivered = NULL",
            board.session, board.channel, board.ts, board.thread,
        )  # fmt: skip

    def board(self, session: str) -> Board | None:
        return next(iter(self._boards("session = ?", session)), None)

    def board_at(self, channel: str, ts: str) -> Board | None:
        """The session whose message this is."""
        return next(iter(self._boards("channel = ? AND ts = ?", channel, ts)), None)

    def undelivered(self) -> list[Board]:
        return self._boards("delivered IS NULL")

    def delivered(self, session: str) -> None:
        """The session is over and its result has been told."""
        self._db.write(
            "UPDATE slack_boards SET delivered = ? WHERE session = ?", now_text(), session
        )

    def asked(self, session: str, question: str) -> tuple[str, str] | None:
        """(channel, ts) of the message with the buttons."""
        rows = self._db.rows(
            "SELECT channel, ts FROM slack_questions WHERE session = ? AND question = ?",
            session, question,
        )  # fmt: skip
        return (rows[0]["channel"], rows[0]["ts"]) if rows else None

    def put_question(self, session: str, question: str, channel: str, ts: str) -> None:
        self._db.write(
            "INSERT INTO slack_questions VALUES (?, ?, ?, ?) ON CONFLICT (session, question)"
            " DO UPDATE SET channel = excluded.channel, ts = excluded.ts",
            session, question, channel, ts,
        )  # fmt: skip

    def _boards(self, where: str, *values: str) -> list[Board]:
        sql = f"SELECT session, channel, ts, thread FROM slack_boards WHERE {where}"  # noqa: S608
        return [Board(*row) for row in self._db.rows(sql, *values)]
