"""A fixed piece of work, to see whether the machine itself grew faster or slower."""

import time

_SECONDS = 0.3


def speed() -> float:
    """Rounds per second of a small mix of multiplying and copying. Compare only with itself."""
    import numpy as np

    matrix = np.full((256, 256), 0.5, np.float32)
    product = np.empty_like(matrix)
    source = np.ones(2**20, np.float32)
    target = np.empty_like(source)
    rounds = 0
    began = time.perf_counter()
    while (elapsed := time.perf_counter() - began) < _SECONDS:
        np.matmul(matrix, matrix, out=product)
        np.copyto(target, source)
        rounds += 1
    return rounds / elapsed
