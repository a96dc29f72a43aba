"""Writes the handed-in configuration down as files that run as they stand."""

import importlib
from pathlib import Path
from typing import Protocol, cast

from advisor.export.deployment import Deployment, deployment
from tools.store import SessionRecord

FORMATS = Path(__file__).parent / "formats"


class Format(Protocol):
    """A module of the formats folder: one file adds one format."""

    FILE_NAME: str
    MODE: int

    def render(self, deployment: Deployment) -> str | None:
        """The file's text; None where the engine cannot be had in this form."""


def all_formats() -> tuple[Format, ...]:
    """All formats, found by file name."""
    names = sorted(path.stem for path in FORMATS.glob("*.py") if not path.stem.startswith("_"))
    return tuple(
        cast(Format, importlib.import_module(f"advisor.export.formats.{name}")) for name in names
    )


def export(record: SessionRecord, out_dir: Path) -> tuple[Path, ...]:
    """Write every format that fits into `out_dir`; the paths of what was written.

    Raises BadInput when the session has nothing to hand in.
    """
    what = deployment(record)
    out_dir.mkdir(parents=True, exist_ok=True)
    written = []
    for form in all_formats():
        text = form.render(what)
        if text is None:
            continue
        path = out_dir / form.FILE_NAME
        path.write_text(text, encoding="utf-8")
        path.chmod(form.MODE)
        written.append(path)
    return tuple(written)


__all__ = ["Deployment", "Format", "all_formats", "deployment", "export"]
