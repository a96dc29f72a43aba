"""python -m bench.search [--json FILE] [--grids DIR] [--raw] [--seeds N] [--trials N]
[--policies A,B] [--spaces A,B]

Every policy of the product on recorded grids and simulated spaces, through the product's ask and
tell, with the same budget of trials and the same noise, to the end of a session: the run-off and
the test from cold; then what the hand-in loses. SMAC3 is slow to ask: it runs on the first
--smac-seeds of them, and only where it is installed.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean, median
from typing import Any

from advisor.policies import load, portfolio
from advisor.policy.base import Policy
from bench.search.grids import FOLDER, load_grids
from bench.search.handin import HandIn, session, surface_of
from bench.search.replay import Run, replay
from bench.search.spaces import FAMILIES, draw
from bench.search.surface import Surface

POLICIES = ("portfolio", "portfolio-blind", "knowledge", "gp", "search", "random", "smac")
OPTIMIZERS = ("search", "smac")
_SESSIONS, _SESSION_TRIALS = 20, 16
Job = tuple[str, int, tuple[str, ...], int, str, bool]


def policy_of(name: str) -> Policy:
    """The product's own."""
    return portfolio.BLIND if name == "portfolio-blind" else load(name)


def run(job: Job) -> list[dict[str, Any]]:
    """All policies on one space with one seed."""
    space, seed, policies, trials, grids, raw = job
    surface = _surface(space, seed, grids, raw)
    return [
        _row(space, surface, replay(surface, name, policy_of(name), seed, trials))
        for name in policies
    ]


def _surface(space: str, seed: int, grids: str, raw: bool) -> Surface:
    for family in FAMILIES:
        if family.name == space:
            return draw(family, seed)
    surface = next(one for one in load_grids(Path(grids), raw=raw) if one.name == space)
    surface.task = surface.task.replace(seed=seed)
    return surface


def _row(space: str, surface: Surface, found: Run) -> dict[str, Any]:
    return {
        "space": space,
        "seed": surface.task.seed,
        "policy": found.policy,
        "regret": [1 - math.exp(best - surface.best) for best in found.best],
        "seconds": list(found.seconds),
        "failures": found.failures,
        "handed_in": found.handed_in,
        "handed_in_regret": 1 - math.exp(found.handed_in - surface.best),
        "default": surface.gain(surface.task.default),
        "default_regret": 1 - math.exp(surface.gain(surface.task.default) - surface.best),
        "cards_agree": surface.cards_agree,
        "configurations": len(surface.rows),
        "best_gain": math.exp(surface.best),
    }


