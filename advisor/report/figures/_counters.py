"""Kernels of a step under the card's two ceilings, as Nsight Compute counted them."""

from pathlib import Path

from advisor.report.figures._style import BLUE, ORANGE, canvas
from advisor.report.numbers import number
from knowledge.types import KernelPoints
from knowledge.verdicts import PHASE_NAMES

TITLE = "Насколько ядра близки к потолкам карты"
_SHOWN = 6
_LONGEST = 44


def draw_points(steps: tuple[KernelPoints, ...], path: Path) -> None:
    """Two bars for each of the longest kernels of each step: DRAM and SM, in per cent of peak."""
    rows = [(step, point) for step in steps for point in step.points[:_SHOWN]]
    with canvas(path, TITLE, height=1.8 + 0.42 * len(rows)) as axes:
        for place, (_, point) in enumerate(reversed(rows)):
            axes.barh(place + 0.2, 100 * point.dram_share, color=BLUE, height=0.36)
            axes.barh(place - 0.2, 100 * point.sm_share, color=ORANGE, height=0.36)
            axes.text(101, place, f"{number(point.total_us / 1e3, 2)} мс", va="center")
        names = [
            f"{PHASE_NAMES[step.phase]}: {point.name[:_LONGEST]}" for step, point in reversed(rows)
        ]
        axes.set_yticks(range(len(names)), names)
        axes.set_xlim(0, 116)
        axes.set_xticks(range(0, 101, 20))
        axes.set_xlabel("Доля пика, %")
        axes.grid(visible=False, axis="y")
        handles = [axes.barh(0, 0, color=BLUE), axes.barh(0, 0, color=ORANGE)]
        axes.figure.legend(handles, ["DRAM", "SM"], ncols=2, loc="outside lower center")
