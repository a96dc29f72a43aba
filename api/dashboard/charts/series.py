"""One quantity over time: a line, a step per trial, or a dot per request."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from markupsafe import Markup

from api.dashboard import svg
from api.dashboard.language import Language

_PAUSE_STEPS = 6


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
    if not dots:
        for stretch in _stretches(run.points):
            picture.path("curve", [(x(time), y(value)) for time, value in stretch])
        return
    for time, value in run.points:
        at_x, at_y = x(time), y(value)
        picture.mark("circle", "grain", cx=at_x, cy=at_y, r=2.2)


def _stretches(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Without the pauses in which nobody sampled, as while another server was measured."""
    if not points:
        return []
    steps = [later - earlier for (earlier, _), (later, _) in pairwise(points)]
    longest = _PAUSE_STEPS * median(steps) if steps else 0.0
    found = [[points[0]]]
    for step, point in zip(steps, points[1:], strict=True):
        if step > longest:
            found.append([])
        found[-1].append(point)
    return found
