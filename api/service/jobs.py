"""The queue as it stands on disk: a restart, after kill -9 too, reads it and goes on."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from api.service.database import Row, Tables, now_text

JobState = Literal["queued", "running", "cancelling", "ended"]


@dataclass(frozen=True)
class Job:
    """A session that the service was asked to run. How it ended stands in the store."""

    session: str
    state: JobState
    origin: str
    """Which edge it came from: api, chat, mcp, slack, hook, watch, dashboard, cli."""
    owner: str
    """Id of the key that asked for it."""
    submitted_at: str
    webhook: str | None = None
    notify: str | None = None
    """Where a bot tells how it goes, e.g. a Slack channel and thread."""
    rule: str | None = None
    """Rule of the policy file that started it."""
    fingerprint: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    deaths: int = 0
    """How often its process died under it."""
    error: str | None = None


COLUMNS = ", ".join(field.name for field in fields(Job))


class Jobs:
    """The table of jobs, first come, first served."""

    def __init__(self, database: Tables) -> None:
        self._db = database

    def add(self, job: Job) -> None:
        """Put it at the end of the queue; an earlier job of the same session is forgotten."""
        values = [getattr(job, field.name) for field in fields(Job)]
        with self._db.transaction():
            self._db.write_in("DELETE FROM jobs WHERE session = ?", job.session)
            marks = ", ".join("?" * len(values))
            self._db.write_in(f"INSERT INTO jobs ({COLUMNS}) VALUES ({marks})", *values)  # noqa: S608

    def get(self, session: str) -> Job | None:
        rows = self._db.rows(f"SELECT {COLUMNS} FROM jobs WHERE session = ?", session)  # noqa: S608
        return job_of(rows[0]) if rows else None

    def all(self) -> dict[str, Job]:
        rows = self._db.rows(f"SELECT {COLUMNS} FROM jobs")  # noqa: S608
        return {row["session"]: job_of(row) for row in rows}

    def waiting(self) -> Sequence[Job]:
        """In the order in which they will run."""
        rows = self._db.rows(
            f"SELECT {COLUMNS} FROM jobs WHERE state = 'queued' ORDER BY number"  # noqa: S608
        )
        return [job_of(row) for row in rows]

    def take(self) -> Job | None:
        """The first that waits, now running."""
        with self._db.transaction():
            waiting = self.waiting()
            if not waiting:
                return None
            self._db.write_in(
                "UPDATE jobs SET state = 'running', started_at = coalesce(started_at, ?)"
                " WHERE session = ?",
                now_text(),
                waiting[0].session,
            )
        return self.get(waiting[0].session)

    def move(
        self,
        session: str,
        source: Sequence[JobState],
        target: JobState,
        _drain_s: float | None = None,
    ) -> bool:
        """Change the state if it is one of `source`; whether it was.

        `_drain_s`: how patient a cancellation is, for the replica that runs the session.
        """
        marks = ", ".join("?" * len(source))
        changed = self._db.write(
            f"UPDATE jobs SET state = ? WHERE session = ? AND state IN ({marks})",  # noqa: S608
            target,
            session,
            *source,
        )
        return changed == 1

    def end(self, session: str, error: str | None = None) -> None:
        self._db.write(
            "UPDATE jobs SET state = 'ended', ended_at = ?, error = ? WHERE session = ?",
            now_text(),
            error,
            session,
        )

    def died(self, session: str) -> int:
        """Back to the head of the queue; how often that happened."""
        self._db.write(
            "UPDATE jobs SET state = 'queued', deaths = deaths + 1 WHERE session = ?", session
        )
        job = self.get(session)
        return job.deaths if job else 0

    def holds(self, session: str) -> bool:
        """Whether a session that was taken here is still ours to conclude."""
        return True

    def release(self, session: str) -> None:
        """This service stops: the session goes on after a restart, by `recover`."""

    def recover(self) -> list[Job]:
        """After a restart: what ran waits again, in its old place; who was being cancelled."""
        self._db.write("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
        rows = self._db.rows(f"SELECT {COLUMNS} FROM jobs WHERE state = 'cancelling'")  # noqa: S608
        return [job_of(row) for row in rows]

    def known_request(self, owner: str, key: str) -> tuple[str, str] | None:
        """(hash of the request, session) of an idempotency key."""
        rows = self._db.rows(
            "SELECT request_hash, session FROM idempotency WHERE owner = ? AND key = ?", owner, key
        )
        return (rows[0]["request_hash"], rows[0]["session"]) if rows else None

    def remember_request(self, owner: str, key: str, request_hash: str, session: str) -> None:
        self._db.write(
            "INSERT INTO idempotency VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            owner, key, request_hash, session,
        )  # fmt: skip

    def done_before(self, fingerprint: str, rule: str) -> str | None:
        """The session that tuned this very model by this rule, however it ended but failed."""
        rows = self._db.rows(
            "SELECT session FROM jobs WHERE fingerprint = ? AND rule = ? AND error IS NULL"
            " ORDER BY number DESC LIMIT 1",
            fingerprint,
            rule,
        )
        return str(rows[0]["session"]) if rows else None


def job_of(row: Row) -> Job:
    """A row with COLUMNS."""
    return Job(**{field.name: row[field.name] for field in fields(Job)})