def summary(rows: Sequence[dict[str, Any]], trials: int) -> dict[str, Any]:
    """Medians over the seeds. A run that never gets there counts as two budgets, one whose default
    is there already as no trial."""
    courses = [[row["default_regret"], *row["regret"]] for row in rows]
    reached = [
        next((k for k, regret in enumerate(course) if regret <= 0.02), 2 * trials)
        for course in courses
    ]
    seconds = [
        [0.0, *row["seconds"]][at] if at <= len(row["seconds"]) else math.nan
        for row, at in zip(rows, reached, strict=True)
    ]
    known = [s for s in seconds if not math.isnan(s)]

    def regret(share: float) -> float:
        at = round(share * trials)
        return median(course[min(at, len(course) - 1)] for course in courses)

    return {
        "seeds": len(rows),
        "trials_to_98": median(reached),
        "reached": fmean(at <= trials for at in reached),
        "seconds_to_98": median(known) if known else None,
        "regret_25": regret(0.25),
        "regret_50": regret(0.5),
        "regret_100": regret(1.0),
        "mean_regret_100": fmean(course[-1] for course in courses),
        "regret_handed_in": median(row["handed_in_regret"] for row in rows),
        "failures": fmean(row["failures"] for row in rows),
        "below_default": sum(row["handed_in"] < row["default"] - 0.03 for row in rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--grids", type=Path, default=FOLDER)
    parser.add_argument("--raw", action="store_true", help="Figures of grids as they were measured")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--smac-seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--policies", default=",".join(POLICIES))
    parser.add_argument("--spaces", help="Beginnings of names, separated by commas; else all")
    options = parser.parse_args()
    begun = time.monotonic()
    names = [surface.name for surface in load_grids(options.grids)] + [f.name for f in FAMILIES]
    if options.spaces:
        names = [name for name in names if name.startswith(tuple(options.spaces.split(",")))]
    asked = tuple(options.policies.split(","))
    if find_spec("smac") is None:
        asked = tuple(name for name in asked if name != "smac")
    jobs = [
        (name, seed, tuple(p for p in asked if p != "smac" or seed < options.smac_seeds),
         options.trials, str(options.grids), options.raw)
        for seed in range(options.seeds) for name in names
    ]  # fmt: skip
    with ProcessPoolExecutor(options.workers) as pool:
        rows = [row for found in pool.map(run, jobs) for row in found]
        handed = list(pool.map(_hand_in, range(_SESSIONS)))
    result = {
        "spaces": {n: _of_space(n, [r for r in rows if r["space"] == n], options) for n in names},
        "hand_in": [vars(one) | {"loss": one.loss} for one in handed],
        "seconds": time.monotonic() - begun,
    }
    _show(result, options.trials)
    _show_hand_in(handed)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


def _of_space(name: str, rows: Sequence[dict[str, Any]], options: Any) -> dict[str, Any]:
    agree = [row["cards_agree"] for row in rows if row["cards_agree"] is not None]
    return {
        "configurations": rows[0]["configurations"],
        "median_best_gain": median(row["best_gain"] for row in rows),
        "cards_agree": median(agree) if agree else None,
        "regret_above_optimizers": _above_optimizers(rows),
        "policies": {
            policy: summary([row for row in rows if row["policy"] == policy], options.trials)
            for policy in dict.fromkeys(row["policy"] for row in rows)
        },
    }


def _above_optimizers(rows: Sequence[dict[str, Any]]) -> float:
    """The portfolio's mean regret above the better optimizer's, on the seeds that both had."""
    last: dict[str, dict[int, float]] = {}
    for row in rows:
        course = [row["default_regret"], *row["regret"]]
        last.setdefault(row["policy"], {})[row["seed"]] = course[-1]
    ours = last.get("portfolio", {})
    apart = [
        fmean(ours[seed] - regret for seed, regret in last[name].items())
        for name in OPTIMIZERS
        if ours and name in last
    ]
    return max(0.0, *apart) if apart else 0.0


def _hand_in(seed: int) -> HandIn:
    return session(surface_of(seed), portfolio.POLICY, _SESSION_TRIALS)


def _show(result: dict[str, Any], trials: int) -> None:
    for name, space in result["spaces"].items():
        agree = space["cards_agree"]
        print(
            f"\n{name}: {space['configurations']} configurations, best "
            f"x{space['median_best_gain']:.2f} over the default, rank correlation of cards and "
            f"truth {'unknown' if agree is None else format(agree, '.2f')}"
        )
        print(
            f"{'policy':16} seeds  to 98 %  reached  regret at 25/50/100 %  handed in  failures"
            "  s to 98 %"
        )
        for policy, one in space["policies"].items():
            at = f"{one['trials_to_98']:.0f}" if one["trials_to_98"] <= trials else f">{trials}"
            took = "-" if one["seconds_to_98"] is None else f"{one['seconds_to_98']:.0f}"
            print(
                f"{policy:16} {one['seeds']:5}  {at:>7}  {one['reached']:7.0%}  "
                f"{one['regret_25']:6.1%} {one['regret_50']:6.1%} {one['regret_100']:6.1%}"
                f"  {one['regret_handed_in']:9.1%}  {one['failures']:8.1f}  {took:>9}"
            )
        _show_aims(space["policies"], space["regret_above_optimizers"], trials)


def _show_aims(policies: dict[str, Any], worse: float, trials: int) -> None:
    """What was promised of the portfolio, against what was seen."""
    others = [name for name in OPTIMIZERS if name in policies]
    if "portfolio" not in policies or not others:
        return
    ours = policies["portfolio"]
    theirs = min(policies[name]["trials_to_98"] for name in others)
    half = "yes" if ours["trials_to_98"] <= theirs / 2 else "NO"
    print(
        f"98 % of the best in at most half the trials of {' and '.join(others)}: {half} "
        f"({ours['trials_to_98']:.0f} against {theirs:.0f}{', never' if theirs > trials else ''});"
        f" mean regret after {trials} trials {worse:.1%} above the better of them;"
        f" handed in below the default: {ours['below_default']} of {ours['seeds']}"
    )


def _show_hand_in(handed: Sequence[HandIn]) -> None:
    def worst(of: Callable[[HandIn], float]) -> str:
        losses = [1 - math.exp(of(one) - one.best_tried) for one in handed]
        return f"median {median(losses):.2%}, worst {max(losses):.2%}"

    curse = median(one.claimed - one.naive for one in handed)
    print(f"\nHand-in, {len(handed)} sessions of {_SESSION_TRIALS} trials with noise and drift:")
    print(f"loss to the best tried, best single figure: {worst(lambda one: one.naive)}")
    print(f"loss, what the verdicts kept:               {worst(lambda one: one.kept)}")
    print(f"loss, shrunken and measured again:          {worst(lambda one: one.handed_in)}")
    print(
        f"winner's curse of the best figure: {math.expm1(curse):.2%}; repetitions: "
        f"{median(one.repeats for one in handed):.0f}"
    )


if __name__ == "__main__":
    main()
