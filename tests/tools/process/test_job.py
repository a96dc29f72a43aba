import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from knowledge.errors import EngineFailed
from knowledge.types import Cause
from tests.tools.process.trees import TREE, alive, gone, tree_pids
from tools.process import run_job


async def run(folder: Path, code: str, job: dict[str, Any] | None = None, **options: Any) -> Any:
    script = folder / "job.py"
    script.write_text("import json, os, sys, time\njob = json.load(sys.stdin)\n" + code)
    options.setdefault("deadline_s", 30)
    log = folder / "job.log"
    return await run_job(Path(sys.executable), script, job or {}, log_path=log, **options)


async def test_a_job_gets_its_input_and_gives_lines_and_a_result(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = []
    code = (
        "print(json.dumps({'progress': 'половина'}))\n"
        "print(json.dumps({'progress': 'всё', 'part': 1}))\n"
        "print(json.dumps({'result': {'twice': job['text'] * 2}}))"
    )
    result = await run(tmp_path, code, {"text": "да"}, on_line=lines.append)
    assert result == {"twice": "дада"}
    assert lines == [{"progress": "половина"}, {"progress": "всё", "part": 1}]


async def test_long_input_and_long_lines_pass(tmp_path: Path) -> None:
    text = "x" * 3_000_000
    result = await run(tmp_path, "print(json.dumps({'result': job}))", {"text": text})
    assert result == {"text": text}


async def test_garbage_on_stdout_goes_to_the_log(tmp_path: Path) -> None:
    code = (
        "print('Loading weights: 10%')\nprint(json.dumps([1, 2]))\nprint('{broken')\n"
        "sys.stdout.buffer.write(b'\\xff\\xfe\\n')\nprint('a warning', file=sys.stderr)\n"
        "sys.stdout.write(json.dumps({'result': {'ok': 1}}))"  # no newline at the end
    )
    assert await run(tmp_path, code) == {"ok": 1}
    log = (tmp_path / "job.log").read_bytes()
    for part in (b"Loading weights: 10%", b"[1, 2]", b"{broken", b"\xff\xfe", b"a warning"):
        assert part in log


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ({"error": "no such scheme", "cause": "artifact"}, Cause.ARTIFACT),
        ({"error": "no such scheme", "cause": "nonsense"}, Cause.CRASH),
        ({"error": "CUDA out of memory"}, Cause.OUT_OF_MEMORY),
    ],
)
async def test_a_jobs_own_error_is_raised(
    tmp_path: Path, error: dict[str, str], cause: Cause
) -> None:
    with pytest.raises(EngineFailed, match=error["error"]) as failure:
        await run(tmp_path, f"print(json.dumps({error!r}))")
    assert failure.value.cause is cause


@pytest.mark.parametrize(
    ("code", "cause", "tail"),
    [
        ("raise SystemExit(0)", Cause.CRASH, ""),
        ("raise ValueError('bad shape')", Cause.CRASH, "ValueError: bad shape"),
        ("raise MemoryError", Cause.OUT_OF_MEMORY, "MemoryError"),
        ("os.kill(os.getpid(), 9)", Cause.OUT_OF_MEMORY, ""),
        ("print(json.dumps({'result': 5}))", Cause.CRASH, ""),
    ],
)
async def test_an_end_without_a_result_has_a_cause_and_a_log(
    tmp_path: Path, code: str, cause: Cause, tail: str
) -> None:
    with pytest.raises(EngineFailed) as failure:
        await run(tmp_path, code)
    assert failure.value.cause is cause
    assert (failure.value.log_tail or ("",))[-1] == tail


async def test_a_job_past_its_deadline_is_ended_with_its_tree(tmp_path: Path) -> None:
    code = f"sys.argv = ['', {str(tmp_path)!r}, 'polite']\n{TREE}"
    task = asyncio.create_task(run(tmp_path, code, deadline_s=3))
    pids = await tree_pids(tmp_path)
    with pytest.raises(EngineFailed, match="не уложилось в 3 с") as failure:
        await task
    assert failure.value.cause is Cause.TIMEOUT
    assert "to stderr" in failure.value.log_tail
    assert alive(pids) == []


async def test_a_cancelled_job_is_ended_with_its_tree(tmp_path: Path) -> None:
    code = f"sys.argv = ['', {str(tmp_path)!r}, 'polite']\n{TREE}"
    task = asyncio.create_task(run(tmp_path, code))
    pids = await tree_pids(tmp_path)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(pids)


async def test_a_job_that_hangs_after_its_answer_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.process.job._EXIT_AFTER_ANSWER_S", 0.2)
    began = time.monotonic()
    code = "print(json.dumps({'result': {'pid': os.getpid()}}), flush=True)\ntime.sleep(300)"
    result = await run(tmp_path, code, deadline_s=200)
    assert alive([result["pid"]]) == []
    assert time.monotonic() - began < 100


async def test_an_error_of_the_listener_ends_the_job(tmp_path: Path) -> None:
    def listener(line: dict[str, Any]) -> None:
        raise KeyError(line["pid"])

    code = "print(json.dumps({'pid': os.getpid()}), flush=True)\ntime.sleep(300)"
    with pytest.raises(KeyError) as failure:
        await run(tmp_path, code, on_line=listener)
    assert alive([failure.value.args[0]]) == []
