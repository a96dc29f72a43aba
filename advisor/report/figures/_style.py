"""How the pictures look: Okabe-Ito colours (safe for colour-blind eyes), DejaVu Sans, 900 px."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from advisor.report.numbers import plain

BLUE, ORANGE, GREEN, RED, GREY, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8A8A8A", "#222222",
)  # fmt: skip

_RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "axes.axisbelow": True,
    "legend.frameon": False,
}


_COARSE = (1, 2, 5)
_FINE = (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9)


@contextmanager
def canvas(path: Path, title: str, height: float = 5.0) -> Iterator[Any]:
    """Axes of a picture 900 px wide (twice that in the file); saved on leaving."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_RC):
        figure = Figure(figsize=(9, height), dpi=200, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.set_title(title)
        yield axes
        figure.savefig(path, metadata={"Software": None})


def russian_ticks(axis: Any, low: float, high: float, wanted: int = 6) -> None:
    """Round ticks between low and high on a log axis, with decimal commas."""
    ticks = [
        factor * 10.0**power
        for power in range(-4, 7)
        for factor in (_FINE if high / low < 5 else _COARSE)
        if low <= factor * 10.0**power <= high
    ]
    step = max(1, -(-len(ticks) // wanted))
    chosen = ticks[::step]
    axis.set_ticks(chosen, [plain(tick) for tick in chosen])
    axis.set_ticks([], minor=True)


def tick(title: str, trial: str, width: int = 32) -> str:
    """A label beside an axis: two lines of the title, however long, and the trial's number."""
    lines = textwrap.wrap(title, width, max_lines=2, placeholder=" …")
    return "\n".join([*lines[:-1], f"{lines[-1]} ({trial})"])
