"""What every change that was kept added, from the default to what was handed in."""

from pathlib import Path

from advisor import outcome
from advisor.report import labels
from advisor.report.context import ReportContext, cite, figure
from advisor.report.figures._style import BLACK, BLUE, GREEN, GREY, ORANGE, RED, canvas, tick
from advisor.report.numbers import number
from knowledge.types import Decision, Estimate

TITLE = "Из чего сложился выигрыш"

Step = tuple[str, Estimate]


def steps(ctx: ReportContext) -> list[Step]:
    """(label, measured objective): the default, each change kept, the production test."""
    found: list[Step] = []
    default = outcome.screened_default(ctx.record)
    if start := figure(default, ctx.objective):
        found.append((tick(f"{ctx.engine} по умолчанию", _number(default)), start))
    for trial, hypothesis, verdict in ctx.tested:
        value = figure(trial, ctx.objective)
        if verdict and verdict.decision == Decision.KEPT and value:
            found.append((tick(hypothesis.title, _number(trial)), value))
    final = figure(ctx.winner, ctx.objective) if ctx.record.production else None
    if final:
        found.append((tick("Production-проверка", _number(ctx.winner)), final))
    return found


def available(ctx: ReportContext) -> bool:
    """Whether there is anything to compare."""
    return len(steps(ctx)) >= 2


def draw(ctx: ReportContext, path: Path) -> None:
    """Write the picture."""
    found = steps(ctx)
    metric = ctx.objective
    with canvas(path, TITLE, height=1.9 + 0.55 * len(found)) as axes:
        top = max(value.high for _, value in found)
        for row, (_, value) in enumerate(found):
            whole = row == 0 or (row == len(found) - 1 and ctx.record.production is not None)
            if whole:
                axes.barh(row, value.value, color=ORANGE if row == 0 else GREEN, height=0.6)
            else:
                before = found[row - 1][1].value
                better = (value.value > before) == metric.higher_is_better
                axes.barh(
                    row,
                    value.value - before,
                    left=before,
                    color=BLUE if better else RED,
                    height=0.6,
                )
            if row:
                before = found[row - 1][1].value
                axes.plot([before, before], [row - 1 + 0.3, row - 0.3], color=GREY, linewidth=1)
            axes.plot([value.low, value.high], [row, row], color=BLACK, linewidth=1.2)
            right = max(value.high, found[row - 1][1].value if row and not whole else 0)
            text = f"{number(value.value)} [{number(value.low)}; {number(value.high)}]"
            axes.text(right + top * 0.012, row, text, va="center", fontsize=10, color=BLACK)
        axes.set_yticks(range(len(found)), [label for label, _ in found])
        axes.invert_yaxis()
        axes.set_xlim(0, top * 1.45)
        axes.xaxis.set_major_formatter(lambda value, _position: number(value, 0))
        axes.grid(visible=False, axis="y")
        direction = "больше" if metric.higher_is_better else "меньше"
        axes.set_xlabel(f"{labels.metric(metric)}, {labels.unit(metric)} ({direction} — лучше)")


def _number(trial: object) -> str:
    return cite(trial).strip("`").split("-")[0]  # type: ignore[arg-type]
