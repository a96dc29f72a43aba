"""`python -m advisor.prediction.train`: learns from silicon_sample.csv and keeps the result.

Needs the optional extra [predict] (the rows, and scipy). About four minutes on two cores.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from advisor.prediction import fit
from advisor.prediction.cells import Cells, Table, table_of
from knowledge.errors import BadInput
from knowledge.prediction.gaussian import posterior
from knowledge.prediction.kernel import Array, Inputs
from knowledge.prediction.trained import FOLDER, Target, Trained, save
from tools import silicon

COMMAND = "python -m advisor.prediction.train"
_Z90 = 1.6449
_SOURCE = f"silicon_sample.csv, aiconfigurator-core {silicon.VERSION} (NVIDIA, Apache-2.0)"


def train(table: Table, chosen: NDArray[np.intp], *, seed: int = 0, date: str = "") -> Trained:
    """Learn from some cells only: whatever is left out is never looked at."""
    cells = table.cells
    efficiencies = fit.fit_efficiencies(cells, chosen)
    tpot_guess, ttft_guess = fit.guesses(cells, efficiencies)
    inputs = cells.inputs.take(chosen)
    group = cells.group[chosen]
    tpot, tpot_left = _target(inputs, (cells.log_tpot - tpot_guess)[chosen], group, seed)
    ttft, ttft_left = _target(inputs, (cells.log_ttft - ttft_guess)[chosen], group, seed)
    return Trained(
        efficiencies=efficiencies[0],
        ttft_efficiencies=efficiencies[1],
        tpot=tpot,
        ttft=ttft,
        vocabularies=cells.vocabularies,
        inputs=inputs,
        tpot_residuals=tpot_left,
        ttft_residuals=ttft_left,
        origin={
            "source": _SOURCE,
            "rows_sha256_16": table.digest,
            "rows": int(np.isin(table.index, chosen).sum()),
            "cells": len(chosen),
            "deployments": len(np.unique(group)),
            "date": date,
            "command": COMMAND,
        },
    )


def _target(
    inputs: Inputs, residuals: Array, group: NDArray[np.int64], seed: int
) -> tuple[Target, Array]:
    fitted = fit.fit_kernel(inputs, residuals, seed)
    centred = residuals - fitted.centre
    scores = []
    for one in np.unique(group):
        inside, outside = np.flatnonzero(group == one), np.flatnonzero(group != one)
        found = posterior(
            fitted.kernel, inputs.take(outside), centred[outside], inputs.take(inside)
        )
        scores.append(np.abs(centred[inside] - found.mean) / found.deviation)
    widen = float(np.quantile(np.concatenate(scores), 0.9)) / _Z90
    return Target(fitted.centre, fitted.kernel, widen), centred


def folds_of(cells: Cells, count: int, seed: int) -> list[NDArray[np.intp]]:
    """Cells of whole deployments, dealt at random: what each fold leaves out."""
    order = np.random.default_rng(seed).permutation(np.unique(cells.group))
    return [np.flatnonzero(np.isin(cells.group, order[k::count])) for k in range(count)]


def main(arguments: Sequence[str] = ()) -> None:
    """Train on everything and write knowledge/prediction/trained."""
    if not silicon.available():
        raise BadInput("нет строк для обучения", "pip install 'inference-advisor[predict]'")
    table = table_of(silicon.rows())
    date = datetime.now(UTC).date().isoformat()
    trained = train(table, np.arange(len(table.cells)), date=date)
    save(trained)
    print(f"{FOLDER}: {trained.origin}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
