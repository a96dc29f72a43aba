"""Predicted intervals of the speed-up beside what was measured."""

from pathlib import Path
from typing import Any

from advisor.report.context import ReportContext
from advisor.report.figures._style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    RED,
    canvas,
    russian_ticks,
    tick,
)
from knowledge.types import Hypothesis, TrialResult, Verdict

TITLE = "Прогноз ускорения и измерение"

Row = tuple[TrialResult, Hypothesis, Verdict | None]


def available(ctx: ReportContext) -> bool:
    """Whether there is anything to compare."""
    return any(verdict and verdict.speedup for _, _, verdict in ctx.tested)


def draw(ctx: ReportContext, path: Path) -> None:
    """Write the picture."""
    rows = ctx.tested
    with canvas(path, TITLE, height=2.0 + 0.55 * len(rows)) as axes:
        axes.set_xscale("log")
        axes.axvline(1, color=GREY, linewidth=1)
        for position, row in enumerate(rows):
            _draw_row(axes, position, row)
        names = [tick(h.title, t.trial_id.split("-")[0]) for t, h, _ in rows]
        axes.set_yticks(range(len(rows)), names)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        low, high = _range(rows)
        axes.set_xlim(low, high)
        russian_ticks(axes.xaxis, low, high, wanted=9)
        axes.set_xlabel("Во сколько раз лучше, чем до изменения (логарифмическая шкала)")
        _legend(axes)


def _draw_row(axes: Any, position: int, row: Row) -> None:
    _, hypothesis, verdict = row
    predicted = hypothesis.predicted_speedup
    axes.plot(
        [predicted.low, predicted.high], [position, position],
        color=ORANGE, linewidth=11, solid_capstyle="butt", alpha=0.55,
    )  # fmt: skip
    if verdict is None or verdict.speedup is None:
        axes.text(
            predicted.high * 1.03, position, "не измерено", va="center", fontsize=9, color=BLACK
        )
        return
    measured = verdict.speedup
    hit = verdict.prediction_hit is not False
    axes.plot(
        [measured.low, measured.high], [position] * 2, color=BLUE if hit else RED, linewidth=2
    )
    axes.plot(
        measured.value,
        position,
        color=BLUE if hit else RED,
        marker="o" if hit else "X",
        markersize=8,
    )


def _range(rows: tuple[Row, ...]) -> tuple[float, float]:
    lows = [h.predicted_speedup.low for _, h, _ in rows]
    highs = [h.predicted_speedup.high for _, h, _ in rows]
    for _, _, verdict in rows:
        if verdict and verdict.speedup:
            lows.append(verdict.speedup.low)
            highs.append(verdict.speedup.high)
    return max(0.02, min(0.9, *lows) / 1.05), max(1.1, *highs) * 1.08


def _legend(axes: Any) -> None:
    from matplotlib.lines import Line2D

    axes.figure.legend(
        handles=[
            Line2D([], [], color=ORANGE, linewidth=9, alpha=0.55, label="прогноз (90 %)"),
            Line2D([], [], color=BLUE, marker="o", label="измерено, прогноз сбылся (95 %)"),
            Line2D([], [], color=RED, marker="X", label="измерено, прогноз не сбылся (95 %)"),
        ],
        loc="outside lower center",
        ncols=3,
        fontsize=10,
    )  # fmt: skip
