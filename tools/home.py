"""Where the advisor keeps what it makes: data that must last, and a cache that may be deleted."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.objects import Objects

_NAME = "inference-advisor"


@dataclass(frozen=True)
class Home:
    """Two folders; neither is created before something is written into it."""

    data: Path
    """Sessions and the store: losing it loses results."""
    cache: Path
    """Environments, models, artifacts: can be made again."""
    objects: Objects | None = None
    """Where artifacts are looked for before they are made, and left for others."""

    @classmethod
    def default(cls, environ: Mapping[str, str]) -> "Home":
        """ADVISOR_HOME puts both under one folder; otherwise the XDG base directories.

        ADVISOR_OBJECTS is the address of an object storage.
        """
        objects = Objects(url) if (url := environ.get("ADVISOR_OBJECTS")) else None
        if one_folder := environ.get("ADVISOR_HOME"):
            root = Path(one_folder).expanduser().absolute()
            return cls(data=root / "data", cache=root / "cache", objects=objects)
        user = Path(environ.get("HOME") or Path.home())
        return cls(
            data=_absolute(environ.get("XDG_DATA_HOME"), user / ".local" / "share") / _NAME,
            cache=_absolute(environ.get("XDG_CACHE_HOME"), user / ".cache") / _NAME,
            objects=objects,
        )

    @property
    def envs(self) -> Path:
        return self.cache / "envs"

    @property
    def models(self) -> Path:
        return self.cache / "models"

    @property
    def artifacts(self) -> Path:
        return self.cache / "artifacts"

    @property
    def snapshots(self) -> Path:
        return self.cache / "snapshots"

    @property
    def store(self) -> Path:
        return self.data / "advisor.duckdb"

    @property
    def sessions(self) -> Path:
        return self.data / "sessions"

    def session_dir(self, session_id: str) -> Path:
        return self.sessions / session_id


def _absolute(value: str | None, fallback: Path) -> Path:
    """The XDG specification: a relative path in these variables is invalid and is ignored."""
    return Path(value) if value and Path(value).is_absolute() else fallback
