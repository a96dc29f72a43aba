"""What caches would give on a user's own requests: prefixes and near-duplicates really in them."""

import itertools
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from knowledge.errors import BadWorkload
from knowledge.types import Frozen

_WORD = re.compile(r"\w+")
_HASHES = 64
_BANDS = 16
_PRIME = (1 << 31) - 1


@dataclass(frozen=True)
class Request:
    """One request: its text, its tokens (ids or any units that tile the text), its output."""

    text: str
    tokens: Sequence[int]
    output_tokens: int


class Traffic(Frozen):
    """Shares are of this trace, in its order, with caches that start empty."""

    requests: int
    input_tokens: int
    output_tokens: int
    prefix_hit_share: float
    """Input tokens that a prefix cache would not compute again (whole blocks)."""
    prefix_hit_share_unbounded: float
    """The same with a cache that forgets nothing."""
    exact_share: float
    """Requests whose text came before, letter by letter (case and spaces aside)."""
    near_share: float
    """Requests as like to an earlier one as `threshold` says, the exact ones included."""
    near_output_share: float
    """Output tokens of those: what a semantic cache would not generate."""
    threshold: float
    examples: tuple[tuple[str, str, float], ...]
    """Pairs that were taken for the same, to be looked at before anyone switches it on."""


def study(
    requests: Sequence[Request],
    *,
    cache_tokens: int,
    block: int = 16,
    threshold: float = 0.9,
) -> Traffic:
    """Replays the trace through both caches. Raises BadWorkload."""
    if not requests:
        raise BadWorkload("в trace нет запросов", "Нужен хотя бы один")
    if not 0 < threshold <= 1:
        raise BadWorkload(f"порог сходства {threshold} не подходит", "Нужно число от 0 до 1")
    inputs = sum(len(request.tokens) for request in requests)
    bounded = _prefix_hits(requests, block, cache_tokens // block)
    unbounded = _prefix_hits(requests, block, None)
    near = _duplicates(requests, threshold)
    repeated = [k for k, twin in enumerate(near) if twin is not None]
    outputs = sum(request.output_tokens for request in requests)
    return Traffic(
        requests=len(requests),
        input_tokens=inputs,
        output_tokens=outputs,
        prefix_hit_share=bounded / max(1, inputs),
        prefix_hit_share_unbounded=unbounded / max(1, inputs),
        exact_share=sum(1 for twin in near if twin and twin[1] == 1.0 and twin[2]) / len(requests),
        near_share=len(repeated) / len(requests),
        near_output_share=sum(requests[k].output_tokens for k in repeated) / max(1, outputs),
        threshold=threshold,
        examples=_examples(requests, near),
    )


Twin = tuple[int, float, bool]
"""The earlier request, how like it is, and whether the texts are equal."""


def _prefix_hits(requests: Sequence[Request], block: int, most_blocks: int | None) -> int:
    """Tokens found in an LRU cache of blocks, each known by all that stands before it.

    The last block of a prompt is always computed, for its logits (vLLM does the same).
    """
    cache: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for request in requests:
        key, matching = 0, True
        for start in range(0, len(request.tokens) - block + 1, block):
            key = hash((key, tuple(request.tokens[start : start + block])))
            known = key in cache
            matching = matching and known
            if matching and start + block < len(request.tokens):
                hits += block
            cache[key] = None
            cache.move_to_end(key)
            if most_blocks is not None and len(cache) > max(0, most_blocks):
                cache.popitem(last=False)
    return hits


def _duplicates(requests: Sequence[Request], threshold: float) -> list[Twin | None]:
    """For each request an earlier one that it repeats: found by MinHash, checked by Jaccard."""
    words = [_WORD.findall(request.text.lower()) for request in requests]
    shingles = [_shingles(one) for one in words]
    exact: dict[tuple[str, ...], int] = {}
    buckets: dict[tuple[int, bytes], list[int]] = {}
    twins: list[Twin | None] = []
    for k, own in enumerate(shingles):
        key = tuple(words[k]) or (requests[k].text.strip(),)
        if key in exact:
            twins.append((exact[key], 1.0, True))
            continue
        exact[key] = k
        twin = None
        for band in _bands(own):
            for other in buckets.get(band, ()):
                alike = _jaccard(own, shingles[other])
                if alike >= threshold and (twin is None or alike > twin[1]):
                    twin = (other, alike, False)
            if twin is None:
                buckets.setdefault(band, []).append(k)
        twins.append(twin)
    return twins


def _shingles(words: Sequence[str]) -> frozenset[int]:
    """Words and pairs of neighbours: order counts a little."""
    pairs = itertools.pairwise(words)
    both = [*words, *(f"{a} {b}" for a, b in pairs)]
    return frozenset(crc32(one.encode()) % _PRIME for one in both)


def _bands(shingles: frozenset[int]) -> list[tuple[int, bytes]]:
    if not shingles:
        return []
    values = np.fromiter(shingles, dtype=np.int64)
    signature = ((values[:, None] * _SLOPES + _OFFSETS) % _PRIME).min(axis=0)
    rows = _HASHES // _BANDS
    return [(k, signature[k * rows : (k + 1) * rows].tobytes()) for k in range(_BANDS)]


def _random(seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(1, _PRIME, _HASHES, dtype=np.int64)


_SLOPES, _OFFSETS = _random(1), _random(2)


def _jaccard(first: frozenset[int], second: frozenset[int]) -> float:
    return len(first & second) / len(first | second)


def _examples(
    requests: Sequence[Request], twins: Sequence[Twin | None], count: int = 3
) -> tuple[tuple[str, str, float], ...]:
    """The least alike of those taken for the same: that is where a mistake would be."""
    near = [(k, twin) for k, twin in enumerate(twins) if twin is not None and not twin[2]]
    near.sort(key=lambda pair: pair[1][1])
    return tuple(
        (_short(requests[twin[0]].text), _short(requests[k].text), round(twin[1], 3))
        for k, twin in near[:count]
    )


def _short(text: str, most: int = 120) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
