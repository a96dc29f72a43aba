"""Where a series stops warming up."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def steady_start(
    series: Sequence[float] | NDArray[np.float64], *, batch: int = 5, most: float = 0.5
) -> int:
    """Index from which the series is steady, by MSER-`batch`; 0 when it always was.

    K. P. White, "An effective truncation heuristic for bias reduction in simulation output",
    Simulation 69(6), 1997: drop as many first batches as makes the standard error of the mean of
    the rest least. At most the share `most` is dropped, since near the end the criterion is
    noise. Series of fewer than 4 batches are taken value by value.
    """
    data = np.asarray(series, dtype=np.float64)
    if data.size < 4 * batch:
        batch = 1
    count = data.size // batch
    if count < 2:
        return 0
    means = data[: count * batch].reshape(count, batch).mean(axis=1)
    # Suffix sums give the variance of every tail at once.
    left = np.arange(count, 0, -1)
    totals = means[::-1].cumsum()[::-1]
    squares = (means**2)[::-1].cumsum()[::-1]
    error = np.maximum(0.0, squares - totals**2 / left) / left**2
    candidates = error[: int(count * most) + 1]
    return int(np.argmin(np.round(candidates, 12))) * batch
