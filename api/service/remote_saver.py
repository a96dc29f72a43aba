"""The checkpointer of a session's process whose service keeps the checkpoints."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_serializable_checkpoint_metadata,
)

from api.service.remote_store import RemoteStore

_SENT = ("thread_id", "checkpoint_ns", "checkpoint_id")


class RemoteSaver(BaseCheckpointSaver[str]):
    """What a graph that runs to its end needs: the newest checkpoint, and to write the next."""

    def __init__(self, remote: RemoteStore) -> None:
        super().__init__()
        self._remote = remote

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        found: CheckpointTuple | None = await self._ask("checkpoint", _plain(config))
        return found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        told = get_serializable_checkpoint_metadata(config, metadata)
        put: RunnableConfig = await self._ask(
            "put_checkpoint", _plain(config), checkpoint, told, new_versions
        )
        return put

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        await self._ask("put_checkpoint_writes", _plain(config), list(writes), task_id, task_path)

    def get_next_version(self, current: str | None, channel: None) -> str:
        """As LangGraph's own savers number a channel's versions: they sort as text."""
        number = int(current.split(".")[0]) + 1 if current else 1
        return f"{number:032}.{random.random():016}"

    async def _ask(self, name: str, *values: object) -> Any:
        return await asyncio.to_thread(getattr(self._remote, name), *values)


def _plain(config: RunnableConfig) -> RunnableConfig:
    """Without what belongs to the running graph and can't travel."""
    given = config["configurable"]
    return {"configurable": {name: given[name] for name in _SENT if name in given}}
