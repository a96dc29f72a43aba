"""How alike two deployments under load are: a sum of kernels, each over some names and numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge.prediction.features import NAMES, NUMBERS

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

_LOAD = ("batch", "input", "output")
_SPARSE = 0.3
"""Below this share of equal names the exponentials are only taken where they count."""
_CROWD = (*_LOAD, "fullness", "interference")
# (names that must be equal, numbers that must be near, first guess of the amplitude).
STRUCTURE: tuple[tuple[tuple[str, ...], tuple[str, ...], float], ...] = (
    (("harness",), (), 0.3),
    ((), NUMBERS, 0.5),
    (("engine",), ("batch", "input", "output", "interference", "kv_share", "fullness", "active",
                   "experts"), 0.3),
    (("engine", "device", "dtype"), ("batch", "input", "output", "active"), 0.2),
    (("model",), ("batch", "input", "output", "gpus"), 0.2),
    (("engine", "model"), ("batch", "input", "output", "gpus", "fullness"), 0.2),
    (("model", "device", "dtype"), ("batch", "input", "output", "gpus"), 0.1),
    (("engine", "model", "dtype"), _CROWD, 0.1),
    (("engine", "harness"), ("batch", "input", "output", "fullness"), 0.15),
    (("engine", "version"), ("batch", "input"), 0.1),
    (("engine", "version", "model"), _LOAD, 0.1),
    (("engine", "device", "model", "dtype"), _LOAD, 0.1),
    (("group",), (), 0.1),
    (("group",), _CROWD, 0.1),
    (("group", "version"), (), 0.05),
)  # fmt: skip


@dataclass(frozen=True)
class Kernel:
    """Amplitudes and length scales for STRUCTURE, and the noise of one measurement."""

    amplitudes: tuple[float, ...]
    lengths: tuple[tuple[float, ...], ...]
    noise: float
    noise_when_full: float
    """Factor on the noise where the KV cache is as good as full: queues are hard to repeat."""

    def covariance(self, first: "Inputs", second: "Inputs") -> Array:
        """Prior covariance of the latent log residuals, shape (first, second)."""
        total: Array = np.zeros((len(first), len(second)))
        for term, amplitude, scales in zip(STRUCTURE, self.amplitudes, self.lengths, strict=True):
            equal = matches(term[0], first, second)
            if equal is not None and equal.mean() < _SPARSE:
                rows, columns = np.nonzero(equal)
                near = _of_pairs(term[1], scales, first, second, rows, columns)
                total[rows, columns] += amplitude**2 * np.exp(-0.5 * near)
                continue
            distance = self._distance(term[1], scales, first, second)
            # In single precision: four times as fast, and far finer than a measurement's noise.
            value = np.exp(np.asarray(-0.5 * distance, dtype=np.float32))
            total += amplitude**2 * (value if equal is None else value * equal)
        return total

    def noise_variance(self, inputs: "Inputs") -> Array:
        """Variance of a measurement around the latent value."""
        full = fullness(inputs)
        return np.asarray((self.noise * (1 + (self.noise_when_full - 1) * full)) ** 2)

    @staticmethod
    def _distance(
        names: Sequence[str], scales: Sequence[float], first: "Inputs", second: "Inputs"
    ) -> Array:
        if not names:
            return np.zeros((len(first), len(second)))
        columns = [NUMBERS.index(name) for name in names]
        a, b = first.numbers[:, columns] / scales, second.numbers[:, columns] / scales
        squared = (a * a).sum(1)[:, None] + (b * b).sum(1)[None, :] - 2 * a @ b.T
        return np.asarray(np.maximum(squared, 0.0))


@dataclass(frozen=True)
class Inputs:
    """Features of several points: numbers (n, NUMBERS) and codes of the names (n, NAMES)."""

    numbers: Array
    codes: Codes

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, index: NDArray[np.intp]) -> "Inputs":
        return Inputs(self.numbers[index], self.codes[index])

    def join(self, other: "Inputs") -> "Inputs":
        return Inputs(
            np.concatenate([self.numbers, other.numbers]),
            np.concatenate([self.codes, other.codes]),
        )


def _of_pairs(
    names: Sequence[str],
    scales: Sequence[float],
    first: Inputs,
    second: Inputs,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
) -> Array:
    """Squared distance of the chosen pairs only."""
    apart: Array = np.zeros(len(rows))
    for name, scale in zip(names, scales, strict=True):
        number = NUMBERS.index(name)
        a, b = first.numbers[:, number] / scale, second.numbers[:, number] / scale
        difference = a[rows] - b[columns]
        apart += difference * difference
    return apart


def matches(names: Sequence[str], first: Inputs, second: Inputs) -> NDArray[np.bool_] | None:
    """Where all the names are equal; None when there are none to compare. Code -1 is unknown."""
    equal: NDArray[np.bool_] | None = None
    for name in names:
        column = NAMES.index(name)
        a, b = first.codes[:, column], second.codes[:, column]
        same = (a[:, None] == b[None, :]) & (a >= 0)[:, None]
        equal = same if equal is None else equal & same
    return equal


def fullness(inputs: Inputs) -> Array:
    """0 with an empty KV cache to 1 where more is asked than fits."""
    ratio = inputs.numbers[:, NUMBERS.index("fullness")]
    return np.asarray(1 / (1 + np.exp(-4 * (ratio + math.log(1.5)))))
