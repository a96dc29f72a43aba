"""Limits that a container sets on memory and CPU time: Linux control groups, both versions."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_UNLIMITED = 2**60
"""Version 1 writes "no limit" as a number near 2^63."""


@dataclass(frozen=True)
class CgroupLimits:
    """The tightest limits from our own group up to the root; None where there is none."""

    memory_bytes: int | None = None
    memory_free_bytes: int | None = None
    """Least room below a limit, with file cache that can be dropped counted as room."""
    cpus: float | None = None


def read_limits(
    membership: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")
) -> CgroupLimits:
    """Limits of this process. No control groups: no limits."""
    memory: list[int] = []
    free: list[int] = []
    cpus: list[float] = []
    for group in _groups(membership, mount):
        limit = _number(group / "memory.max", group / "memory.limit_in_bytes")
        if limit is not None and limit < _UNLIMITED:
            memory.append(limit)
            used = _number(group / "memory.current", group / "memory.usage_in_bytes")
            if used is not None:
                free.append(max(0, limit - used + _droppable_bytes(group)))
        if (quota := _cpus(group)) is not None:
            cpus.append(quota)
    return CgroupLimits(min(memory, default=None), min(free, default=None), min(cpus, default=None))


def _groups(membership: Path, mount: Path) -> Iterator[Path]:
    """Folders of our groups and their parents, as far as they are mounted here."""
    for line in _text(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        names = [""] if not controllers else controllers.split(",")
        for name in names:
            # A container often sees its own group as the root, so that `path` does not exist.
            group = mount / name / path.lstrip("/")
            while group != mount.parent and (name == "" or group != mount):
                if group.is_dir():
                    yield group
                group = group.parent


def _cpus(group: Path) -> float | None:
    quota, _, period = _text(group / "cpu.max").partition(" ")
    if not quota:
        quota, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _droppable_bytes(group: Path) -> int:
    stat = dict(line.split() for line in _text(group / "memory.stat").splitlines())
    return int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))


def _number(*files: Path) -> int | None:
    """The first file that holds a number."""
    return next((int(text) for text in map(_text, files) if text.isdigit()), None)


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
