"""Room on the disk."""

import shutil
from pathlib import Path


def free_disk_bytes(path: Path) -> int:
    """Free bytes for us where `path` is or would be created."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(existing).free
