"""Reports on disk: the one that the session wrote, or written again from its rows."""

import re
from pathlib import Path

from api.errors import ApiError
from tools.store import SessionRecord, Store

_PICTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.(png|svg)")


class Reports:
    """A report is found by the session's record alone, never by a path that a client sends."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder

    def find(self, record: SessionRecord) -> Path | None:
        """The newest report file of this session that is still there."""
        for event in reversed(record.events):
            path = Path(str(event.payload.get("path", "")))
            if event.kind == "report" and path.is_file():
                return path
        return None

    def path(self, record: SessionRecord) -> Path:
        """The report, written again if its file is gone. Raises ApiError 404 where it is early."""
        if found := self.find(record):
            return found
        if record.production is None:
            raise ApiError(
                404, "no_report", f"Отчёта сессии {record.row.session} ещё нет",
                "Он пишется в конце сессии",
            )  # fmt: skip
        from advisor.report import write_report

        self._folder.mkdir(parents=True, exist_ok=True)
        return write_report(record, self._store.samples, self._folder)

    def picture(self, record: SessionRecord, name: str) -> Path:
        """A picture of the report. Raises ApiError 404."""
        folder = self.path(record).with_suffix("")
        path = folder / name
        if not _PICTURE.fullmatch(name) or not path.is_file() or path.is_symlink():
            raise ApiError(404, "not_found", "Такой картинки в отчёте нет")
        return path

    def pictures(self, record: SessionRecord) -> list[str]:
        folder = self.path(record).with_suffix("")
        return sorted(p.name for p in folder.glob("*") if _PICTURE.fullmatch(p.name))
