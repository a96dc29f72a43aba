"""What a workload is really like: lengths, times, what prompts share, what comes twice."""

import hashlib
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from knowledge.types import Workload
from tools.load.outputs.base import spread
from tools.load.prompts import CHARACTERS_PER_TOKEN, PromptSource
from tools.load.tokenizer import Tokenizer
from tools.load.trace import TraceRow

_BLOCK_TOKENS = 16
"""vLLM's block: what is shared below it saves nothing."""
_SHINGLE_WORDS, _HASHES, _BANDS = 4, 32, 8
_MOST_COMPARED = 5_000
_ALIKE = 0.8
_PREVIEW = 200


@dataclass(frozen=True)
class Quantiles:
    """Of token counts."""

    mean: float
    p50: float
    p95: float
    largest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Quantiles":
        p50, p95 = spread(values, (0.5, 0.95))
        return cls(statistics.fmean(values), p50, p95, max(values))


@dataclass(frozen=True)
class Description:
    """A summary. None is what the file does not tell."""

    source: str
    requests: int
    input_tokens: Quantiles
    output_tokens: Quantiles
    exact_lengths: bool
    """Counted by a tokenizer or recorded; else a quarter of the characters."""
    span_s: float | None = None
    rate_per_s: float | None = None
    gap_cv: float | None = None
    """1 is Poisson; above it comes in bunches."""
    peak_to_mean: float | None = None
    """The busiest of 60 equal parts against the mean."""
    shared_prefix_share: float | None = None
    """Share of all input tokens that an earlier request began with too, in blocks of 16."""
    near_duplicates: float | None = None
    """Share of requests that resemble an earlier one to 80 % or more."""
    workload_id: str | None = None


def describe_rows(
    source: str, rows: Sequence[TraceRow], tokenizer: Tokenizer | None
) -> Description:
    """Of a file of requests."""
    inputs = [float(_length(row, tokenizer)) for row in rows]
    texts = [row.text for row in rows if row.text]
    blocks = [_blocks(row, tokenizer) for row in rows]
    known = any(blocks)
    moments = [row.arrival_s for row in rows if row.arrival_s is not None]
    recorded = all(row.input_tokens is not None for row in rows)
    return Description(
        source=source,
        requests=len(rows),
        input_tokens=Quantiles.of(inputs),
        output_tokens=Quantiles.of([float(row.output_tokens) for row in rows]),
        exact_lengths=recorded or tokenizer is not None,
        **_times(moments),  # type: ignore[arg-type] # its own four fields
        shared_prefix_share=_shared(rows, blocks, inputs) if known else None,
        near_duplicates=near_duplicates(texts) if texts else None,
    )


def describe_workload(workload: Workload, tokenizer: Tokenizer | None, seed: int) -> Description:
    """Of a named workload, by the first prompts that would be sent."""
    prompts = PromptSource(workload, tokenizer, seed)
    sent = [prompts.next() for _ in range(_PREVIEW)]
    rows = [TraceRow(p.text, p.output_tokens, p.arrival_s, p.messages) for p in sent]
    found = describe_rows(workload.name, rows, tokenizer)
    return Description(**{**vars(found), "workload_id": workload.content_id()})


