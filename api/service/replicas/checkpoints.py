"""LangGraph's checkpoints in PostgreSQL, for a session's process that has no way to PostgreSQL.

The process asks for them over its pipe. So it holds no password, and a replica that lost the lease
can write no checkpoint either.
"""

from collections.abc import Callable, Sequence
from typing import Any

from langgraph.checkpoint.postgres import PostgresSaver

from api.service.remote_store import Methods
from tools.postgres import Postgres


def checkpoint_methods(server: Postgres, guard: Callable[[], None]) -> Methods:
    """What a session's process may call; see `api.service.remote_saver`."""

    def checkpoint(config: Any) -> Any:
        with server.connection() as connection:
            return _saver(connection).get_tuple(config)

    def put_checkpoint(config: Any, checkpoint: Any, metadata: Any, versions: Any) -> Any:
        with server.transaction() as connection:
            guard()
            return _saver(connection).put(config, checkpoint, metadata, versions)

    def put_checkpoint_writes(
        config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> None:
        with server.transaction() as connection:
            guard()
            _saver(connection).put_writes(config, writes, task_id, task_path)

    return {
        "checkpoint": checkpoint,
        "put_checkpoint": put_checkpoint,
        "put_checkpoint_writes": put_checkpoint_writes,
    }


def _saver(connection: Any) -> PostgresSaver:
    """Costs nothing to make; its cursors choose their own row type."""
    return PostgresSaver(connection)
