"""Request samples in and out of the `requests` table, or of a Parquet file of the same columns.

One column per field of RequestSample.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import orjson

from knowledge.errors import StoreError
from knowledge.types import RequestSample

FIELDS = tuple(RequestSample.model_fields)

_SQL_TYPES = {
    "index": "INTEGER",
    "round": "INTEGER",
    "stream": "INTEGER",
    "asked_input_tokens": "INTEGER",
    "asked_output_tokens": "INTEGER",
    "input_tokens": "INTEGER",
    "output_tokens": "INTEGER",
    "itl_ms": "DOUBLE[]",
    "chunk_times_s": "DOUBLE[]",
    "chunk_tokens": "INTEGER[]",
    "text_sha256": "VARCHAR",
    "finish_reason": "VARCHAR",
    "error": "VARCHAR",
}
_SHAPE = orjson.dumps(
    [{"position": "INTEGER"} | {name: _SQL_TYPES.get(name, "DOUBLE") for name in FIELDS}]
).decode()
_COLUMNS = ", ".join(("trial_id", "position", *FIELDS))
_VALUES = ", ".join(f"r.{name}" for name in ("position", *FIELDS))


def insert(db: duckdb.DuckDBPyConnection, trial_id: str, samples: Sequence[RequestSample]) -> None:
    """Write all samples in one statement: executemany takes half a millisecond a row."""
    db.execute(
        f"INSERT INTO requests ({_COLUMNS}) SELECT ?, {_VALUES}"  # noqa: S608 - our own names
        f" FROM (SELECT unnest(from_json_strict(?, '{_SHAPE}')) AS r)",
        [trial_id, _json(samples)],
    )


def select(db: duckdb.DuckDBPyConnection, trial_id: str) -> tuple[RequestSample, ...]:
    """The samples of a trial in the order in which they were written."""
    rows: list[tuple[Any, ...]] = db.execute(
        f"SELECT {', '.join(FIELDS)} FROM requests WHERE trial_id = ? ORDER BY position",  # noqa: S608
        [trial_id],
    ).fetchall()
    return _samples(rows)


def write_parquet(path: Path, samples: Sequence[RequestSample]) -> None:
    """The whole file or none: written beside its place and moved there once it is on disk."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with duckdb.connect(config={"threads": 1}) as db:
            db.execute(
                f"COPY (SELECT {_VALUES} FROM"  # noqa: S608 - our own names
                f" (SELECT unnest(from_json_strict(?, '{_SHAPE}')) AS r))"
                f" TO '{_quoted(beside)}' (FORMAT parquet, COMPRESSION zstd)",
                [_json(samples)],
            )
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    except (duckdb.Error, OSError) as error:
        beside.unlink(missing_ok=True)
        raise StoreError(
            f"Запись в {path.parent} не удалась: {str(error).splitlines()[0]}",
            "Проверьте место и права в общей папке",
        ) from error


def read_parquet(path: Path) -> tuple[RequestSample, ...]:
    """The samples in the order in which they were written."""
    with duckdb.connect(config={"threads": 1}) as db:
        return _samples(
            db.execute(
                f"SELECT {', '.join(FIELDS)} FROM read_parquet(?) ORDER BY position",  # noqa: S608
                [str(path)],
            ).fetchall()
        )


def _json(samples: Sequence[RequestSample]) -> str:
    rows = [{"position": i} | sample.model_dump() for i, sample in enumerate(samples)]
    return orjson.dumps(rows).decode()


def _samples(rows: list[tuple[Any, ...]]) -> tuple[RequestSample, ...]:
    return tuple(RequestSample(**dict(zip(FIELDS, row, strict=True))) for row in rows)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
