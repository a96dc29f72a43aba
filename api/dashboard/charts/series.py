"""One quantity over time: a line, a step per trial, or a dot per request."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from api.dashboard import svg
from api.dashboard.language import Language


@dataclass(frozen=True)
class Run:
    """Points that belong together; the line breaks between two runs. Time in seconds."""

    points: tuple[tuple[float, float], ...]
    name: str = ""


def draw(
    runs: Sequence[Run], title: str, unit: str, language: Language, *, dots: bool = False
) -> Markup:
    """Both widths; nothing without points. `unit` in Russian."""
    if not any(run.points for run in runs):
        return Markup("")
    return svg.both(lambda width: _draw(runs, title, unit, language, dots, width))


def _draw(
    runs: Sequence[Run], title: str, unit: str, language: Language, dots: bool, width: float
) -> svg.Drawing:
    picture = svg.Drawing(width, 196, title, "series")
    times = [t for run in runs for t, _ in run.points]
    values = [v for run in runs for _, v in run.points]
    top = max(values) * 1.15 or 1.0
    x = svg.Scale(min(0.0, *times), max(*times, 1.0), 56, width - 14)
    y = svg.Scale(0, top, 154, 46)
    words = language.unit(unit)
    named = title + (f", {words}" if words else "")
    svg.axes(picture, x, y, language, (language.unit("с"), named),
             x_ticks=7 if width > 500 else 4, y_ticks=4)  # fmt: skip
    for number, run in enumerate(runs):
        _run(picture, run, x, y, dots=dots)
        if run.name and 1 < len(runs) <= 14 and not dots and run.points:
            picture.text("name", x(run.points[0][0]), 30 + 12 * (number % 2), run.name)
    return picture


def _run(picture: svg.Drawing, run: Run, x: svg.Scale, y: svg.Scale, *, dots: bool) -> None:
    placed = [(x(time), y(value)) for time, value in run.points]
    if not dots:
        picture.path("curve", placed)
        return
    for at_x, at_y in placed:
        picture.mark("circle", "grain", cx=at_x, cy=at_y, r=2.2)
