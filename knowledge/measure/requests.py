"""What one request says: its latencies, its token gaps, whether it counts."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from knowledge.types import RequestSample, Slo

_REQUESTS_A_ROUND = 1.5
_MOST_STRETCH = 3.0
UNFINISHED = ("cut", "drain-timeout")
"""Errors of requests that the client gave up at the end of the drain: neither served nor failed."""


def unfinished(sample: RequestSample) -> bool:
    """Still running when the measurement ended."""
    return sample.error in UNFINISHED


def failed(sample: RequestSample) -> bool:
    """The server did not answer it, or broke off."""
    return not sample.ok and not unfinished(sample)


def kept_after_ramp(samples: Sequence[RequestSample]) -> list[RequestSample]:
    """Samples, in order of `intended_s`, without each stream's first request of a round.

    All streams start at once, so the first requests meet a server as no later one does. A stream
    that was served nothing else in the round keeps its first: on a server slower than the round
    this is all there is.
    """
    streams: dict[tuple[int, int], list[RequestSample]] = {}
    for sample in samples:
        streams.setdefault((sample.round, sample.stream), []).append(sample)
    dropped = {
        id(requests[0]) for requests in streams.values() if any(later.ok for later in requests[1:])
    }
    return [sample for sample in samples if id(sample) not in dropped]


def fitting_round_s(asked_s: float, request_s: float) -> float:
    """A round of `asked_s`, up to three times longer where a request of `request_s` hardly fits in.

    Streams that never come to their second request say little about a rate.
    """
    return min(max(asked_s, _REQUESTS_A_ROUND * request_s), _MOST_STRETCH * asked_s)


def latencies(samples: Sequence[RequestSample]) -> dict[str, NDArray[np.float64]]:
    """Milliseconds by stem (ttft, tpot, e2e), one value per request that was served."""
    return {
        stem: np.array([value for _, value in seen], dtype=np.float64)
        for stem, seen in readings(samples).items()
    }


def readings(
    samples: Sequence[RequestSample],
) -> dict[str, list[tuple[RequestSample, float]]]:
    """The same beside the request that each is of.

    A request cut off at the end of the drain has a first token as good as any other's.
    """
    started = [s for s in samples if s.ok or unfinished(s)]
    served = [s for s in samples if s.ok]
    return {
        stem: [(s, value) for s in of if (value := read(s)) is not None]
        for stem, read, of in (
            ("ttft", ttft_ms, started), ("tpot", tpot_ms, served), ("e2e", e2e_ms, served),
        )
    }  # fmt: skip


def ttft_ms(sample: RequestSample) -> float | None:
    """When it was due to its first token."""
    if sample.first_token_s is None:
        return None
    return 1000 * (sample.first_token_s - sample.intended_s)


def e2e_ms(sample: RequestSample) -> float | None:
    """When it was due to its last token."""
    if sample.last_token_s is None:
        return None
    return 1000 * (sample.last_token_s - sample.intended_s)


def tpot_ms(sample: RequestSample) -> float | None:
    """(E2E - TTFT) / (output tokens - 1); a single token has none."""
    if sample.first_token_s is None or sample.last_token_s is None:
        return None
    if not sample.output_tokens or sample.output_tokens < 2:
        return None
    return 1000 * (sample.last_token_s - sample.first_token_s) / (sample.output_tokens - 1)


def gaps_ms(sample: RequestSample) -> NDArray[np.float64]:
    """Gaps between successive tokens: tokens after the first of a chunk came with it, gap 0."""
    if not sample.chunk_times_s:
        return np.asarray(sample.itl_ms, dtype=np.float64)
    return np.asarray(1000 * np.diff(token_times(sample)), dtype=np.float64)


def token_gaps(
    samples: Sequence[RequestSample],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """All gaps of served requests in milliseconds, and the index of the request of each."""
    series = [gaps_ms(s) for s in samples if s.ok]
    if not series:
        return np.zeros(0), np.zeros(0, dtype=np.int64)
    owners = np.repeat(np.arange(len(series)), [len(gaps) for gaps in series])
    return np.concatenate(series), owners


def token_times(sample: RequestSample) -> NDArray[np.float64]:
    """Arrival of every token; without chunks, spread evenly from the first to the last."""
    if sample.chunk_times_s:
        if len(sample.chunk_tokens) != len(sample.chunk_times_s):
            raise ValueError(f"request {sample.index}: chunk times and tokens differ in number")
        return np.repeat(np.asarray(sample.chunk_times_s, dtype=np.float64), sample.chunk_tokens)
    if sample.first_token_s is None or sample.last_token_s is None or not sample.output_tokens:
        return np.zeros(0)
    return np.linspace(sample.first_token_s, sample.last_token_s, sample.output_tokens)


def within_slos(slos: Sequence[Slo]) -> Callable[[RequestSample], bool] | None:
    """Whether a request meets every threshold that a single request can meet; None: there is none.

    The threshold of a percentile or mean holds for each request; ITL by the request's mean.
    """
    readings: dict[str, Callable[[RequestSample], float | None]] = {
        "ttft": ttft_ms,
        "tpot": tpot_ms,
        "e2e": e2e_ms,
        "itl": _mean_gap_ms,
    }
    limits = [
        (readings[stem], slo.limit)
        for slo in slos
        if (stem := slo.metric.value.partition("_")[0]) in readings
    ]
    if not limits:
        return None

    def good(sample: RequestSample) -> bool:
        if not sample.ok:
            return False
        seen = ((reading(sample), limit) for reading, limit in limits)
        return all(value is None or value <= limit for value, limit in seen)

    return good


def _mean_gap_ms(sample: RequestSample) -> float | None:
    gaps = gaps_ms(sample)
    return float(gaps.mean()) if gaps.size else None
