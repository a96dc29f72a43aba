"""Latency against throughput, with the Pareto front."""

from pathlib import Path
from typing import Any

from advisor.report import labels
from advisor.report.context import ReportContext, figure
from advisor.report.figures._style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    canvas,
    russian_ticks,
)
from knowledge.types import Estimate, Metric, TrialResult

TITLE = "Задержка и пропускная способность всех измеренных конфигураций"

Point = tuple[TrialResult, Estimate, Estimate]


def available(ctx: ReportContext) -> bool:
    """Whether there is anything to compare."""
    return len(_points(ctx)) >= 2


def front(points: list[Point]) -> list[Point]:
    """Points that no other beats in both figures, by rising throughput."""
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (-p[1].value, p[2].value)):
        if not best or point[2].value < best[-1][2].value:
            best.append(point)
    return best[::-1]


def draw(ctx: ReportContext, path: Path) -> None:
    """Write the picture."""
    points = _points(ctx)
    latency = labels.metric(_latency(ctx))
    with canvas(path, TITLE, height=5.6) as axes:
        axes.set_xscale("log")
        axes.set_yscale("log")
        named: set[str] = set()
        for point in points:
            _draw_point(axes, ctx, point, named)
        _limits(axes, points)
        _draw_front(axes, front([p for p in points if not _spoiled(ctx, p[0])]))
        _draw_names(axes, points)
        axes.set_xlabel("Output throughput, ток/с (правее — лучше)")
        axes.set_ylabel(f"{latency}, мс (ниже — лучше)")
        axes.legend(loc="best", fontsize=10)


def _points(ctx: ReportContext) -> list[Point]:
    found = []
    for trial in ctx.record.trials:
        rate = figure(trial, Metric.OUTPUT_TOKENS_PER_S)
        latency = figure(trial, _latency(ctx))
        if rate and latency and min(rate.low, latency.low) > 0:
            found.append((trial, rate, latency))
    return found


def _latency(ctx: ReportContext) -> Metric:
    return Metric.E2E_P50_MS if ctx.objective.higher_is_better else ctx.objective


def _draw_point(axes: Any, ctx: ReportContext, point: Point, named: set[str]) -> None:
    trial, rate, latency = point
    text, colour, marker = _kind(ctx, trial)
    axes.errorbar(
        rate.value, latency.value,
        xerr=[[max(0, rate.value - rate.low)], [max(0, rate.high - rate.value)]],
        yerr=[[max(0, latency.value - latency.low)], [max(0, latency.high - latency.value)]],
        fmt=marker, color=colour, markersize=14 if marker == "*" else 8,
        elinewidth=1, markeredgecolor="white",
        label=text if text not in named else None, zorder=3,
    )  # fmt: skip
    named.add(text)


def _draw_front(axes: Any, line: list[Point]) -> None:
    """A staircase: everything above and to the left of it is beaten by some point on it."""
    if not line:
        return
    xs, ys = [axes.get_xlim()[0]], [line[0][2].value]
    for (_, rate, latency), after in zip(line, [*line[1:], None], strict=True):
        xs += [rate.value, rate.value]
        ys += [latency.value, after[2].value if after else axes.get_ylim()[1]]
    axes.plot(xs, ys, color=GREY, linestyle="--", linewidth=1.4, zorder=1, label="граница Парето")


def _draw_names(axes: Any, points: list[Point]) -> None:
    """Trial numbers; points that stand too close to be told apart share one label."""
    groups: list[tuple[tuple[float, float], list[Point]]] = []
    for point in sorted(points, key=lambda p: p[0].spec.ordinal):
        x, y = axes.transAxes.inverted().transform(
            axes.transData.transform((point[1].value, point[2].value))
        )
        for (gx, gy), group in groups:
            if abs(gx - x) < 0.05 and abs(gy - y) < 0.05:
                group.append(point)
                break
        else:
            groups.append(((x, y), [point]))
    for (x, y), group in groups:
        text = ", ".join(trial.trial_id.split("-")[0] for trial, _, _ in group)
        left = x > 0.8
        axes.annotate(
            text, (x, y), xycoords="axes fraction", textcoords="offset points",
            xytext=(-10 if left else 8, -14 if left else 8), ha="right" if left else "left",
            fontsize=9, color=BLACK,
        )  # fmt: skip


def _kind(ctx: ReportContext, trial: TrialResult) -> tuple[str, str, str]:
    if trial.spec.purpose == "naive":
        return "наивная реализация", RED, "s"
    if trial.spec.candidate == ctx.record.task.default:
        return "движок по умолчанию", ORANGE, "D"
    if ctx.winner is not None and trial.spec.candidate == ctx.winner.spec.candidate:
        return "победитель", GREEN, "*"
    if _spoiled(ctx, trial):
        return "не прошли проверки", GREY, "X"
    return "проверенные гипотезы", BLUE, "o"


def _spoiled(ctx: ReportContext, trial: TrialResult) -> bool:
    """Whether it may not be handed in, however fast it is: the front leaves it out."""
    verdict = ctx.verdict(trial.trial_id)
    broken = trial.integrity is not None and not trial.integrity.passed
    return broken or bool(verdict and verdict.quality and not verdict.quality.non_inferior)


def _limits(axes: Any, points: list[Point]) -> None:
    for axis, set_limits, column in (
        (axes.xaxis, axes.set_xlim, 1),
        (axes.yaxis, axes.set_ylim, 2),
    ):
        low = min(p[column].low for p in points) / 1.25  # type: ignore[union-attr]
        high = max(p[column].high for p in points) * 1.25  # type: ignore[union-attr]
        set_limits(low, high)
        russian_ticks(axis, low, high)
