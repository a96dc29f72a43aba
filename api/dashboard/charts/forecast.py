"""Predicted intervals of the speed-up beside what was measured."""

from collections.abc import Sequence

from markupsafe import Markup

from api.dashboard import svg
from api.dashboard.language import Language
from api.schemas import TrialView

_ROW = 40.0


def draw(trials: Sequence[TrialView], language: Language) -> Markup:
    """Both widths; nothing before a hypothesis was measured."""
    rows = [trial for trial in trials if trial.predicted_speedup]
    if not any(trial.speedup for trial in rows):
        return Markup("")
    return svg.both(lambda width: _draw(rows, language, width))


def _draw(rows: list[TrialView], language: Language, width: float) -> svg.Drawing:
    height = 26 + _ROW * len(rows) + 40
    picture = svg.Drawing(width, height, language.t("Прогноз ускорения и измерение"), "forecast")
    ends = [1.0]
    for trial in rows:
        for span in (trial.predicted_speedup, trial.speedup):
            ends += [span.low, span.high] if span else []
    low, high = max(0.05, min(ends)), max(ends)
    x = svg.Scale(*svg.padded([low, high], log=True), 10, width - 12, log=True)
    bottom = 26 + _ROW * len(rows)
    for value in x.ticks(7 if width > 500 else 4):
        picture.line("grid", x(value), 14, x(value), bottom)
        picture.text("tick", x(value), bottom + 16, f"×{language.tick(value)}", "middle")
    picture.line("one", x(1), 10, x(1), bottom)
    picture.text("label", width - 12, bottom + 34, language.t("во сколько раз лучше"), "end")
    for number, trial in enumerate(rows):
        _row(picture, trial, 26 + _ROW * number, x, language)
    return picture


def _row(
    picture: svg.Drawing, trial: TrialView, top: float, x: svg.Scale, language: Language
) -> None:
    predicted, measured = trial.predicted_speedup, trial.speedup
    assert predicted
    most = int((picture.width - 30) / 6.6)
    title = f"{trial.id.split('-')[0]}  {trial.title}"
    picture.text("name", 10, top + 8, title if len(title) <= most else title[: most - 1] + "…")
    middle = top + 22
    tip = f"{language.t('прогноз')} ×{language.interval(predicted, 2)}"
    left = x(max(predicted.low, x.low))
    picture.mark("rect", "predicted", tip, x=left, y=middle - 6,
                 width=max(2.0, x(predicted.high) - left), height=12.0)  # fmt: skip
    if measured is None:
        return
    hit = predicted.contains(measured.value)
    kind = "hit" if hit else "miss"
    picture.line(f"whisker {kind}", x(max(measured.low, x.low)), middle, x(measured.high), middle)
    tip = f"{language.t('измерено')} ×{language.number(measured.value, 2)}"
    if hit:
        picture.mark("circle", "dot hit", tip, cx=x(measured.value), cy=middle, r=5.0)
    else:
        at = x(measured.value)
        diamond = f"M{at:.1f} {middle - 6:.1f} l6 6 l-6 6 l-6 -6 z"
        picture.mark("path", "dot miss", tip, d=diamond)
