import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from knowledge.errors import EngineFailed
from knowledge.types import Cause
from tests.tools.process.trees import alive, gone, tree_argv, tree_pids, until
from tools.process import ServerProcess, clean_env, leftovers, sweep

REPO = Path(__file__).parents[3]
ADVISOR = """
import asyncio, json, pathlib, sys
from tools.process import ServerProcess, clean_env

async def main():
    folder = pathlib.Path(sys.argv[1])
    process = await ServerProcess.start(json.loads(sys.argv[2]), clean_env(), folder / "log")
    (folder / "half-warden").write_text(str(process.warden_pid))
    (folder / "half-warden").rename(folder / "warden")
    await process.wait_exit()

asyncio.run(main())
"""


async def start(argv: list[str], folder: Path) -> ServerProcess:
    return await ServerProcess.start(argv, clean_env(), folder / "logs" / "engine.log")


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.parametrize("manner", ["polite", "stubborn"])
async def test_stop_ends_the_whole_tree_even_daemons_in_their_own_sessions(
    tmp_path: Path, manner: str
) -> None:
    process = await start(tree_argv(tmp_path, manner), tmp_path)
    pids = await tree_pids(tmp_path)
    assert len({os.getsid(pid) for pid in pids}) == 3
    assert alive(pids) == pids
    assert process.pid == pids[0]
    assert process.returncode is None

    await process.stop(grace_s=0.5)

    assert alive([*pids, process.warden_pid]) == []
    assert process.returncode == (-signal.SIGTERM if manner == "polite" else -signal.SIGKILL)
    assert await process.stop() >= 0, "stopping twice is harmless"


async def test_an_engine_may_clean_up_within_the_grace(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "def end(*_): time.sleep(0.3); print('cleaned up', flush=True); sys.exit(7)\n"
        "signal.signal(signal.SIGTERM, end); print('ready', flush=True); time.sleep(300)"
    )
    process = await start(python(code), tmp_path)
    assert await until(lambda: "ready" in process.log_tail())
    await process.stop(grace_s=20)
    assert process.returncode == 7
    assert process.log_tail() == ("ready", "cleaned up")


async def test_a_crash_takes_the_rest_of_the_tree_with_it(tmp_path: Path) -> None:
    process = await start(tree_argv(tmp_path), tmp_path)
    pids = await tree_pids(tmp_path)
    os.kill(process.pid, signal.SIGSEGV)
    assert await process.wait_exit() == -signal.SIGSEGV
    assert alive(pids) == []


async def test_kill_9_of_the_advisors_group_leaves_nothing(tmp_path: Path) -> None:
    pids = await _orphaned_tree(tmp_path, kill_warden=False)
    assert await gone(pids)
    assert not set(leftovers()) & set(pids)


async def test_sweep_ends_what_is_left_when_advisor_and_warden_were_killed(tmp_path: Path) -> None:
    pids = await _orphaned_tree(tmp_path, kill_warden=True)
    # The kernel ends the command itself; its children in other sessions are what is left.
    assert await gone(pids[:1])
    assert set(leftovers()) >= set(pids[1:4])
    assert set(sweep()) >= set(pids[1:4])
    assert await gone(pids)


async def _orphaned_tree(folder: Path, *, kill_warden: bool) -> list[int]:
    """Pids (tree, then warden) of a tree whose advisor was just killed with its whole group."""
    argv = json.dumps(tree_argv(folder))
    advisor = subprocess.Popen(  # noqa: ASYNC220
        [*python(ADVISOR), str(folder), argv],
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(REPO)},
    )
    try:
        pids = await tree_pids(folder)
        assert await until((folder / "warden").exists)
        warden = int((folder / "warden").read_text())
        assert alive([*pids, warden]) == [*pids, warden]
        assert not set(leftovers()) & set(pids), "their advisor lives"
        if kill_warden:
            os.kill(advisor.pid, signal.SIGSTOP)  # so that it can't clean up after the warden
            os.kill(warden, signal.SIGKILL)
    finally:
        os.killpg(advisor.pid, signal.SIGKILL)
        advisor.wait()
    return [*pids, warden]


async def test_kill_9_of_the_warden_leaves_nothing(tmp_path: Path) -> None:
    process = await start(tree_argv(tmp_path), tmp_path)
    pids = await tree_pids(tmp_path)
    os.kill(process.warden_pid, signal.SIGKILL)
    assert await process.wait_exit() == -signal.SIGKILL
    assert alive(pids) == []


async def test_a_cancelled_stop_still_kills(tmp_path: Path) -> None:
    process = await start(tree_argv(tmp_path, "stubborn"), tmp_path)
    pids = await tree_pids(tmp_path)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await process.stop(grace_s=60)
    await process.wait_exit()
    assert alive(pids) == []


async def test_exit_code_and_both_streams_are_reported(tmp_path: Path) -> None:
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)"
    process = await start(python(code), tmp_path)
    assert await process.wait_exit() == 3
    assert process.returncode == 3
    assert process.log_tail() == ("out", "err")
    assert process.log_tail(1) == ("err",)


async def test_a_command_that_does_not_exist_fails_to_start(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match="не запускается") as failure:
        await start([str(tmp_path / "no-such-engine")], tmp_path)
    assert failure.value.cause is Cause.CRASH


async def test_the_command_sees_only_the_given_environment_and_the_mark(tmp_path: Path) -> None:
    code = "import os; print(*sorted(os.environ), sep='\\n')"
    process = await ServerProcess.start(
        [sys.executable, "-I", "-c", code], {"ONLY": "this"}, tmp_path / "log", cwd=tmp_path
    )
    await process.wait_exit()
    names = set(process.log_tail()) - {"LC_CTYPE"}  # set by Python itself
    assert names == {"ONLY", "ADVISOR_OWNED", "ADVISOR_OWNER"}
