"""How far predictions are from measurements nobody showed them.

    python -m bench.prediction [--json FILE] [--refit] [--aiconfigurator N]

Rows: aggregated serving of silicon_sample.csv, grouped by deployment (engine, model, GPU,
precision, parallelism). (a) no row of the deployment, (b) after 3 rows of it, chosen at random,
20 seeds, (c) no row of the model at all, (d) what ships, on points of another host
(bench/prediction_points.yaml), (e) those of models that the host's own calibration has not seen,
before it and after it, (f) another card before and after that calibration. Copies of a cell stay
on one side. Needs [predict].
What the folds learned is kept in bench/prediction_folds.json; --refit learns it again (10 min).
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from advisor.prediction import fit
from advisor.prediction.cells import Cells, Table, table_of
from advisor.prediction.train import folds_of, train
from knowledge.devices import find_device
from knowledge.known_models import require_architecture
from knowledge.prediction import Layout, Load, Observation, Query, predict
from knowledge.prediction.features import NAMES
from knowledge.prediction.gaussian import posterior
from knowledge.prediction.speed import LogFigure
from knowledge.prediction.trained import Target, structure, target_from
from tools import silicon

SEEDS, SHOTS, FOLDS, MODEL_FOLDS = 20, 3, 5, 4
POINTS = Path(__file__).with_name("prediction_points.yaml")
KEPT = Path(__file__).with_name("prediction_folds.json")
FIGURES = ("tpot", "ttft")


@dataclass(frozen=True)
class Fold:
    """What was learned without some deployments (or models), and which."""

    left_out: tuple[str, ...]
    efficiencies: fit.Efficiencies
    targets: tuple[Target, Target]


@dataclass(frozen=True)
class Scores:
    """Relative errors of single rows, and whether the 90 % interval held."""

    errors: NDArray[np.float64]
    held: NDArray[np.bool_]

    def summary(self) -> dict[str, float]:
        size = np.abs(self.errors)
        return {
            "n": len(size),
            "mape_percent": round(float(size.mean()) * 100, 1),
            "median_ape_percent": round(float(np.median(size)) * 100, 1),
            "coverage_percent": round(float(self.held.mean()) * 100, 1),
        }


def leave_out(table: Table, *, by_model: bool) -> list[NDArray[np.intp]]:
    """Indices of the cells that each fold never sees: whole deployments, or whole models."""
    cells = table.cells
    if not by_model:
        return folds_of(cells, FOLDS, seed=7)
    model = cells.inputs.codes[:, NAMES.index("model")]
    order = np.random.default_rng(7).permutation(np.unique(model))
    return [np.flatnonzero(np.isin(model, order[k::MODEL_FOLDS])) for k in range(MODEL_FOLDS)]


def learn(table: Table, left_out: NDArray[np.intp], seed: int) -> Fold:
    rest = np.setdiff1d(np.arange(len(table.cells)), left_out)
    found = train(table, rest, seed=seed)
    efficiencies = (found.efficiencies, found.ttft_efficiencies)
    return Fold(names_of(table.cells, left_out), efficiencies, (found.tpot, found.ttft))


def names_of(cells: Cells, index: NDArray[np.intp]) -> tuple[str, ...]:
    column = NAMES.index("group")
    return tuple(sorted({cells.described[k].names[column] for k in index}))


def score(table: Table, fold: Fold, left_out: NDArray[np.intp], figure: int,
          *, by_model: bool = False) -> tuple[list[Scores], list[Scores]]:  # fmt: skip
    """(a) or (c), and (b), for every deployment of the fold."""
    cells = table.cells
    target = fold.targets[figure]
    logs, rows = ((cells.log_tpot, table.log_tpot), (cells.log_ttft, table.log_ttft))[figure]
    guess = fit.guesses(cells, fold.efficiencies)[figure] + target.centre
    none, few = [], []
    for group in np.unique(cells.group[left_out]):
        inside = np.flatnonzero(cells.group == group)
        hidden = left_out if by_model else inside
        outside = np.setdiff1d(np.arange(len(cells)), hidden)
        assert not np.isin(cells.cell[outside], cells.cell[inside]).any(), "a copy leaks"
        found = posterior(
            target.kernel, cells.inputs.take(outside), (logs - guess)[outside],
            cells.inputs.take(inside),
        )  # fmt: skip
        here = np.flatnonzero(np.isin(table.index, inside))
        at = np.searchsorted(inside, table.index[here])
        residuals = rows[here] - guess[table.index[here]]
        none.append(_scores(found.mean[at], found.deviation[at] * target.widen, residuals))
        few += _few_shot(found, target, residuals, at, cells.cell[table.index[here]], int(group))
    return none, few


def _few_shot(found: Any, target: Target, residuals: NDArray[np.float64], at: NDArray[np.intp],
              cell: NDArray[np.int64], group: int) -> list[Scores]:  # fmt: skip
    """Three rows calibrate; every row of their cells leaves the test."""
    if len(np.unique(cell)) <= SHOTS:
        return []
    rng = np.random.default_rng((20261123, group))
    out = []
    for _ in range(SEEDS):
        picked = rng.choice(len(at), SHOTS, replace=False)
        after = found.given(at[picked], residuals[picked])
        rest = ~np.isin(cell, cell[picked])
        deviation = after.deviation[at][rest]
        out.append(_scores(after.mean[at][rest], deviation, residuals[rest]))
    return out


def _scores(mean: NDArray[np.float64], deviation: NDArray[np.float64],
            truth: NDArray[np.float64]) -> Scores:  # fmt: skip
    figures = [LogFigure(float(m), float(d)) for m, d in zip(mean, deviation, strict=True)]
    values = np.array([one.figure.value for one in figures])
    held = [one.figure.low <= t <= one.figure.high
            for one, t in zip(figures, np.exp(truth), strict=True)]  # fmt: skip
    return Scores(values / np.exp(truth) - 1, np.array(held, dtype=bool))


def joined(parts: list[Scores]) -> Scores:
    return Scores(
        np.concatenate([p.errors for p in parts]), np.concatenate([p.held for p in parts])
    )


def folds(table: Table, *, refit: bool) -> tuple[list[Fold], list[Fold]]:
    """Kept ones where they were learned from these very rows and features, else learned now."""
    if KEPT.is_file() and not refit:
        kept = json.loads(KEPT.read_text())
        if (kept["rows_sha256_16"], kept.get("structure")) == (table.digest, structure()):
            return [_fold(one) for one in kept["deployments"]], [
                _fold(one) for one in kept["models"]
            ]
    both = [[learn(table, out, k) for k, out in enumerate(leave_out(table, by_model=by_model))]
            for by_model in (False, True)]  # fmt: skip
    kept = {
        "rows_sha256_16": table.digest,
        "structure": structure(),
        "deployments": [asdict(f) for f in both[0]],
        "models": [asdict(f) for f in both[1]],
    }
    KEPT.write_text(json.dumps(kept, indent=1) + "\n")
    return both[0], both[1]


def _fold(kept: dict[str, Any]) -> Fold:
    tpot, ttft = (target_from(one) for one in kept["targets"])
    first, second = (tuple(row) for row in kept["efficiencies"])
    return Fold(tuple(kept["left_out"]), (first, second), (tpot, ttft))


def run(*, refit: bool) -> dict[str, Any]:
    rows = silicon.rows()
    table = table_of(rows)
    found: dict[str, Any] = {
        "rows": len(rows),
        "groups_as_named": len({row.named_group for row in rows}),
        "deployments": len(np.unique(table.cells.group)),
        "cells": len(np.unique(table.cells.cell)),
    }
    deployments, models = folds(table, refit=refit)
    for by_model, learned in ((False, deployments), (True, models)):
        parts = leave_out(table, by_model=by_model)
        for fold, out in zip(learned, parts, strict=True):
            assert fold.left_out == names_of(table.cells, out), "kept folds are of another split"
        for k, figure in enumerate(FIGURES):
            none, few = [], []
            for fold, out in zip(learned, parts, strict=True):
                first, second = score(table, fold, out, k, by_model=by_model)
                none += first
                few += second
            if by_model:
                found[f"c_{figure}"] = joined(none).summary()
            else:
                found[f"a_{figure}"] = joined(none).summary()
                found[f"b_{figure}"] = joined(few).summary()
    return found


def elsewhere() -> dict[str, Any]:
    """(d): the shipped predictor on points that another host measured; (e): the same for models
    that the host's calibration has not seen, before it and after it; (f): another card, before
    and after calibration on the first."""
    kept = yaml.safe_load(POINTS.read_text())
    seen = [(_observation(kept, point), point[-1]) for point in kept["points"]]
    own = [one for one, _ in seen if one.model == kept["calibrated_on"]]
    unseen = [(one, rate) for one, rate in seen if one.model != kept["calibrated_on"]]
    another = kept["another_gpu"]
    other = [(_observation(another, point), point[-1]) for point in another["points"]]
    return (
        _scored("d", seen, ())
        | _scored("e_before", unseen, ())
        | _scored("e_after", unseen, own)
        | _scored("f_before", other, ())
        | _scored("f_after", other, own)
    )


def _observation(kept: dict[str, Any], point: list[Any]) -> Observation:
    model, dtype, given, wanted, streams, ttft_ms, tpot_ms, _ = point
    device = find_device(kept["gpu"])
    return Observation(
        model=model, engine="vllm", device=device.name, hardware=device, layout=Layout(),
        facts=require_architecture(model).facts, weight_dtype=dtype, input_tokens=given,
        output_tokens=wanted, concurrency=streams, ttft_ms=ttft_ms, tpot_ms=tpot_ms,
        source="here", reference=kept["source"],
    )  # fmt: skip


def _scored(
    name: str, points: Sequence[tuple[Observation, float | None]], known: Sequence[Observation]
) -> dict[str, Any]:
    figures = ("ttft_ms", "tpot_ms", "output_tokens_per_s")
    errors: dict[str, list[float]] = {figure: [] for figure in figures}
    held: dict[str, list[bool]] = {figure: [] for figure in figures}
    for point, rate in points:
        assert point.facts is not None
        assert point.hardware is not None
        query = Query(
            facts=point.facts, device=point.hardware, weight_dtype=point.weight_dtype,
            load=Load(input_tokens=point.input_tokens, output_tokens=point.output_tokens,
                      concurrency=point.concurrency),
        )  # fmt: skip
        prediction = predict(query, known)
        measured = (point.ttft_ms, point.tpot_ms, rate)
        for figure, truth in zip(figures, measured, strict=True):
            if truth is not None:
                said = getattr(prediction, figure)
                errors[figure].append(said.value / truth - 1)
                held[figure].append(said.low <= truth <= said.high)
    return {
        f"{name}_{figure}": Scores(np.array(errors[figure]), np.array(held[figure])).summary()
        for figure in figures
    }


def show(found: dict[str, Any]) -> None:
    print(f"{found['rows']} rows, {found['groups_as_named']} groups as the file names them, "
          f"{found['deployments']} deployments once aliases are put together, "
          f"{found['cells']} cells")  # fmt: skip
    print(f"{'':12}{'MAPE':>8}{'median':>8}{'held':>8}{'n':>8}")
    for name, one in found.items():
        if isinstance(one, dict):
            coverage = one.get("coverage_percent")
            print(f"{name:12}{one['mape_percent']:8}{one['median_ape_percent']:8}"
                  f"{coverage if coverage is not None else '':>8}{one['n']:8}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--refit", action="store_true")
    parser.add_argument("--aiconfigurator", type=int, metavar="ROWS", default=0,
                        help="run its own model too, on so many rows at random")  # fmt: skip
    options = parser.parse_args()
    found = run(refit=options.refit)
    if options.aiconfigurator:
        from bench import aiconfigurator

        found |= aiconfigurator.compare(silicon.rows(), options.aiconfigurator)
    found |= elsewhere()
    show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
