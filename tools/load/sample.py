"""From an answer on the wire to the sample that statistics work on."""

import hashlib
from dataclasses import dataclass
from itertools import pairwise

from knowledge.types import RequestSample
from tools.load.prompts import Prompt
from tools.load.stream import Stream
from tools.load.tokenizer import Tokenizer
from tools.load.tokens import tokens_per_chunk


@dataclass(frozen=True)
class Sent:
    """Which request it was. `intended` and `origin` in seconds of time.perf_counter."""

    prompt: Prompt
    index: int
    round: int
    stream: int
    origin: float
    intended: float


@dataclass(frozen=True)
class Recount:
    """Output tokens of one answer three ways: the server's word, its text counted, its chunks."""

    claimed: int
    counted: int
    chunks: int


def recount(answer: Stream, tokenizer: Tokenizer | None) -> Recount | None:
    """What the model's tokenizer makes of the text; None where there is nothing to compare."""
    if tokenizer is None or answer.error or not answer.output_tokens:
        return None
    counted = len(tokenizer.encode(answer.text))
    return Recount(answer.output_tokens, counted, len(answer.chunks))


def to_sample(sent: Sent, answer: Stream, tokenizer: Tokenizer | None) -> RequestSample:
    """One RequestSample; its times count from the round's origin."""
    counts = tokens_per_chunk(answer.chunks, answer.output_tokens, tokenizer)
    arrived = [(c.at - sent.origin, n) for c, n in zip(answer.chunks, counts, strict=True) if n]
    times = tuple(at for at, _ in arrived)
    tokens = tuple(n for _, n in arrived)
    error = answer.error or (None if times else "empty")
    return RequestSample(
        index=sent.index,
        round=sent.round,
        stream=sent.stream,
        intended_s=sent.intended - sent.origin,
        sent_s=answer.sent - sent.origin,
        first_token_s=times[0] if times else None,
        last_token_s=times[-1] if times else None,
        end_s=answer.ended - sent.origin,
        asked_input_tokens=sent.prompt.input_tokens,
        asked_output_tokens=sent.prompt.output_tokens,
        input_tokens=answer.input_tokens,
        output_tokens=sum(tokens) if times else answer.output_tokens,
        itl_ms=inter_token_latencies_ms(times, tokens),
        chunk_times_s=times,
        chunk_tokens=tokens,
        text_sha256=hashlib.sha256(answer.text.encode()).hexdigest() if answer.chunks else None,
        finish_reason=answer.finish_reason,
        error=error,
    )


def inter_token_latencies_ms(
    times_s: tuple[float, ...], tokens: tuple[int, ...]
) -> tuple[float, ...]:
    """Gaps between successive tokens, one fewer than tokens; 0 between tokens of one chunk."""
    if not times_s:
        return ()
    gaps = [0.0] * (tokens[0] - 1)
    for (before, now), count in zip(pairwise(times_s), tokens[1:], strict=True):
        gaps.append(1e3 * (now - before))
        gaps.extend([0.0] * (count - 1))
    return tuple(gaps)
