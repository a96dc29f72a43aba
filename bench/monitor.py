"""How often the monitor is wrong, and how soon it is right: `python -m bench.monitor`.

Series with and without a change go through the detector that `advisor monitor` uses.
"""

import argparse
import json
import math
import random
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from knowledge.statistics.change import ChangeDetector

Next = Callable[[random.Random, float], float]
EVERY = 1_000
SERIES = 200
CHANGE_AT = 500
STATED = 2_764_800
"""15 s windows, 16 series, one false alarm a month: as the command sets it by default."""


def independent(source: random.Random, _: float) -> float:
    return source.gauss(0, 1)


def skewed(source: random.Random, _: float) -> float:
    return source.lognormvariate(0, 1)


def dependent(rho: float) -> Next:
    def draw(source: random.Random, before: float) -> float:
        return rho * before + math.sqrt(1 - rho * rho) * source.gauss(0, 1)

    return draw


def first_alarm(draw: Next, every: float, length: int, shift: float, seed: int) -> int | None:
    """The index of the first alarm; the values are shifted from CHANGE_AT on."""
    detector, source, value = ChangeDetector(every, seed=seed), random.Random(seed), 0.0
    for index in range(length):
        value = draw(source, value)
        if detector.update(value + (shift if index >= CHANGE_AT else 0.0)):
            return index
    return None


def false_alarms(draw: Next) -> dict[str, float]:
    """Share of series with an alarm among EVERY values without a change.

    One per EVERY values would leave 63 % of them with at least one.
    """
    found = [first_alarm(draw, EVERY, EVERY, 0.0, seed) for seed in range(SERIES)]
    return {"series_with_alarm": sum(one is not None for one in found) / SERIES,
            "stated_at_most": 1 - math.exp(-1)}  # fmt: skip


def delays(draw: Next, shift: float) -> dict[str, float | None]:
    """Values from a change to its alarm at the command's default rate."""
    found = [first_alarm(draw, STATED, CHANGE_AT + 480, shift, seed) for seed in range(SERIES // 4)]
    late = sorted(one - CHANGE_AT for one in found if one is not None and one >= CHANGE_AT)
    return {
        "found_within_2h": len(late) / len(found),
        "median_windows": statistics.median(late) if late else None,
        "false": sum(one is not None and one < CHANGE_AT for one in found) / len(found),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    kinds = {"independent": independent, "skewed": skewed, "ar 0.5": dependent(0.5),
             "ar 0.7": dependent(0.7)}  # fmt: skip
    rows: dict[str, Any] = {
        name: {"false_alarms": false_alarms(draw),
               "delay": {f"{s} sigma": delays(draw, s) for s in (1.0, 2.0, 3.0, 5.0)}}
        for name, draw in kinds.items()
    }  # fmt: skip
    for name, row in rows.items():
        wrong = row["false_alarms"]
        print(
            f"{name:12} alarm within {EVERY} values without a change: "
            f"{wrong['series_with_alarm']:.3f} (stated: at most {wrong['stated_at_most']:.3f})"
        )
        for shift, seen in row["delay"].items():
            print(
                f"{'':12} {shift}: found within 2 h {seen['found_within_2h']:.2f}, "
                f"median {seen['median_windows']} windows, "
                f"before the change {seen['false']:.2f}"
            )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
