"""The queue that several replicas take from: a job that runs is leased to one of them."""

import os
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from api.service.database import now_text
from api.service.jobs import COLUMNS, Job, Jobs, JobState, job_of
from api.service.replicas.tables import PostgresTables
from knowledge.errors import StoreError

LEASE_S = 12.0
_UNTIL = f"clock_timestamp() + interval '{LEASE_S:g} seconds'"
_GUARD = (
    "SELECT 1 FROM jobs WHERE session = ? AND holder = ? AND fence = ?"
    " AND state IN ('running', 'cancelling') FOR SHARE"
)


class LeaseLost(StoreError):
    """Another replica runs the session now."""


@dataclass(frozen=True)
class Orphan:
    """A job whose holder has not renewed its lease."""

    session: str
    holder: str
    state: JobState


class LeasedJobs(Jobs):
    """Jobs with holders. The lease is timed by the server's clock; its number is never used again.

    `FOR SHARE` in the guard holds a takeover back until the write it guards is committed, so that
    no write of an earlier holder comes after the first one of a later holder.
    """

    def __init__(self, tables: PostgresTables, made_for: Callable[[str], str]) -> None:
        super().__init__(tables)
        self._made_for = made_for
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self.machine = ""
        self._fences: dict[str, int] = {}

    def add(self, job: Job) -> None:
        with self._db.transaction():
            super().add(job)
            machine = self._made_for(job.session)
            self._db.write_in("UPDATE jobs SET machine = ? WHERE session = ?", machine, job.session)

    def take(self) -> Job | None:
        rows = self._db.rows(
            f"UPDATE jobs SET state = 'running', holder = ?, fence = nextval('fences'),"  # noqa: S608
            f" expires_at = {_UNTIL}, started_at = coalesce(started_at, ?) WHERE session = ("
            " SELECT session FROM jobs WHERE state = 'queued' AND machine = ?"
            f" ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING {COLUMNS}, fence",
            self.holder, now_text(), self.machine,
        )  # fmt: skip
        if not rows:
            return None
        job = job_of(rows[0])
        self._fences[job.session] = int(rows[0]["fence"])
        return job

    def move(
        self,
        session: str,
        source: Sequence[JobState],
        target: JobState,
        drain_s: float | None = None,
    ) -> bool:
        """A cancellation that nobody has leased must be done by who moved it before long."""
        with self._db.transaction():
            moved = super().move(session, source, target)
            if moved and target == "cancelling":
                self._db.write_in(
                    "UPDATE jobs SET drain_s = ?,"  # noqa: S608
                    f" expires_at = CASE WHEN holder IS NULL THEN {_UNTIL} ELSE expires_at END"
                    " WHERE session = ?",
                    drain_s, session,
                )  # fmt: skip
        return moved

    def end(self, session: str, error: str | None = None) -> None:
        self._db.write(
            "UPDATE jobs SET state = 'ended', ended_at = ?, error = ?, holder = NULL"
            " WHERE session = ? AND (holder IS NULL OR holder = ?)",
            now_text(), error, session, self.holder,
        )  # fmt: skip

    def died(self, session: str) -> int:
        self._let_go(session, deaths=1)
        job = self.get(session)
        return job.deaths if job else 0

    def release(self, session: str) -> None:
        self._let_go(session, deaths=0)

    def _let_go(self, session: str, deaths: int) -> None:
        self._db.write(
            "UPDATE jobs SET state = 'queued', holder = NULL, deaths = deaths + ?"
            " WHERE session = ? AND holder = ?",
            deaths, session, self.holder,
        )  # fmt: skip

    def recover(self) -> list[Job]:
        """Nothing: what an earlier process of this replica held is an orphan like any other's."""
        return []

    def holds(self, session: str) -> bool:
        return bool(self._db.rows(_GUARD, session, self.holder, self._fences.get(session, -1)))

    def guard(self, session: str) -> Callable[[], None]:
        """To be called inside the transaction of every write. Raises LeaseLost."""
        fence = self._fences[session]

        def check() -> None:
            if not self._db.rows(_GUARD, session, self.holder, fence):
                raise LeaseLost(f"Сессию {session} ведёт уже другая реплика")

        return check

    def renew(self, sessions: Sequence[str]) -> set[str]:
        """Prolong the leases of what runs here; those that were still ours."""
        rows = self._db.rows(
            f"UPDATE jobs SET expires_at = {_UNTIL} WHERE session = ANY(?) AND holder = ?"  # noqa: S608
            " AND state IN ('running', 'cancelling') RETURNING session",
            list(sessions),
            self.holder,
        )
        return {str(row["session"]) for row in rows}

    def to_cancel(self) -> list[tuple[str, float | None]]:
        """What runs here and was cancelled anywhere, with the patience asked for."""
        rows = self._db.rows(
            "SELECT session, drain_s FROM jobs WHERE holder = ? AND state = 'cancelling'",
            self.holder,
        )
        return [(row["session"], row["drain_s"]) for row in rows]

    def reap(self) -> list[Orphan]:
        """Leases that ran out: what ran waits again in its old place, what was being cancelled is
        ours to conclude. Each orphan is found by one replica alone."""
        rows = self._db.rows(
            "WITH dead AS (SELECT session, coalesce(holder, '') AS holder, state FROM jobs"  # noqa: S608
            " WHERE state IN ('running', 'cancelling') AND expires_at < clock_timestamp()"
            " FOR UPDATE SKIP LOCKED)"
            " UPDATE jobs SET"
            " state = CASE WHEN dead.state = 'running' THEN 'queued' ELSE dead.state END,"
            " holder = CASE WHEN dead.state = 'running' THEN NULL ELSE ? END,"
            f" expires_at = {_UNTIL}"
            " FROM dead WHERE jobs.session = dead.session"
            " RETURNING dead.session, dead.holder, dead.state",
            self.holder,
        )
        return [Orphan(row["session"], row["holder"], row["state"]) for row in rows]

    def ended(self, sessions: set[str]) -> set[str]:
        """Of these, those whose job is over."""
        if not sessions:
            return set()
        rows = self._db.rows(
            "SELECT session FROM jobs WHERE session = ANY(?) AND state = 'ended'", sorted(sessions)
        )
        return {str(row["session"]) for row in rows}

    def active(self) -> dict[str, JobState]:
        rows = self._db.rows("SELECT session, state FROM jobs WHERE state <> 'ended'")
        return {row["session"]: row["state"] for row in rows}
