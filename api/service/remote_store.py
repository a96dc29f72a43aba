"""The store over a pipe: a session's process writes through the service, which holds DuckDB."""

import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any, cast

from knowledge.errors import BadInput, StoreError
from tools.store import Store

_METHODS = frozenset(
    ("append", "events", "hypotheses", "production", "profile", "put_hypothesis", "put_production",
     "put_profile", "put_trial", "put_verdict", "record", "samples", "session", "sessions",
     "set_status", "task", "trial", "trials", "verdicts")
)  # fmt: skip
_CHECKPOINTS = frozenset(("checkpoint", "put_checkpoint", "put_checkpoint_writes"))
"""Offered where the service keeps the checkpoints; see api.service.remote_saver."""
_LLM = frozenset(("llm_budget", "ask_llm"))
"""Not the store's, but the same pipe's; see api.advice."""
_ERRORS: dict[str, type[BadInput] | type[StoreError]] = {
    "BadInput": BadInput,
    "StoreError": StoreError,
}


class RemoteStore:
    """The session's side. Calls block, as those of the store itself do."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in _METHODS | _CHECKPOINTS | _LLM:
            raise AttributeError(name)

        def call(*args: object, **kwargs: object) -> Any:
            with self._lock:
                self._connection.send((name, args, kwargs))
                error, value = self._connection.recv()
            if error:
                raise _ERRORS[error](*value)
            return value

        return call


def as_store(remote: RemoteStore) -> Store:
    """A store for whoever runs the session."""
    return cast(Store, remote)


Methods = Mapping[str, Callable[..., object]]


def methods(store: Store) -> dict[str, Callable[..., object]]:
    """What a session's process may call."""
    return {name: getattr(store, name) for name in _METHODS}


def serve(connection: Connection, offered: Methods) -> None:
    """The service's side: answer calls until the process is gone. Runs in a thread of its own.

    The pipe is inherited by our own child and nobody else, so that pickles are safe on it.
    """
    while True:
        try:
            name, args, kwargs = connection.recv()
            connection.send(_call(offered[name], args, kwargs))
        except (EOFError, OSError):
            return


def _call(
    method: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
) -> tuple[str, object]:
    """(name of the error, its words) or ("", value)."""
    try:
        return "", method(*args, **kwargs)
    except BadInput as error:
        return "BadInput", (error.message, error.hint)
    except StoreError as error:
        return "StoreError", (error.message, error.hint)
