"""code: the Python of the answer passes the question's tests, in a process with limits."""

import asyncio
import json
import re
import secrets
import sys
import tempfile
from pathlib import Path

from tools.quality.graders.base import Asked, Grade, Judge, Question

_BLOCK = re.compile(r"```(?:python|py)?\s*\n(.*?)```", re.DOTALL)
_SANDBOX = Path(__file__).parent / "_sandbox.py"
_WALL_S = 15.0


class Code:
    """`tests`: asserts that run after the answer's code. A `prompt` that begins a function is
    code too, and the answer goes on with it."""

    needs_answer = True

    def check(self, question: Question, judge: Judge | None) -> str | None:
        return None if question.tests else "нет tests"

    async def grade(self, asked: Asked, text: str) -> Grade:
        return await run(program(asked.question, text), asked.question.tests)


def program(question: Question, text: str) -> str:
    """The code of an answer: its fenced block, or what goes on with the prompt."""
    if block := _BLOCK.search(text):
        return block.group(1)
    return question.prompt + text if question.prompt else text


async def run(code: str, tests: str) -> Grade:
    """In a fresh interpreter that may neither open files for writing, nor connect, nor start
    processes; processor time, memory and file size are bounded by the kernel."""
    nonce = secrets.token_hex(8)
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-B", str(_SANDBOX)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=folder,
            env={},
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(_WALL_S):
                said, _ = await process.communicate(
                    json.dumps({"code": code, "tests": tests, "nonce": nonce}).encode()
                )
        except TimeoutError:
            return Grade(False, f"не уложился в {_WALL_S:g} с")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    last = said.decode(errors="replace").rsplit("\n", 2)[-2:][0].strip()
    passed = last == f"passed {nonce}"  # the answer's own output can't be taken for it
    return Grade(passed, "" if passed else last[:120] or "процесс оборвался")


GRADER = Code()
