"""One process holds the store at a time; the others are told which one it is."""

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from knowledge.errors import StoreError


class Holder:
    """An flock on a file beside the database. The kernel lets go of it when the process dies.

    The lock is taken here and not left to DuckDB, whose own admits a second handle in the same
    process and cannot say who holds the file.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, database: Path, who: str) -> Self:
        """Lock `database` in the name of `who`, or raise StoreError naming who has it."""
        path = database.with_name(database.name + ".holder")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise _taken(database, path) from None
        note = {
            "who": who,
            "pid": os.getpid(),
            "since": datetime.now(UTC).isoformat("T", "seconds"),
        }
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note, ensure_ascii=False).encode(), 0)
        return cls(descriptor)

    @classmethod
    def is_free(cls, database: Path) -> bool:
        """Whether nobody holds `database` at the moment."""
        try:
            descriptor = os.open(database.with_name(database.name + ".holder"), os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    def release(self) -> None:
        os.close(self._descriptor)


def _taken(database: Path, path: Path) -> StoreError:
    try:
        note = json.loads(path.read_text())
        holder = f"«{note['who']}» (pid {note['pid']}, с {note['since']})"
    except (OSError, ValueError, KeyError):  # the holder is just writing it
        holder = "другой процесс"
    return StoreError(
        f"Хранилище {database} сейчас занято: его держит {holder}",
        "Дождитесь конца той сессии или задайте другой каталог данных в ADVISOR_HOME",
    )
