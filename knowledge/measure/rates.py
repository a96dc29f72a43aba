"""Rates of one round: tokens and requests per window of its steady part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge.measure.requests import failed, token_times
from knowledge.types import RequestSample

RAMP_SHARE = 4
"""The ramp lasts at most one part in so many of a round."""

_LEAST_WINDOWS = 8
_WINDOW_S = 1.0


@dataclass(frozen=True)
class Rates:
    """Counts per window. Windows of a round are equally wide."""

    tokens: NDArray[np.float64]
    requests: NDArray[np.float64]
    good: NDArray[np.float64] | None
    """Requests within every request-level SLO; None without such SLOs."""
    widths: NDArray[np.float64]
    whole_round: bool = False
    """No token arrived in the steady window, so the round is taken to its last token."""

    @property
    def seconds(self) -> float:
        return float(self.widths.sum())


def rates_of(
    samples: Sequence[RequestSample],
    round_s: float,
    good: Callable[[RequestSample], bool] | None,
) -> Rates:
    """Counts in the steady window of one round, all requests of it, failed ones left out."""
    served = [s for s in samples if not failed(s)]
    arrivals = [token_times(s) for s in served]
    times = np.concatenate(arrivals) if arrivals else np.zeros(0)
    start = steady_from(samples, round_s)
    end = round_s
    whole_round = bool(times.size) and not bool(((times >= start) & (times < end)).any())
    if whole_round:
        # Answers that come in one piece after the round ended: the only rate there is.
        start, end = 0.0, float(times.max()) * (1 + 1e-9)
    windows = max(_LEAST_WINDOWS, round((end - start) / _WINDOW_S))
    edges = np.linspace(start, end, windows + 1)
    ends = [s.last_token_s for s in served if s.ok and s.last_token_s is not None]
    good_ends = [s.last_token_s for s in served if good and good(s) and s.last_token_s is not None]
    return Rates(
        tokens=_count(times, edges),
        requests=_count(np.array(ends), edges),
        good=_count(np.array(good_ends), edges) if good else None,
        widths=np.diff(edges),
        whole_round=whole_round,
    )


def steady_from(samples: Sequence[RequestSample], round_s: float) -> float:
    """When every stream has had its first token, at the latest a quarter of the round."""
    firsts: dict[int, float] = {}
    for sample in samples:
        seen = float("inf") if sample.first_token_s is None else sample.first_token_s
        firsts[sample.stream] = min(firsts.get(sample.stream, float("inf")), seen)
    return min(max(firsts.values(), default=0.0), round_s / RAMP_SHARE)


def _count(times: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    # The last edge is open: what arrives at the end of the round belongs to no window.
    inside = times[(times >= edges[0]) & (times < edges[-1])]
    return np.histogram(inside, bins=edges)[0].astype(np.float64)
