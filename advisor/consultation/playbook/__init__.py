"""Pages that answers quote: symptoms, choices and terms, one YAML file each."""

from pathlib import Path
from typing import Any

from knowledge.files import read_folder


def pages() -> dict[str, dict[str, Any]]:
    """All pages by file name."""
    return read_folder(Path(__file__).parent)
