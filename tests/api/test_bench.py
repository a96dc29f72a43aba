"""`advisor bench` and `advisor workload` as a user calls them, against a real server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.load.calibrate import exact_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the exact server needs epoll")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with exact_server(20.0, 2.0) as address:
        yield address


def advisor(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "api.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


QUICK = ("--duration", "500ms", "--warmup", "0", "--output-tokens", "8", "--input-tokens", "20")


def test_one_load_with_every_file(url: str, tmp_path: Path) -> None:
    files = {name: str(tmp_path / name) for name in ("json", "html", "vllm-json", "guidellm-json")}
    words = [word for name, path in files.items() for word in (f"--{name}", path)]
    done = advisor("bench", url, *QUICK, "--concurrency", "2", *words)
    assert done.returncode == 0, done.stderr
    found = json.loads(Path(files["json"]).read_text())
    assert found["model"] == "exact"
    assert found["metrics"]["ttft_p50_ms"]["value"] >= 19.9
    assert found["client"]["kernel_stamped"] == 1
    assert found["workload_id"]
    assert json.loads(Path(files["vllm-json"]).read_text())["completed"] > 10
    assert json.loads(Path(files["guidellm-json"]).read_text())["benchmarks"]
    assert "<svg" in Path(files["html"]).read_text()
    again = advisor("bench", url, *QUICK, "--concurrency", "2", "--compare", files["json"])
    assert "отношение" in again.stdout


@pytest.mark.parametrize(("condition", "code"), [("ttft_p50<5s", 0), ("ttft_p50<1ms", 4)])
def test_an_assertion_decides_the_exit_code(url: str, condition: str, code: int) -> None:
    done = advisor("bench", url, *QUICK, "--assert", condition)
    assert done.returncode in (code, 3)  # 3: a busy machine made the client the bottleneck
    if done.returncode == 4:
        assert "нарушено" in done.stderr


def test_a_ladder_has_a_point_for_each_load(url: str) -> None:
    done = advisor("bench", url, *QUICK, "--sweep", "1,2,4", "--json", "-")
    found = json.loads(done.stdout)
    assert [point["load"] for point in found["points"]] == [1, 2, 4]
    assert found["knee"] in (1, 2, 4)


def test_slos_that_never_hold_are_exit_code_4(url: str) -> None:
    done = advisor("bench", url, *QUICK, "--find", "streams", "--slo", "ttft_p50=1ms")
    assert done.returncode == 4
    assert "SLO не держатся" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sweep", "1,x"], "--sweep"),
        (["--find", "rate"], "--slo"),
        (["--find", "fast", "--slo", "ttft_p95=1s"], "--find"),
        (["--protocol", "smtp"], "протокол"),
        (["--burstiness", "1"], "--rate"),
        (["--rate", "5", "--constant", "--burstiness", "2"], "вместе"),
        (["--assert", "speed<3"], "speed"),
        (["--compare", "/none.json"], "сравнить"),
        (["--model", "other"], "нет модели"),
    ],
)
def test_what_a_user_may_get_wrong_is_one_line(url: str, words: list[str], said: str) -> None:
    done = advisor("bench", url, *QUICK, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_workload_file_is_described(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = "\n".join(f"{i},ChatGPT,{100 + i},20,0,x" for i in range(50))
    path.write_text(f"Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n{rows}")
    done = advisor("workload", str(path), "--json", "-")
    found = json.loads(done.stdout)
    assert (found["requests"], found["rate_per_s"]) == (50, 1)
    assert advisor("workload", str(path)).stdout.startswith(str(path))
    assert advisor("workload", "chatt").returncode == 2
    assert advisor("workload", "chat").returncode == 0


def test_a_file_with_times_is_replayed_at_them(url: str, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = [{"prompt": f"p{i}", "output_tokens": 4, "arrival_s": i / 20} for i in range(40)]
    path.write_text("\n".join(map(json.dumps, rows)))
    quick = ("--duration", "500ms", "--warmup", "0", "--workload", str(path))
    found = json.loads(advisor("bench", url, *quick, "--json", "-").stdout)
    assert found["requests"] == 10
    refused = advisor("bench", url, *quick, "--sweep-rate", "1,2")
    assert refused.returncode == 2
    assert "время прихода" in refused.stderr
