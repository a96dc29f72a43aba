"""Charts as SVG text: scales, axes, marks. Colours are classes, so that CSS can darken them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from api.dashboard.language import Language

_TICK_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_LOG_STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)


@dataclass(frozen=True)
class Scale:
    """From values to pixels, linear or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = self._inner(self.low), self._inner(self.high), self._inner(value)
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def _inner(self, value: float) -> float:
        return math.log(max(value, 1e-12)) if self.log else value

    def ticks(self, wanted: int = 5) -> list[float]:
        """Round values inside."""
        return self._log_ticks(wanted) if self.log else self._linear_ticks(wanted)

    def _linear_ticks(self, wanted: int) -> list[float]:
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        rough = span / max(1, wanted)
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(size * s for s in _TICK_STEPS if size * s >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [n * step for n in range(first, last + 1)]

    def _log_ticks(self, wanted: int) -> list[float]:
        if self.high / self.low < 2:
            return self._linear_ticks(wanted)
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for steps in (_LOG_STEPS, (1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
            found = [s * 10.0**p for p in powers for s in steps]
            inside = [value for value in found if self.low <= value <= self.high]
            if len(inside) <= wanted + 1:
                return inside
        return inside


class Drawing:
    """One picture in the making. Everything that comes from outside is escaped."""

    def __init__(self, width: float, height: float, title: str, kind: str) -> None:
        self.width, self.height, self.title, self.kind = width, height, title, kind
        self._parts: list[str] = []

    def mark(self, tag: str, kind: str, tip: str = "", **attributes: float | str) -> None:
        """An element of a class, with a text that shows under the pointer."""
        written = "".join(
            f' {name.replace("_", "-")}="{_value(value)}"' for name, value in attributes.items()
        )
        inner = f"<title>{escape(tip)}</title>" if tip else ""
        self._parts.append(f'<{tag} class="{kind}"{written}>{inner}</{tag}>')

    def line(self, kind: str, x1: float, y1: float, x2: float, y2: float) -> None:
        self.mark("line", kind, x1=x1, y1=y1, x2=x2, y2=y2)

    def path(self, kind: str, points: Sequence[tuple[float, float]]) -> None:
        if points:
            steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            self.mark("path", kind, d=f"M{steps}")

    def text(self, kind: str, x: float, y: float, words: str, anchor: str = "start") -> None:
        self._parts.append(
            f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f"{escape(words)}</text>"
        )

    def render(self) -> Markup:
        """The element; its title is what a screen reader says."""
        return Markup(  # noqa: S704 - every part was escaped on its way in
            f'<svg class="chart {self.kind}" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'role="img" aria-label="{escape(self.title)}" '
            f'preserveAspectRatio="xMidYMid meet">{"".join(self._parts)}</svg>'
        )


def axes(
    drawing: Drawing, x: Scale, y: Scale, language: Language, names: tuple[str, str],
    *, x_ticks: int = 6, y_ticks: int = 5,
) -> None:  # fmt: skip
    """Grid, ticks and the names of both axes. The y axis' name stands above it."""
    bottom, top = y.start, y.end
    for value in y.ticks(y_ticks):
        drawing.line("grid", x.start, y(value), x.end, y(value))
        drawing.text("tick", x.start - 6, y(value) + 4, language.tick(value), "end")
    for value in x.ticks(x_ticks):
        drawing.line("grid", x(value), bottom, x(value), top)
        drawing.text("tick", x(value), bottom + 16, language.tick(value), "middle")
    drawing.line("axis", x.start, bottom, x.end, bottom)
    drawing.text("label", x.end, bottom + 34, names[0], "end")
    drawing.text("label", 2, min(14.0, top - 8), names[1])


def padded(
    values: Sequence[float], share: float = 0.08, *, log: bool = False
) -> tuple[float, float]:
    """Limits with room around the values; never empty."""
    low, high = min(values), max(values)
    if log:
        room = max((high / low) ** share, 1.06)
        return low / room, high * room
    room = (high - low) * share or abs(high) * 0.1 or 1.0
    return low - room, high + room


def _value(value: float | str) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(escape(value))


def both(draw: Callable[[float], Drawing | None]) -> Markup:
    """The picture for a wide screen and for a narrow one; CSS shows one of them."""
    wide, narrow = draw(720.0), draw(350.0)
    if wide is None or narrow is None:
        return Markup("")
    wide.kind, narrow.kind = f"{wide.kind} wide", f"{narrow.kind} narrow"
    return wide.render() + narrow.render()
