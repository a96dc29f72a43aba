from pathlib import Path

import pytest

from knowledge.types import Cause
from tools.process import clean_env, diagnose
from tools.process.text import tail_lines

BASE = {
    "PATH": "/bin",
    "OPENAI_API_KEY": "secret",
    "HF_TOKEN": "secret",
    "CUDA_VISIBLE_DEVICES": "1",
    "PIP_INDEX_URL": "https://user:secret@host/simple",
    "https_proxy": "http://user:secret@proxy",
    "PYTHONPATH": "/elsewhere",
}


def test_engines_inherit_no_keys_and_no_telemetry() -> None:
    env = clean_env({"VLLM_X": "1"}, base=BASE)
    assert "secret" not in str(env)
    assert env["PATH"] == "/bin"
    assert env["CUDA_VISIBLE_DEVICES"] == "1"
    assert env["VLLM_X"] == "1"
    assert env["VLLM_NO_USAGE_STATS"] == env["HF_HUB_OFFLINE"] == env["DO_NOT_TRACK"] == "1"
    assert "PYTHONPATH" not in env


def test_pip_gets_the_users_own_settings() -> None:
    env = clean_env(for_pip=True, base=BASE)
    assert env["PIP_INDEX_URL"] == BASE["PIP_INDEX_URL"]
    assert env["https_proxy"] == BASE["https_proxy"]
    assert "HF_TOKEN" not in env


def test_extra_variables_win(tmp_path: Path) -> None:
    assert clean_env({"HF_HUB_OFFLINE": "0"}, base=BASE)["HF_HUB_OFFLINE"] == "0"


@pytest.mark.parametrize(
    ("code", "line", "cause"),
    [
        (1, "MemoryError", Cause.OUT_OF_MEMORY),
        (1, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate", Cause.OUT_OF_MEMORY),
        (1, "DefaultCPUAllocator: can't allocate memory", Cause.OUT_OF_MEMORY),
        (-9, "loading weights", Cause.OUT_OF_MEMORY),
        (2, "api_server.py: error: unrecognized arguments: --no-such", Cause.BAD_FLAG),
        (2, "error: argument --dtype: invalid choice: 'x'", Cause.BAD_FLAG),
        (-11, "Segmentation fault", Cause.CRASH),
        (None, "hm", Cause.CRASH),
    ],
)
def test_cause_of_death(code: int | None, line: str, cause: Cause) -> None:
    assert diagnose(code, ("before", line, "after")) is cause


def test_the_tail_reads_as_a_terminal_shows_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"\x1b[32mINFO\x1b[0m start\r\n\n10%\r50%\r100%\n\xff broken\n")
    assert tail_lines(log, 9) == ("INFO start", "100%", "\ufffd broken")
    assert tail_lines(log, 1) == ("\ufffd broken",)
    assert tail_lines(tmp_path / "none", 5) == ()
