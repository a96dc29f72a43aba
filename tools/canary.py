"""A fixed piece of work, to see whether the machine itself grew faster or slower.

Sung only while no load runs: before the first round, between rounds and after the last. It takes a
tenth of a second on a few cores at once, because another process that took one of two cores would
slow the server and not a canary that has the other core to itself.
"""

import hashlib
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

_PIECES = 7
_HASHED_BYTES = 2**18
_COPIED_ELEMENTS = 2**20
_REPEATS = 8
_MOST_THREADS = 4


def speed() -> float:
    """Rounds of hashing and copying per second, all threads together. Compare only with itself.

    The median of a few pieces: one that was interrupted says nothing of the machine.
    """
    import numpy as np

    threads = min(_MOST_THREADS, _cores())
    source = np.ones(_COPIED_ELEMENTS, np.float32)
    targets = [np.ones_like(source) for _ in range(threads)]
    text = bytes(_HASHED_BYTES)

    def sing(target: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> None:
        # Both let go of Python's lock, so that the threads do run beside each other.
        for _ in range(_REPEATS):
            hashlib.sha256(text).digest()
            np.copyto(target, source)

    def piece() -> float:
        began = time.perf_counter()
        for _ in pool.map(sing, targets):
            pass
        return _REPEATS * threads / (time.perf_counter() - began)

    with ThreadPoolExecutor(threads) as pool:
        return statistics.median(piece() for _ in range(_PIECES))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
