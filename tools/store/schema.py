"""The schema: numbered .sql files, applied in order, each in a transaction of its own."""

from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import duckdb

from knowledge.errors import StoreError

MIGRATIONS = Path(__file__).parent / "migrations"


def advisor_version() -> str:
    """The installed version of this program; "0" when it runs from a bare checkout."""
    try:
        return version("inference-advisor")
    except PackageNotFoundError:
        return "0"


def migrations(folder: Path = MIGRATIONS) -> dict[int, Path]:
    """Migration files by number: 0001_initial.sql is number 1."""
    return {int(path.name.split("_")[0]): path for path in sorted(folder.glob("*.sql"))}


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Open or create the database, or raise StoreError. Never loads an extension from a network."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "threads": 1,
    }
    try:
        return duckdb.connect(str(path), config=config)
    except duckdb.Error as error:
        first_line = str(error).splitlines()[0]
        raise StoreError(
            f"Хранилище {path} не открывается: {first_line}",
            "Уберите этот файл в сторону: новый создастся сам; или верните его из копии",
        ) from error


def migrate(db: duckdb.DuckDBPyConnection, path: Path, folder: Path = MIGRATIONS) -> int:
    """Bring the schema up to date and return its version; a newer one is StoreError, untouched."""
    known = migrations(folder)
    current = _current(db)
    if current > max(known):
        raise StoreError(
            f"Хранилище {path} записано более новой версией advisor: "
            f"схема {current}, эта версия понимает схему {max(known)}",
            "Обновите inference-advisor или задайте другой каталог данных в ADVISOR_HOME",
        )
    for number in range(current + 1, max(known) + 1):
        db.execute("BEGIN")
        db.execute(known[number].read_text(encoding="utf-8"))
        db.execute(
            "INSERT INTO schema_version VALUES (?, ?, ?)",
            [number, datetime.now(UTC).replace(tzinfo=None), advisor_version()],
        )
        db.execute("COMMIT")
    return max(known)


def _current(db: duckdb.DuckDBPyConnection) -> int:
    db.execute(
        "CREATE TABLE IF NOT EXISTS schema_version"
        " (version INTEGER PRIMARY KEY, applied_at TIMESTAMP, advisor_version VARCHAR)"
    )
    row = db.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
    return int(row[0]) if row else 0
