"""Jobs that run in an adapter's environment: a JSON object in, JSON lines out."""

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import IO, Any

from knowledge.errors import EngineFailed
from knowledge.types import Cause
from tools.process.server import ServerProcess
from tools.process.text import clean_env, diagnose

_EXIT_AFTER_ANSWER_S = 10.0
"""A job that has answered but hangs while Python shuts down is ended; its answer counts."""

OnLine = Callable[[dict[str, Any]], None]


async def run_job(
    python: Path,
    script: Path,
    job: Mapping[str, Any],
    *,
    log_path: Path,
    deadline_s: float,
    on_line: OnLine | None = None,
    env: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run `script` with the JSON job on its stdin; return the object it gives under "result".

    It writes one JSON object a line on stdout: {"result": {…}} ends it well; {"error": TEXT,
    "cause": CAUSE or absent} ends it with EngineFailed; others go to `on_line`; what is no JSON
    object goes to the log with its stderr. `env` is the whole environment (default: clean_env()).
    """
    with tempfile.TemporaryFile() as stdin:
        stdin.write(json.dumps(job).encode())
        stdin.seek(0)
        output_read, output_write = os.pipe()
        output = os.fdopen(output_read, "rb", buffering=0)
        try:
            process = await ServerProcess.start(
                [str(python), "-P", "-u", str(script)],
                clean_env() if env is None else env,
                log_path,
                stdin=stdin,
                stdout=output_write,
            )
        except BaseException:
            output.close()
            raise
        finally:
            os.close(output_write)
    answer: dict[str, Any] | None = None
    try:
        async with asyncio.timeout(deadline_s):
            answer = await _read_answer(output, log_path, on_line)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_AFTER_ANSWER_S):
                await process.wait_exit()
    except TimeoutError:
        text = f"Задание {script.name} не уложилось в {deadline_s:g} с"
        raise EngineFailed(Cause.TIMEOUT, text, process.log_tail()) from None
    finally:
        await process.stop(grace_s=2.0)
    return _result(answer, script, process)


async def _read_answer(
    output: IO[bytes], log_path: Path, on_line: OnLine | None
) -> dict[str, Any] | None:
    """Read up to the line with a result or an error; None when the output ends without one."""
    async with contextlib.aclosing(_lines(output)) as lines:
        async for line in lines:
            message = _json_object(line)
            if message is None:
                with log_path.open("ab") as log:
                    log.write(line + b"\n")
            elif "result" in message or "error" in message:
                return message
            elif on_line is not None:
                on_line(message)
    return None


async def _lines(output: IO[bytes]) -> AsyncGenerator[bytes, None]:
    """Lines of a pipe, of any length."""
    reader = asyncio.StreamReader(limit=2**20)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), output
    )
    unfinished: list[bytes] = []
    try:
        while data := await reader.read(2**20):
            *whole, rest = data.split(b"\n")
            for line in whole:
                yield b"".join([*unfinished, line])
                unfinished = []
            unfinished.append(rest)
        if last := b"".join(unfinished):
            yield last
    finally:
        transport.close()


def _json_object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _result(answer: dict[str, Any] | None, script: Path, process: ServerProcess) -> dict[str, Any]:
    tail = process.log_tail()
    if answer is None:
        text = f"Задание {script.name} завершилось без ответа, код {process.returncode}"
        raise EngineFailed(diagnose(process.returncode, tail), text, tail)
    if "error" in answer:
        text = str(answer["error"])
        known = answer.get("cause") in list(Cause)
        cause = Cause(answer["cause"]) if known else diagnose(None, (text,))
        raise EngineFailed(cause, text, tail)
    if not isinstance(answer["result"], dict):
        text = f"Задание {script.name} вернуло не объект: {answer['result']!r:.80}"
        raise EngineFailed(Cause.CRASH, text, tail)
    return answer["result"]
