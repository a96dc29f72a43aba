"""Learning the efficiencies and the kernel: marginal likelihood, scipy needed only here."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advisor.prediction.cells import Cells
from knowledge.prediction.features import NAMES, NUMBERS, first_guess_ms, step_ms, ttft_terms
from knowledge.prediction.kernel import STRUCTURE, Array, Inputs, Kernel, fullness, matches

_ITERATIONS = 40
_MOST_CELLS = 1100
_PRIOR_WIDTH = 1.0
# Where the search for the weights of TPOT_TERMS and TTFT_TERMS begins; it may move e^2.5 times.
_TPOT_BEGIN = (1.5, 1.2, 1.2, 4.0, 2.5, 1.0, 1.2, 0.05)
_TTFT_BEGIN = (1.5, 1.0, 1.5, 1.0, 10.0, 10.0)


@dataclass(frozen=True)
class Fitted:
    """One target: where residuals are centred, and how they go together."""

    centre: float
    kernel: Kernel


Efficiencies = tuple[tuple[float, ...], tuple[float, ...]]


def fit_efficiencies(cells: Cells, chosen: NDArray[np.intp]) -> Efficiencies:
    """Weights of the terms of TPOT and of TTFT, by robust least squares of the logs."""
    parts = np.array([cells.described[k].tpot_terms_ms for k in chosen])
    tpot = _least_squares(parts, cells.log_tpot[chosen], _TPOT_BEGIN, 0.2)
    rows = [ttft_terms(cells.described[k], step_ms(cells.described[k], tpot)) for k in chosen]
    return tpot, _least_squares(np.array(rows), cells.log_ttft[chosen], _TTFT_BEGIN, 0.4)


def _least_squares(
    parts: Array, target: Array, begin: tuple[float, ...], scale: float
) -> tuple[float, ...]:
    from scipy.optimize import least_squares

    def miss(log_weights: Array) -> Array:
        return np.asarray(np.log(parts @ np.exp(log_weights)) - target)

    first = np.log(begin)
    found = least_squares(
        miss, first, loss="soft_l1", f_scale=scale, bounds=(first - 2.5, first + 2.5)
    )
    return tuple(float(np.exp(value)) for value in found.x)


def guesses(cells: Cells, efficiencies: Efficiencies) -> tuple[Array, Array]:
    """Logs of the first guesses of TPOT and TTFT for every cell."""
    both = np.log([first_guess_ms(d, *efficiencies) for d in cells.described])
    return both[:, 0], both[:, 1]


def fit_kernel(inputs: Inputs, residuals: Array, seed: int) -> Fitted:
    """Amplitudes and lengths by maximum a posteriori on at most 1,100 cells of whole groups."""
    from scipy.optimize import minimize

    chosen = _whole_groups(inputs, seed)
    centre = float(np.median(residuals))
    problem = _Problem(inputs.take(chosen), residuals[chosen] - centre)
    found = minimize(
        problem.loss, problem.begin, jac=True, method="L-BFGS-B",
        options={"maxiter": _ITERATIONS}, bounds=problem.bounds,
    )  # fmt: skip
    return Fitted(centre, problem.kernel(found.x))


def _whole_groups(inputs: Inputs, seed: int) -> NDArray[np.intp]:
    group = inputs.codes[:, NAMES.index("group")]
    order = np.random.default_rng(seed).permutation(np.unique(group))
    sizes = np.cumsum([np.sum(group == g) for g in order])
    kept = order[: max(1, int(np.searchsorted(sizes, _MOST_CELLS)))]
    return np.flatnonzero(np.isin(group, kept))


class _Problem:
    """Negative log posterior of the kernel's logarithms, with its gradient."""

    def __init__(self, inputs: Inputs, residuals: Array) -> None:
        self.residuals = residuals
        self.full = fullness(inputs)
        spread = inputs.numbers.std(axis=0)
        numbers = inputs.numbers
        self.squares = {
            name: (numbers[:, k][:, None] - numbers[:, k][None, :]) ** 2
            for k, name in enumerate(NUMBERS)
        }
        self.equal = [matches(names, inputs, inputs) for names, _, _ in STRUCTURE]
        first: list[float] = []
        for _, over, amplitude in STRUCTURE:
            first.append(np.log(amplitude))
            first += [float(np.log(2 * spread[NUMBERS.index(name)] + 0.3)) for name in over]
        self.begin = np.array([*first, np.log(0.06), np.log(1.5)])
        self.bounds = [(value - 3.0, value + 3.0) for value in self.begin]
        self.bounds[-2:] = [(np.log(0.01), np.log(1.0)), (np.log(0.5), np.log(50.0))]

    def kernel(self, theta: Array) -> Kernel:
        amplitudes, lengths, at = [], [], 0
        for _, over, _ in STRUCTURE:
            amplitudes.append(float(np.exp(theta[at])))
            lengths.append(tuple(float(v) for v in np.exp(theta[at + 1 : at + 1 + len(over)])))
            at += 1 + len(over)
        noise, full = np.exp(theta[at:])
        return Kernel(tuple(amplitudes), tuple(lengths), float(noise), float(full))

    def loss(self, theta: Array) -> tuple[float, Array]:
        from scipy.linalg import cho_factor, cho_solve

        n = len(self.residuals)
        values = self._values(theta)
        noise, full = np.exp(theta[-2:])
        deviation = noise * (1 + (full - 1) * self.full)
        covariance = sum(values) + np.diag(deviation**2)
        factor = cho_factor(covariance, lower=True, check_finite=False)
        weighted = cho_solve(factor, self.residuals)
        inner = cho_solve(factor, np.eye(n)) - np.outer(weighted, weighted)
        gradient = np.zeros_like(theta)
        at = 0
        for (_, over, _), value in zip(STRUCTURE, values, strict=True):
            product = inner * value
            gradient[at] = product.sum()
            for k, name in enumerate(over, start=at + 1):
                gradient[k] = 0.5 * np.exp(-2 * theta[k]) * (product * self.squares[name]).sum()
            at += 1 + len(over)
        diagonal = np.diag(inner)
        gradient[at] = (diagonal * deviation**2).sum()
        gradient[at + 1] = (diagonal * deviation * noise * full * self.full).sum()
        away = (theta - self.begin) / _PRIOR_WIDTH
        loss = 0.5 * self.residuals @ weighted + np.log(np.diag(factor[0])).sum()
        return float(loss + 0.5 * away @ away), gradient + away / _PRIOR_WIDTH

    def _values(self, theta: Array) -> list[Array]:
        values, at = [], 0
        for (_, over, _), equal in zip(STRUCTURE, self.equal, strict=True):
            distance: Array = np.zeros_like(self.squares["batch"])
            for k, name in enumerate(over, start=at + 1):
                distance += self.squares[name] * (0.5 * np.exp(-2 * theta[k]))
            value = np.exp(2 * theta[at]) * np.exp(-distance)
            values.append(value if equal is None else value * equal)
            at += 1 + len(over)
        return values
