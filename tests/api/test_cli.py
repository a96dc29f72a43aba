"""The command line: exit codes, one clear line for each mistake, nothing launched."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tools.process import leftovers


def run(home: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "api.cli.main", *args],
        # Nobody answers there, should ray be installed.
        env={**os.environ, "ADVISOR_HOME": str(home), "RAY_ADDRESS": "127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_help_lists_every_command(tmp_path: Path) -> None:
    shown = run(tmp_path, "--help").stdout
    for command in ("doctor", "setup", "plan", "optimize", "bench", "sessions", "resume", "report"):
        assert command in shown


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, api.cli.main; "
        "print([m for m in ('torch','vllm','transformers','matplotlib','langgraph','optuna')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("optimize", "/nowhere/at/all"), "нет"),
        (("optimize", "MODEL", "--objective", "ttfx"), "ttft"),
        (("optimize", "MODEL", "--slo", "ttft_p95=200"), "ttft"),
        (("optimize", "MODEL", "--slo", "tftt_p95=200ms"), "ttft"),
        (("optimize", "MODEL", "--workload", "chta"), "chat"),
        (("optimize", "MODEL", "--workload", "missing.jsonl"), "missing.jsonl"),
        (("optimize", "MODEL", "--engine", "vlm"), "vllm"),
        (("optimize", "MODEL", "--engine", "sim", "--budget", "1s"), "budget"),
        (("optimize", "MODEL", "--budget", "soon"), "soon"),
        (("optimize", "MODEL", "--policy", "magic"), "portfolio"),
        (("optimize", "MODEL", "--executor", "rya"), "ray"),
        (("optimize", "MODEL", "--executor", "ray"), "--executor ray: "),
        (("optimize", "MODEL", "--parallel", "2"), "--executor ray"),
        (("optimize", "MODEL", "--concurrency", "4", "--rate", "2"), "--rate"),
        (("optimize", "MODEL", "--input-tokens", "99999"), "контекст"),
        (("optimize", "MODEL", "--max-moon-phase", "3"), "--max-moon-phase"),
        (("optimise",), "optimize"),
        (("resume", "no-such-session"), "no-such-session"),
        (("setup", "vlm"), "vllm"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    args: tuple[str, ...], said: str, tiny_model: Path, tmp_path: Path
) -> None:
    done = run(tmp_path / "home", *(str(tiny_model) if a == "MODEL" else a for a in args))
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert leftovers() == []


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = run(tmp_path / "home", "optimize", str(empty), "--engine", "sim")
    assert done.returncode == 2
    assert "config.json" in done.stderr


def test_a_truncated_safetensors_file_is_named(tiny_model: Path, tmp_path: Path) -> None:
    weights = tiny_model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    done = run(tmp_path / "home", "optimize", str(tiny_model), "--engine", "sim")
    assert done.returncode == 2
    assert "model.safetensors" in done.stderr


def test_a_broken_workload_line_is_named_with_its_file(tiny_model: Path, tmp_path: Path) -> None:
    trace = tmp_path / "load.jsonl"
    trace.write_text('{"prompt": "a b c", "output_tokens": 4}\n{"prompt": \n')
    done = run(tmp_path / "home", "optimize", str(tiny_model), "--workload", str(trace))
    assert done.returncode == 2
    assert "load.jsonl" in done.stderr
    assert "2" in done.stderr


def test_a_newer_store_is_left_alone(tiny_model: Path, tmp_path: Path) -> None:
    import duckdb

    home = tmp_path / "home"
    assert run(home, "sessions").returncode == 0
    file = home / "data" / "advisor.duckdb"
    with duckdb.connect(str(file)) as db:
        tables = [row[0] for row in db.sql("select table_name from duckdb_tables()").fetchall()]
        (version,) = [name for name in tables if "version" in name]
        number = db.sql(f"describe {version}").fetchall()[0][0]
        latest = f"(select max({number}) from {version})"  # noqa: S608 - names from the catalog
        db.sql(f"update {version} set {number} = 999 where {number} = {latest}")  # noqa: S608
    before = file.read_bytes()
    done = run(home, "optimize", str(tiny_model), "--engine", "sim")
    assert done.returncode == 2
    assert "новее" in done.stderr or "999" in done.stderr
    assert file.read_bytes() == before


def test_bench_of_a_port_where_nothing_listens(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = run(tmp_path, "bench", f"http://127.0.0.1:{port}")
    assert done.returncode == 2
    assert "не отвечает" in done.stderr


def test_an_unknown_flag_of_the_engine_starts_nothing(tiny_model: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = run(
        home, "optimize", str(tiny_model), "--engine", "sim", "--flag", "max-num-sequences=4",
        "--budget", "5m", "--no-naive",
    )  # fmt: skip
    assert done.returncode == 2
    assert "max-num-sequences" in done.stderr
    assert "max-num-seqs" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Сессий пока нет" in run(home, "sessions").stderr


def test_optimize_writes_json_and_export_files(tiny_model: Path, tmp_path: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "out.json"
    done = run(
        home, "optimize", str(tiny_model), "--engine", "sim", "--workload", "demo",
        "--input-tokens", "24", "--output-tokens", "8", "--objective", "throughput",
        "--budget", "5m", "--trials", "1", "--no-naive",
        "--out", str(tmp_path / "reports"), "--json", str(out),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["simulated"] is True
    assert len(found["hypotheses"]) == 1
    again = run(home, "report", found["session"], "--out", str(tmp_path / "again"))
    assert Path(again.stdout.strip()).is_file()
    exported = run(home, "export", found["session"], "--out", str(tmp_path / "export"))
    assert exported.returncode == 0, exported.stderr
    assert (tmp_path / "export" / "start.sh").is_file()


def test_an_impossible_slo_is_exit_code_4(tiny_model: Path, tmp_path: Path) -> None:
    done = run(
        tmp_path / "home", "optimize", str(tiny_model), "--engine", "sim", "--workload", "demo",
        "--input-tokens", "24", "--output-tokens", "8", "--slo", "tpot_p95=0.001ms",
        "--budget", "5m", "--trials", "1", "--no-naive", "--out", str(tmp_path / "reports"),
    )  # fmt: skip
    assert done.returncode == 4
    last = done.stderr.strip().splitlines()[-1]
    assert "SLO не выполнены" in last
    assert "мешает tpot_p95" in last
