"""What a session leaves behind: DuckDB tables that only grow, one process at a time."""

from tools.store.rows import SessionRecord, SessionRow, Status
from tools.store.store import Store

__all__ = ["SessionRecord", "SessionRow", "Status", "Store"]
