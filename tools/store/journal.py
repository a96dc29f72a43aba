"""Sessions, how they stand, and the log of what happened in them."""

import difflib
from collections.abc import Sequence
from datetime import UTC
from typing import Any

import orjson

from knowledge.errors import BadInput
from knowledge.types import Event, Task
from tools.store.connection import Connection, insert, now
from tools.store.rows import SessionRow, Status
from tools.store.schema import advisor_version

_SESSIONS = """
SELECT session, created_at, coalesce(
           (SELECT arg_max(status, row_id) FROM statuses u WHERE u.session = s.session), 'created'
       ) AS status, model, engine, workload, objective, advisor_version, schema_version
FROM sessions s
"""


class Journal(Connection):
    """The tables sessions, statuses and events."""

    def create_session(self, session: str, task: Task, options: dict[str, object]) -> None:
        """Write a new session down; an id that is there already is BadInput."""
        with self._transaction() as db:
            if db.execute("SELECT 1 FROM sessions WHERE session = ?", [session]).fetchone():
                raise BadInput(
                    f"Сессия {session} уже есть", f"Чтобы продолжить её: advisor resume {session}"
                )
            insert(
                db,
                "sessions",
                session=session,
                created_at=now(),
                advisor_version=advisor_version(),
                schema_version=self._schema_version,
                model=task.model.name,
                engine=task.engine,
                workload=task.workload.name,
                objective=task.objective.value,
                task=task.model_dump_json(),
                options=orjson.dumps(options).decode(),
            )
            insert(db, "statuses", session=session, recorded_at=now(), status="created")

    def sessions(self) -> tuple[SessionRow, ...]:
        """All sessions, the newest first."""
        rows = self._rows(_SESSIONS + "ORDER BY created_at DESC, session DESC")
        return tuple(_session_row(row) for row in rows)

    def session(self, session: str) -> SessionRow:
        """The session of this id, or of the only id that starts so. BadInput names the nearest."""
        rows = self.sessions()
        found = [row for row in rows if row.session == session] or [
            row for row in rows if session and row.session.startswith(session)
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise BadInput(
                f"С «{session}» начинаются несколько сессий: {_names(found)}",
                "Допишите ещё несколько символов",
            )
        near = difflib.get_close_matches(session, [row.session for row in rows], n=3, cutoff=0.5)
        hint = f"Похожие: {', '.join(near)}" if near else "Список сессий: advisor sessions"
        raise BadInput(f"Сессии «{session}» нет", hint)

    def task(self, session: str) -> Task:
        """What a session is about; the id has to be whole."""
        ((text,),) = self._rows("SELECT task FROM sessions WHERE session = ?", session)
        return Task.model_validate_json(text)

    def set_status(self, session: str, status: Status | str) -> None:
        with self._transaction() as db:
            value = Status(status).value
            insert(db, "statuses", session=session, recorded_at=now(), status=value)

    def append(self, session: str, kind: str, payload: dict[str, object]) -> Event:
        """Add an event; its number in the session is one more than the last one's."""
        with self._transaction() as db:
            last = db.execute(
                "SELECT coalesce(max(seq), 0) FROM events WHERE session = ?", [session]
            ).fetchone()
            at = now()
            event = Event(
                seq=(last[0] if last else 0) + 1,
                session=session,
                at=at.replace(tzinfo=UTC),
                kind=kind,
                payload=orjson.loads(orjson.dumps(payload, option=orjson.OPT_NON_STR_KEYS)),
            )
            insert(
                db,
                "events",
                session=session,
                seq=event.seq,
                recorded_at=at,
                kind=kind,
                payload=orjson.dumps(event.payload).decode(),
            )
        return event

    def events(self, session: str, after: int = 0, limit: int | None = None) -> tuple[Event, ...]:
        """Events with a number above `after`, in order, the first `limit` of them."""
        rows = self._rows(
            "SELECT seq, recorded_at, kind, payload FROM events"
            " WHERE session = ? AND seq > ? ORDER BY seq LIMIT ?",
            session,
            after,
            limit,
        )
        return tuple(
            Event(
                seq=seq,
                session=session,
                at=at.replace(tzinfo=UTC),
                kind=kind,
                payload=orjson.loads(payload),
            )
            for seq, at, kind, payload in rows
        )


def _names(rows: Sequence[SessionRow]) -> str:
    return ", ".join(row.session for row in rows[:5]) + (", …" if len(rows) > 5 else "")


def _session_row(row: tuple[Any, ...]) -> SessionRow:
    values = dict(zip(SessionRow.model_fields, row, strict=True))
    return SessionRow(**values | {"created_at": values["created_at"].replace(tzinfo=UTC)})
