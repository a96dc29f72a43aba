"""Pictures of the report: one module each, with available(ctx), draw(ctx, path) and TITLE."""

import importlib
from pathlib import Path
from typing import Protocol, cast

from advisor.report.context import ReportContext

NAMES = tuple(sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem[0] != "_"))


class Figure(Protocol):
    """A module of this folder."""

    TITLE: str

    def available(self, ctx: ReportContext) -> bool:
        """Whether the session measured what the picture needs."""

    def draw(self, ctx: ReportContext, path: Path) -> None:
        """Write the picture as PNG."""


def load(name: str) -> Figure:
    """The module of a picture by its name."""
    return cast(Figure, importlib.import_module(f"advisor.report.figures.{name}"))


def draw_all(ctx: ReportContext) -> tuple[Path, ...]:
    """Draw every picture the session has figures for."""
    drawn = []
    for name in NAMES:
        figure = load(name)
        if figure.available(ctx):
            path = ctx.pictures / f"{name}.png"
            figure.draw(ctx, path)
            drawn.append(path)
    return tuple(drawn)


def embed(ctx: ReportContext, name: str) -> str:
    """Markdown that shows a picture; empty when it was not drawn."""
    figure = load(name)
    return f"![{figure.TITLE}]({ctx.pictures.name}/{name}.png)" if figure.available(ctx) else ""