def _length(row: TraceRow, tokenizer: Tokenizer | None) -> int:
    if row.input_tokens is not None:
        return row.input_tokens
    if tokenizer is not None:
        return tokenizer.count(row.text)
    return max(1, len(row.text) // CHARACTERS_PER_TOKEN)


def _times(moments: Sequence[float]) -> dict[str, float | None]:
    if len(moments) < 3 or moments[-1] <= moments[0]:
        return {}
    span = moments[-1] - moments[0]
    gaps = [b - a for a, b in pairwise(moments)]
    parts = [0] * 60
    for moment in moments:
        parts[min(59, int(60 * (moment - moments[0]) / span))] += 1
    return {
        "span_s": span,
        "rate_per_s": len(gaps) / span,
        "gap_cv": statistics.pstdev(gaps) / statistics.fmean(gaps),
        "peak_to_mean": max(parts) / statistics.fmean(parts),
    }


def _blocks(row: TraceRow, tokenizer: Tokenizer | None) -> tuple[object, ...]:
    """The prompt in whole blocks: recorded ids, token ids, or characters."""
    if row.blocks:
        return row.blocks
    if not row.text:
        return ()
    units: Sequence[object] = tokenizer.encode(row.text) if tokenizer else row.text
    size = _BLOCK_TOKENS if tokenizer else _BLOCK_TOKENS * CHARACTERS_PER_TOKEN
    whole = len(units) // size
    return tuple(str(units[i * size : (i + 1) * size]) for i in range(whole))


def _shared(
    rows: Sequence[TraceRow], blocks: Sequence[tuple[object, ...]], inputs: Sequence[float]
) -> float:
    """As a prefix cache without end would see it: a block counts if all before it were seen too."""
    seen: set[bytes] = set()
    shared = 0.0
    for row, own in zip(rows, blocks, strict=True):
        chain, hit = b"", True
        size = row.block_tokens if row.blocks else _BLOCK_TOKENS
        for block in own:
            chain = hashlib.blake2b(chain + str(block).encode(), digest_size=12).digest()
            hit = hit and chain in seen
            shared += size if hit else 0
            seen.add(chain)
    return min(1.0, shared / max(1.0, sum(inputs)))


def near_duplicates(texts: Sequence[str]) -> float:
    """Share of texts that resemble an earlier one (Jaccard of word shingles, by MinHash)."""
    chosen = texts[:_MOST_COMPARED]
    buckets: dict[tuple[int, bytes], list[tuple[int, ...]]] = {}
    found = 0
    for text in chosen:
        marks = _minhash(text)
        rows = _HASHES // _BANDS
        keys = [(band, repr(marks[band * rows : (band + 1) * rows]).encode())
                for band in range(_BANDS)]  # fmt: skip
        near = (other for key in keys for other in buckets.get(key, ()))
        found += any(_agree(marks, other) >= _ALIKE for other in near)
        for key in keys:
            buckets.setdefault(key, []).append(marks)
    return found / max(1, len(chosen))


def _minhash(text: str) -> tuple[int, ...]:
    words = re.findall(r"\w+", text.lower())
    shingles = {" ".join(words[i : i + _SHINGLE_WORDS])
                for i in range(max(1, len(words) - _SHINGLE_WORDS + 1))}  # fmt: skip
    base = [int.from_bytes(hashlib.blake2b(s.encode(), digest_size=8).digest()) for s in shingles]
    prime = (1 << 61) - 1
    return tuple(
        min((h % prime * (2 * i + 3) + 7919 * i * i + i) % prime for h in base)
        for i in range(_HASHES)
    )


def _agree(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    return sum(x == y for x, y in zip(a, b, strict=True)) / _HASHES


def describe_server(source: str, metrics: str) -> Mapping[str, float]:
    """What a running engine counted of its own traffic, from its Prometheus page (vLLM's names)."""
    values: dict[str, float] = {}
    for line in metrics.splitlines():
        match = re.fullmatch(r"(vllm:[a-z_]+)(?:\{[^}]*\})? ([0-9.eE+]+)", line.strip())
        if match:
            values[match[1]] = values.get(match[1], 0.0) + float(match[2])
    found = {}
    for name, stem in (("input_tokens_mean", "request_prompt_tokens"),
                       ("output_tokens_mean", "request_generation_tokens")):  # fmt: skip
        count = values.get(f"vllm:{stem}_count", 0.0)
        if count:
            found[name] = values[f"vllm:{stem}_sum"] / count
            found["requests"] = count
    queries = values.get("vllm:prefix_cache_queries_total", 0.0)
    if queries:
        found["prefix_cache_hit_share"] = values.get("vllm:prefix_cache_hits_total", 0.0) / queries
    return found
