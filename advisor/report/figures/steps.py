"""Of what a step of the engine's default consists: one bar per phase, from the trace."""

from pathlib import Path

from advisor import outcome
from advisor.report.context import ReportContext
from advisor.report.figures._style import BLACK, BLUE, GREEN, GREY, ORANGE, RED, canvas
from advisor.report.numbers import number
from knowledge.types import Part, StepProfile
from knowledge.verdicts import PART_NAMES, PHASE_NAMES

TITLE = "Из чего состоит шаг движка"

_COLOURS = {
    Part.GEMM: BLUE,
    Part.ATTENTION: ORANGE,
    Part.SAMPLING: GREEN,
    Part.COMMUNICATION: "#CC79A7",
    Part.OTHER: "#56B4E9",
    Part.HOST_GAP: RED,
    Part.IDLE: "#DDDDDD",
}


def available(ctx: ReportContext) -> bool:
    """The default was traced."""
    return _profile(ctx) is not None


def draw(ctx: ReportContext, path: Path) -> None:
    """Shares of the step, the milliseconds written beside the bar."""
    profile = _profile(ctx)
    assert profile
    draw_steps(profile, path)


def draw_steps(profile: StepProfile, path: Path) -> None:
    """The same for a profile that belongs to no session."""
    with canvas(path, TITLE, height=1.9 + 0.7 * len(profile.phases)) as axes:
        for row, phase in enumerate(reversed(profile.phases)):
            left = 0.0
            for part in Part:
                share = 100 * phase.share(part)
                axes.barh(row, share, left=left, color=_COLOURS[part], height=0.6)
                if share >= 6:
                    axes.text(left + share / 2, row, f"{share:.0f}", ha="center", va="center",
                              color=BLACK if part is Part.IDLE else "white")  # fmt: skip
                left += share
            axes.text(101, row, f"{number(phase.step_ms, 2)} мс", va="center")
        names = [PHASE_NAMES[phase.phase] for phase in reversed(profile.phases)]
        axes.set_yticks(range(len(names)), names)
        axes.set_xlim(0, 114)
        axes.set_xticks(range(0, 101, 20))
        axes.set_xlabel("Доля шага, %")
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_color(GREY)
        used = [part for part in Part if any(p.parts_ms.get(part) for p in profile.phases)]
        handles = [axes.barh(0, 0, color=_COLOURS[part]) for part in used]
        axes.figure.legend(handles, [PART_NAMES[part] for part in used], ncols=4,
                           loc="outside lower center")  # fmt: skip


def _profile(ctx: ReportContext) -> StepProfile | None:
    trial = outcome.screened_default(ctx.record)
    return trial.profile if trial else None
