"""What past verdicts say of our predictions: a correction of the next ones."""

import math
from collections.abc import Sequence

from knowledge.types import Frozen, Interval, Verdict
from knowledge.types.trial import Hypothesis

_PRIOR_TRIALS = 4.0
_MOST_WIDENING = 2.5


class Calibration(Frozen):
    """Predictions are moved by `shift` and widened by `widen`, both on the log scale."""

    shift: float = 0.0
    widen: float = 1.0

    def apply(self, raw: Interval) -> Interval:
        middle = math.log(raw.middle) + self.shift
        half = self.widen * math.log(raw.high / raw.low) / 2
        return Interval(low=math.exp(middle - half), high=math.exp(middle + half))


def calibrate(tested: Sequence[tuple[Hypothesis, Verdict]]) -> Calibration:
    """Shrunken mean of the misses, and a widening that would have covered 90 % of them.

    The prior counts as four trials without any miss, so that the first one does not overturn all.
    """
    misses = [
        (math.log(v.speedup.value / h.predicted_speedup.middle), _half(h.predicted_speedup))
        for h, v in tested
        if v.speedup and v.speedup.value > 0 and h.predicted_speedup.low > 0
        if v.prediction_hit is not None  # compared with what the prediction was about
    ]
    if not misses:
        return Calibration()
    shift = sum(miss for miss, _ in misses) / (len(misses) + _PRIOR_TRIALS)
    outside = sorted(abs(miss - shift) / half for miss, half in misses)
    wanted = outside[math.ceil(0.9 * len(outside)) - 1]
    weight = len(misses) / (len(misses) + _PRIOR_TRIALS)
    widen = 1 + weight * (wanted - 1) if wanted > 1 else 1.0
    return Calibration(shift=shift, widen=min(widen, _MOST_WIDENING))


def _half(interval: Interval) -> float:
    return max(math.log(interval.high / interval.low) / 2, 0.01)
