"""Everything worth measuring on a GPU host that is at hand for some minutes only, unattended.

`python -m bench.gpu_host SHAPE --out DIR --minutes 25 [--steps doctor,session]`

Steps run one after another, the most important first, or as `--steps` orders them. One that would
not end in time is left out and said; one that overruns is stopped. Every result is written as it
comes, a line per step goes to DIR/steps.jsonl, and the store with its reports is packed into
DIR/data.tar.gz after each step. On a host of two cards two runs, each with its CUDA_VISIBLE_DEVICES
and ADVISOR_HOME, use both. Steps asked for by name alone: `points:SHAPE` (another shape, to predict
it), `links` (NCCL between the cards, NVLink on and off), `split:tp`, `split:pp`, `split:dp` (the
shape over two cards), `split:tp-no-p2p`, `disaggregation` (prefill and decode on two cards against
two replicas), `roofline` (kernel counters of Nsight Compute; `roofline:NAME`: one stream with the
flags of `one:NAME`), `try:NAME` (one technique on top of FP8 weights under 1,024/256 tokens;
`try:none` is what it compares with), `one:NAME` (one stream on top of vLLM's default, compiled;
`one:none` is that default).
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench._gpu_steps import ADVISOR, QUICK, Step, on_request
from tools.home import Home

_SESSION_AFTERWARDS_S = 270.0
"""A session may overrun its budget by the last trial."""
_GRACE_S = 25.0
_HERE = Path(__file__).parent
SESSION = "session"


def steps(chosen: argparse.Namespace) -> Iterator[Step]:
    """In the order of their worth. The session gets what the first steps leave."""
    shape, out = chosen.shape, chosen.out

    def json_to(name: str) -> tuple[str, str]:
        return "--json", str(out / f"{name}.json")

    def profile(name: str, *more: str) -> tuple[str, ...]:
        picture = str(out / f"{name}.png")
        common = ("--dummy-weights", "--picture", picture, *json_to(name))
        return (*ADVISOR, "profile", shape, *common, *more)

    def measure(name: str, module: str, *more: str) -> tuple[str, ...]:
        command = (sys.executable, "-m", f"bench.{module}", shape, "--dummy-weights")
        return (*command, *json_to(name), *more)

    one = ("--concurrency", "1", "--seconds", "3s")
    long = (*one, "--input-tokens", str(chosen.long_input), "--output-tokens", "128")
    short = (*one, "--input-tokens", str(chosen.long_input // 8), "--output-tokens", "512")
    fp8 = ("--flag", "quantization=fp8", "--flag", "kv-cache-dtype=fp8")
    reports = ("--out", str(out / "reports"))
    optimize = (*ADVISOR, "optimize", shape, "--dummy-weights", "--no-naive", *reports)
    ceilings = (chosen.engine_python, "-P", str(_HERE / "gpu_ceilings.py"), *json_to("ceilings"))
    scale = ("--scale", str(chosen.long_input / 8192))
    ours = ("--ours", chosen.ours) if chosen.ours else ("--session", "last")
    both = (*ours, "--only", "default,ours", "--cut", "12", *scale)
    eager = profile("profile-eager", *long, "--flag", "enforce-eager")
    points = ("--overhead", "--seconds", "5", "--flags", json.dumps(QUICK))
    yield Step("doctor", (*ADVISOR, "doctor", "--json"), 5, 60)
    yield Step("ceilings", ceilings, 10, 90)
    yield Step("profile-default", profile("profile-default", *long), 60, 480)
    yield Step(SESSION, (*optimize, *json_to(SESSION), *chosen.session.split()), 400, 0)
    yield Step("profile-eager", eager, 95, 200)
    yield Step("profile-fp8", profile("profile-fp8", *short, *fp8), 100, 240)
    yield Step("naive", measure("naive", "inferencebench", "--only", "naive", *scale), 75, 200)
    yield Step("kill", measure("kill", "gpu_kill"), 55, 150)
    yield Step("points", measure("points", "gpu_points", *points), 150, 300)
    yield Step("inferencebench", measure("inferencebench", "inferencebench", *both), 420, 900)


def ordered(chosen: argparse.Namespace) -> list[Step]:
    """All steps, or those asked for in the order asked for."""
    known = {step.name: step for step in steps(chosen)}
    if not chosen.steps:
        return list(known.values())
    return [known.get(name) or on_request(chosen, name) for name in chosen.steps.split(",")]


def run(step: Step, log: Path, limit_s: float) -> int:
    """The exit code; 124 for what had to be stopped. SIGTERM lets the advisor tear down."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            step.command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            return process.wait(limit_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_S)
                return 124
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return 124


def pack(out: Path, home: Home) -> None:
    """What a session wrote, whole or not at all."""
    half = out / "data.half"
    with tarfile.open(half, "w:gz") as archive:
        for folder in (home.data, out / "reports"):
            if folder.exists():
                archive.add(folder, folder.name)
    half.replace(out / "data.tar.gz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--reserve", type=float, default=2.0, help="minutes kept for what follows")
    parser.add_argument("--engine-python", default="python3", help="the interpreter with torch")
    parser.add_argument("--steps", help="only these, separated by commas")
    parser.add_argument(
        "--session",
        default="--workload inferencebench-d --objective throughput --slo ttft_p95=500ms",
        help="options of the session",
    )
    parser.add_argument("--ours", help="flags for inferencebench as JSON, instead of a session's")
    parser.add_argument("--long-input", type=int, default=8192, help="tokens of a long prompt")
    chosen = parser.parse_args()
    ends = time.monotonic() + 60 * chosen.minutes
    chosen.out.mkdir(parents=True, exist_ok=True)
    home = Home.default(os.environ)
    for step in ordered(chosen):
        left_s = ends - time.monotonic()
        most_s = step.most_s
        command = step.command
        if step.name == SESSION:
            budget_s = left_s - 60 * chosen.reserve - _SESSION_AFTERWARDS_S
            command, most_s = (*command, "--budget", f"{budget_s:.0f}s"), left_s - _GRACE_S
            if budget_s < step.least_s:
                left_s = 0.0
        begun = time.monotonic()
        code: int | None = None
        if left_s >= step.least_s:
            code = run(
                Step(step.name, command, step.least_s, most_s),
                chosen.out / f"{step.name.replace(':', '-').replace('/', '-')}.log",
                min(most_s, max(1.0, left_s - _GRACE_S)),
            )
            pack(chosen.out, home)
        line = {"step": step.name, "code": code, "seconds": round(time.monotonic() - begun, 1)}
        line |= {"left_s": round(ends - time.monotonic()), "command": " ".join(command)}
        with (chosen.out / "steps.jsonl").open("a") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        print(
            step.name, "не хватает времени" if code is None else code, line["seconds"], flush=True
        )
    (chosen.out / "DONE").touch()


if __name__ == "__main__":
    main()
