"""One session in its own process: `python -m api.service.worker FD SESSION DATA CACHE OBJECTS`.

OBJECTS is the address of an object storage, or empty. With `shared` behind it the service keeps
the checkpoints; otherwise they are a file.

The load generator's clock is not disturbed by the web server, and the web server not by it.
SIGUSR1 drains (ends after the step in flight), SIGTERM cancels. When the service dies, stdin
closes, and this process with its engines goes at once: what it could still measure, it could not
write down.
"""

import asyncio
import os
import signal
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.runtime import RunControl

from advisor import runner
from advisor.policy.advice import Adviser
from api.advice import adviser_over
from api.service.remote_saver import RemoteSaver
from api.service.remote_store import RemoteStore, as_store
from knowledge.errors import AdvisorError
from tools.home import Home
from tools.objects import Objects
from tools.store import Status, Store

ORPHANED = 70
CANCELLED = 130


async def _run(
    session: str,
    store: Store,
    home: Home,
    saver: BaseCheckpointSaver[str] | None,
    adviser: Adviser | None,
) -> None:
    control = RunControl()
    this = asyncio.current_task()
    assert this
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, control.request_drain)
    loop.add_signal_handler(signal.SIGTERM, this.cancel)
    record = store.record(session)
    try:
        if not record.trials:
            runner.require_room(record.task)
    except AdvisorError as error:
        store.set_status(session, Status.FAILED)
        store.append(session, "failed", {"message": str(error)})
        raise
    # The service publishes what is appended; there is nobody else to tell.
    await runner.resume(
        session, store, home, lambda _event: None, control, adviser=adviser, saver=saver
    )


def _die_with_the_service() -> None:
    while sys.stdin.buffer.read(1):
        pass
    os._exit(ORPHANED)


def main(argv: list[str]) -> int:
    """The exit code: 0 done, 130 cancelled, 70 without a service, else the error's own."""
    connection = Connection(int(argv[0]))
    objects = Objects(argv[4]) if argv[4] else None
    home = Home(data=Path(argv[2]), cache=Path(argv[3]), objects=objects)
    threading.Thread(target=_die_with_the_service, daemon=True).start()
    try:
        import uvloop

        remote = RemoteStore(connection)
        saver = RemoteSaver(remote) if argv[5:] == ["shared"] else None
        uvloop.run(_run(argv[1], as_store(remote), home, saver, adviser_over(remote)))
    except asyncio.CancelledError:
        return CANCELLED
    except AdvisorError as error:
        print(f"advisor: {error}", file=sys.stderr)
        return error.exit_code
    except (EOFError, ConnectionError):
        return ORPHANED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
