"""Runs an answer's code and its tests: {"code": TEXT, "tests": TEXT} on stdin, one line out.

The limits are the kernel's; the audit hook refuses what a right answer does not need. Neither is
a wall against an attacker: what runs here is what the user's own model wrote.
"""

import contextlib
import io
import json
import os
import resource
import secrets
import sys

_CPU_S = 5
_MEMORY_BYTES = 512 * 2**20
_REFUSED = (
    *("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn"),
    *("os.kill", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.chmod", "os.link"),
    *("os.symlink", "os.truncate", "shutil.", "ctypes.", "pty.", "signal.pthread_kill"),
)


def _limit() -> None:
    for kind, most in (
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_AS, _MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 32),
    ):
        resource.setrlimit(kind, (most, most))


def _guard(event: str, args: tuple[object, ...]) -> None:
    if event.startswith(_REFUSED):
        raise PermissionError(f"{event} is not allowed here")
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR):
        raise PermissionError("files are not written here")


def main() -> None:
    """The last line is "passed", or what went wrong. An answer that exits has not passed."""
    job = json.load(sys.stdin)
    out, token = os.dup(1), secrets.token_hex(8)
    _limit()
    sys.addaudithook(_guard)
    said = "an exit before the end of the tests"
    names: dict[str, object] = {"__name__": "answer"}
    tests = f"{job['tests']}\n__finished__({token!r})"
    done: list[str] = []
    names["__finished__"] = done.append
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            exec(compile(job["code"], "answer", "exec"), names)  # noqa: S102 - the point of it
            names["__finished__"] = done.append
            exec(compile(tests, "tests", "exec"), names)  # noqa: S102
        said = f"passed {job['nonce']}" if done == [token] else said
    except BaseException as error:  # noqa: BLE001 - whatever the answer's code does
        text = " ".join(str(error).split())
        said = f"{type(error).__name__}: {text}"[:160]
    os.write(out, f"\n{said}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    main()
