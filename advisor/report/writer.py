"""Puts the sections and the pictures together."""

import importlib
from pathlib import Path
from typing import Protocol, cast

from advisor.export.deployment import slug
from advisor.report.context import ReportContext, SampleSource
from advisor.report.figures import draw_all
from tools.store import SessionRecord

SECTIONS = Path(__file__).parent / "sections"


class Section(Protocol):
    """A module of the sections folder: one file adds one section."""

    ORDER: int

    def render(self, ctx: ReportContext) -> str:
        """The section's Markdown with its heading; empty when it has nothing to say."""


def sections() -> tuple[Section, ...]:
    """All sections, found by file name, in the order that they ask for."""
    names = [path.stem for path in SECTIONS.glob("*.py") if not path.stem.startswith("_")]
    found = [cast(Section, importlib.import_module(f"advisor.report.sections.{n}")) for n in names]
    return tuple(sorted(found, key=lambda section: section.ORDER))


def write_report(record: SessionRecord, samples: SampleSource, out_dir: Path) -> Path:
    """Write DATE-MODEL-SESSION.md with its pictures under `out_dir`; the path of the report.

    The date is the day the session was created, so that writing again replaces the same files.
    """
    day = record.row.created_at.date().isoformat()
    name = f"{day}-{slug(record.task.model.name)}-{slug(record.row.session)}"
    ctx = ReportContext(record=record, samples=samples, pictures=out_dir / name)
    ctx.pictures.mkdir(parents=True, exist_ok=True)
    draw_all(ctx)
    report = out_dir / f"{name}.md"
    report.write_text(render(ctx), encoding="utf-8")
    return report


def render(ctx: ReportContext) -> str:
    """The whole report as Markdown."""
    parts = [section.render(ctx).strip() for section in sections()]
    return "\n\n".join(part for part in parts if part) + "\n"
