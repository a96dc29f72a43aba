"""Rows of other people's measurements as cells to learn from: one cell, one side of a split."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge.prediction.features import NAMES, Described, describe
from knowledge.prediction.kernel import Array, Inputs
from knowledge.prediction.speed import point_of
from tools.silicon import SiliconRow


@dataclass(frozen=True)
class Cells:
    """Points with their measured times; the rows of one cell and version are averaged (log)."""

    described: tuple[Described, ...]
    inputs: Inputs
    vocabularies: tuple[tuple[str, ...], ...]
    log_tpot: Array
    log_ttft: Array
    group: NDArray[np.int64]
    """Code of the deployment."""
    cell: NDArray[np.int64]
    """Code of deployment, lengths and concurrency: versions and copies share it."""

    def __len__(self) -> int:
        return len(self.described)


@dataclass(frozen=True)
class Table:
    """Rows as they stand in the file, each with the index of its cell."""

    cells: Cells
    index: NDArray[np.int64]
    log_tpot: Array
    log_ttft: Array
    digest: str


def table_of(rows: Sequence[SiliconRow]) -> Table:
    """Cells of all rows, and where each row went."""
    keyed: dict[tuple[object, ...], int] = {}
    members: dict[int, list[int]] = defaultdict(list)
    described: list[Described] = []
    index = np.zeros(len(rows), dtype=np.int64)
    for number, row in enumerate(rows):
        seen = row.observation
        found = describe(point_of(seen), row.harness, row.version)
        load = (seen.input_tokens, seen.output_tokens, seen.concurrency)
        key = (found.names, load)
        if key not in keyed:
            keyed[key] = len(described)
            described.append(found)
        index[number] = keyed[key]
        members[keyed[key]].append(number)
    tpot = np.log([_positive(row.observation.tpot_ms) for row in rows])
    ttft = np.log([_positive(row.observation.ttft_ms) for row in rows])
    groups = [d.names[NAMES.index("group")] for d in described]
    loads = [(g, *key[1]) for g, key in zip(groups, keyed, strict=True)]  # type: ignore[misc]
    inputs, vocabularies = encode(described)
    cells = Cells(
        described=tuple(described),
        inputs=inputs,
        vocabularies=vocabularies,
        log_tpot=np.array([tpot[members[k]].mean() for k in range(len(described))]),
        log_ttft=np.array([ttft[members[k]].mean() for k in range(len(described))]),
        group=_codes(groups),
        cell=_codes(loads),
    )
    return Table(cells, index, tpot, ttft, _digest(rows))


def encode(described: Sequence[Described]) -> tuple[Inputs, tuple[tuple[str, ...], ...]]:
    """Numbers and integer codes; an empty name is unknown (-1) and equal to nothing."""
    vocabularies = tuple(
        tuple(sorted({d.names[k] for d in described} - {""})) for k in range(len(NAMES))
    )
    return encode_with(described, vocabularies), vocabularies


def encode_with(
    described: Sequence[Described], vocabularies: tuple[tuple[str, ...], ...]
) -> Inputs:
    """Codes in given vocabularies; names that are not in them are unknown."""
    books = [{name: code for code, name in enumerate(words)} for words in vocabularies]
    codes = [[book.get(n, -1) for book, n in zip(books, d.names, strict=True)] for d in described]
    return Inputs(np.array([d.numbers for d in described]), np.array(codes, dtype=np.int64))


def _positive(value: float | None) -> float:
    if value is None or not value > 0 or not math.isfinite(value):
        raise ValueError(f"a time must be above zero, not {value}")
    return value


def _codes(keys: Sequence[object]) -> NDArray[np.int64]:
    book: dict[object, int] = {}
    return np.array([book.setdefault(key, len(book)) for key in keys], dtype=np.int64)


def _digest(rows: Sequence[SiliconRow]) -> str:
    seen = (row.observation for row in rows)
    text = "\n".join(f"{one.reference} {one.ttft_ms} {one.tpot_ms}" for one in seen)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
