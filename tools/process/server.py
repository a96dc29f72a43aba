"""A server and everything below it, held by a warden of its own."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from knowledge.errors import EngineFailed
from knowledge.types import Cause
from tools.process.owned import OWNED, OWNER, kill_marked, new_mark
from tools.process.text import tail_lines

_WARDEN = Path(__file__).with_name("_warden.py")
_WARDEN_GIVES_UP_S = 30.0


class ServerProcess:
    """A process tree under its warden. It dies with the advisor, however the advisor dies."""

    def __init__(self, warden: "subprocess.Popen[bytes]", control: int, mark: str, log: Path):
        self.pid = 0
        """The command itself, not the warden."""
        self.returncode: int | None = None
        """Exit code, or minus the signal; None while anything of the tree is alive."""
        self.warden_pid = warden.pid
        self._warden = warden
        self._control: int | None = control
        self._mark = mark
        self._log = log
        self._code: int | None = None
        self._stuck: list[int] = []
        self._started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._ended = asyncio.Event()
        self._pending = b""
        self._burial: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        env: Mapping[str, str],
        log_path: Path,
        *,
        cwd: Path | None = None,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | None = None,
    ) -> "ServerProcess":
        """Start `argv` with exactly `env` and the ownership mark. Raises EngineFailed.

        stdout and stderr go to `log_path`, which is emptied first, unless `stdout` is given.
        """
        process, status = cls._spawn(argv, env, log_path, cwd, stdin, stdout)
        asyncio.get_running_loop().add_reader(status, process._on_status, status)
        try:
            process.pid = await process._started
        except BaseException:
            process._close_control()
            await process._ended.wait()
            raise
        return process

    @classmethod
    def _spawn(
        cls,
        argv: Sequence[str],
        env: Mapping[str, str],
        log_path: Path,
        cwd: Path | None,
        stdin: int | IO[bytes],
        stdout: int | None,
    ) -> tuple["ServerProcess", int]:
        mark = new_mark()
        log_path.parent.mkdir(parents=True, exist_ok=True)
        # Appending, so that what the advisor adds and what the engine writes never overlap.
        log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        control_read, control_write = os.pipe()
        status_read, status_write = os.pipe()
        command = [sys.executable, "-I", "-S", str(_WARDEN), str(control_read), str(status_write)]
        try:
            warden = subprocess.Popen(
                [*command, "--", *argv],
                env={**env, OWNED: "1", OWNER: mark},
                cwd=cwd,
                stdin=stdin,
                stdout=log if stdout is None else stdout,
                stderr=log,
                pass_fds=(control_read, status_write),
                start_new_session=True,
            )
        except OSError:
            os.close(control_write)
            os.close(status_read)
            raise
        finally:
            for fd in (log, control_read, status_write):
                os.close(fd)
        return cls(warden, control_write, mark, log_path), status_read

    def log_tail(self, n: int = 40) -> tuple[str, ...]:
        """The last lines of the log as a terminal would have left them."""
        return tail_lines(self._log, n)

    async def wait_exit(self) -> int:
        """Wait until the whole tree is dead; the command's exit code."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    async def stop(self, grace_s: float = 10.0) -> float:
        """SIGTERM to the command's group, after `grace_s` SIGKILL to all that is left below it.

        Returns the seconds it took, with nothing left alive. Cancelling it kills at once. Raises
        EngineFailed when the kernel would not let a process die.
        """
        began = time.monotonic()
        if self._control is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._control, f"stop {grace_s}\n".encode())
        try:
            async with asyncio.timeout(grace_s + _WARDEN_GIVES_UP_S + 5):
                await self._ended.wait()
        except TimeoutError:
            self._stuck = [self.pid]
        finally:
            self._close_control()
        if self._stuck:
            pids = ", ".join(map(str, self._stuck))
            raise EngineFailed(
                Cause.TIMEOUT, f"Процессы {pids} не завершаются даже по SIGKILL", self.log_tail()
            )
        return time.monotonic() - began

    def _on_status(self, status: int) -> None:
        data = os.read(status, 65536)
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._take(json.loads(line))
        if data:
            return
        asyncio.get_running_loop().remove_reader(status)
        os.close(status)
        self._warden.wait()
        if self._code is None:
            self._burial = asyncio.create_task(self._bury())
        else:
            self._end(self._code)

    def _take(self, line: dict[str, Any]) -> None:
        if "pid" in line:
            if not self._started.done():
                self._started.set_result(line["pid"])
        elif "error" in line:
            self._code = 127  # as a shell says of a command that it can't start
            if not self._started.done():
                text = f"Процесс не запускается: {line['error']}"
                self._started.set_exception(EngineFailed(Cause.CRASH, text))
        else:
            self._code, self._stuck = line["status"], line["left"]

    async def _bury(self) -> None:
        """The warden was killed: the kernel killed the command, the mark finds the others."""
        await asyncio.to_thread(kill_marked, self._mark)
        if not self._started.done():
            self._started.set_exception(
                EngineFailed(Cause.CRASH, "Сторожевой процесс убит при запуске")
            )
        self._end(-signal.SIGKILL)

    def _end(self, code: int) -> None:
        self._close_control()
        self.returncode = code
        self._ended.set()

    def _close_control(self) -> None:
        if self._control is not None:
            os.close(self._control)
            self._control = None
