"""Lengths drawn from what a workload says of them."""

import math
import random

from knowledge.types import Lengths

_TRIES = 1000


def draw(lengths: Lengths, rng: random.Random) -> int:
    """One length. What falls outside [low, high] is drawn again, or the ends would pile up."""
    if lengths.shape == "uniform" or lengths.low == lengths.high:
        return rng.randint(lengths.low, lengths.high)
    typical = lengths.typical or (lengths.low + lengths.high) / 2
    for _ in range(_TRIES):
        if lengths.shape == "normal":
            spread = lengths.spread or (lengths.high - lengths.low) / 6
            length = round(rng.gauss(typical, spread))
        else:
            length = round(typical * math.exp(rng.gauss(0, lengths.spread or 0.7)))
        if lengths.low <= length <= lengths.high:
            return length
    return rng.randint(lengths.low, lengths.high)
