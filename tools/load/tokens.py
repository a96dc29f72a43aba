"""How many tokens each chunk of a streamed answer carried."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from tools.load.tokenizer import Tokenizer


@dataclass(slots=True)
class Chunk:
    """One event with text, or with more tokens in its running usage."""

    at: float
    text: str
    counted: int | None
    """Output tokens so far by the server's continuous usage; None when it gives none."""


def tokens_per_chunk(
    chunks: Sequence[Chunk], total: int | None, tokenizer: Tokenizer | None
) -> list[int]:
    """Tokens of every chunk, 0 for those that carried none; sums to `total` where it is known.

    By the server's continuous usage; else by the tokenizer, else one per text, both scaled to the
    total. Continuous usage that stands still while text comes is no count and is not believed.
    """
    weights = _by_usage(chunks)
    if weights is None and tokenizer is not None:
        weights = _by_tokenizer([chunk.text for chunk in chunks], tokenizer)
    if weights is None:
        weights = [int(bool(chunk.text)) for chunk in chunks]
    return weights if total is None or total == sum(weights) else spread(weights, total)


def spread(weights: Sequence[int], total: int) -> list[int]:
    """Share `total` out by weight in whole numbers, early chunks first: the first is not empty."""
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    reached = [-(-total * weight // whole) for weight in accumulate(weights)]
    return [now - before for before, now in zip([0, *reached], reached, strict=False)]


def _by_usage(chunks: Sequence[Chunk]) -> list[int] | None:
    steps, before = [], 0
    for chunk in chunks:
        if chunk.counted is None or chunk.counted < before:
            return None
        if chunk.text and chunk.counted == before:
            return None
        steps.append(chunk.counted - before)
        before = chunk.counted
    return steps


def _by_tokenizer(texts: Sequence[str], tokenizer: Tokenizer) -> list[int]:
    """A token belongs to the chunk that holds its last character."""
    ends = list(accumulate(len(text) for text in texts))
    counts = [0] * len(texts)
    for _, end in tokenizer.offsets("".join(texts)):
        counts[bisect_left(ends, end)] += 1
    return counts
