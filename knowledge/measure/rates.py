"""Rates of one round: tokens and requests of its steady part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge.measure.requests import failed, token_times
from knowledge.statistics import Stretch
from knowledge.types import RequestSample

RAMP_SHARE = 4
"""The ramp lasts at most one part in so many of a round."""

_LEAST_WINDOWS = 8
_WINDOW_S = 1.0
_LEAST_CYCLES = 2


@dataclass(frozen=True)
class Rates:
    """When tokens came and requests ended, in seconds from the start of the steady window."""

    tokens: Stretch
    requests: Stretch
    good: Stretch | None
    """Requests within every request-level SLO; None without such SLOs."""
    cycle_s: float
    """From one request of a stream to its next, on average; 0 where streams have no next."""
    whole_round: bool = False
    """No token arrived in the steady window, so the round is taken to its last token."""

    @property
    def seconds(self) -> float:
        return self.tokens.seconds

    @property
    def tokens_per_window(self) -> NDArray[np.float64]:
        """Tokens per second in windows of about a second: for looking at, not for an interval."""
        windows = max(_LEAST_WINDOWS, round(self.seconds / _WINDOW_S))
        counts, edges = np.histogram(self.tokens.times, windows, (0.0, self.seconds))
        return counts / np.diff(edges)


def rates_of(
    samples: Sequence[RequestSample],
    round_s: float,
    good: Callable[[RequestSample], bool] | None,
) -> Rates:
    """Events in the steady window of one round, of all its requests but the failed ones."""
    served = [s for s in samples if not failed(s)]
    arrivals = [token_times(s) for s in served]
    times = np.concatenate(arrivals) if arrivals else np.zeros(0)
    start = steady_from(samples, round_s)
    end = round_s
    whole_round = bool(times.size) and not bool(((times >= start) & (times < end)).any())
    if whole_round:
        # Answers that come in one piece after the round ended: the only rate there is.
        start, end = 0.0, float(times.max()) * (1 + 1e-9)
    cycle_s = 0.0 if whole_round else _cycle_s(served)
    fade_s = cycle_s if _LEAST_CYCLES * cycle_s <= end - start else 0.0

    def stretch(moments: NDArray[np.float64]) -> Stretch:
        inside = moments[(moments >= start) & (moments < end)]
        return Stretch(inside - start, end - start, fade_s)

    ends = [s.last_token_s for s in served if s.ok and s.last_token_s is not None]
    good_ends = [s.last_token_s for s in served if good and good(s) and s.last_token_s is not None]
    return Rates(
        tokens=stretch(times),
        requests=stretch(np.array(ends, dtype=np.float64)),
        good=stretch(np.array(good_ends, dtype=np.float64)) if good else None,
        cycle_s=cycle_s,
        whole_round=whole_round,
    )


def steady_from(samples: Sequence[RequestSample], round_s: float) -> float:
    """When every stream has had its first token, at the latest a quarter of the round."""
    firsts: dict[int, float] = {}
    for sample in samples:
        seen = float("inf") if sample.first_token_s is None else sample.first_token_s
        firsts[sample.stream] = min(firsts.get(sample.stream, float("inf")), seen)
    return min(max(firsts.values(), default=0.0), round_s / RAMP_SHARE)


def _cycle_s(samples: Sequence[RequestSample]) -> float:
    """The mean over streams but for each one's first request, which is asked for only in part."""
    sent: dict[int, list[float]] = {}
    for sample in sorted(samples, key=lambda s: s.sent_s):
        sent.setdefault(sample.stream, []).append(sample.sent_s)
    gaps = [gap for moments in sent.values() for gap in np.diff(moments)[1:]]
    return float(np.mean(gaps)) if gaps else 0.0
