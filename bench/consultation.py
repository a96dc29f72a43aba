"""The consultation: questions of the exam answered right, and how long an answer takes.

python -m bench.consultation [--json FILE]

Right: every required fact is there, no forbidden one, every figure within its tolerance; no LLM.
Answer: one question in a running process. Process: `advisor ask` from nothing to its last line.
Cold: the same without a single cached byte of bytecode or facts (PYTHONPYCACHEPREFIX to an empty
folder), as after a fresh checkout.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.consultation import exam

_RUNS = 5
_QUESTION = (
    "Llama-3.1-70B в FP8 на двух H100, контекст 8к: сколько запросов выдержит и почём миллион?"
)


async def answers() -> dict[str, object]:
    """Right and asked by file, and the seconds of each answer after the first."""
    groups, seconds = {}, []
    for name in [*exam.files(), *exam.held_out(), *exam.open_ones()]:
        right = 0
        questions = exam.load(name)
        for question in questions:
            start = time.perf_counter()
            graded = await exam.grade(question)
            seconds.append(time.perf_counter() - start)
            right += not graded.wrong
        groups[name] = {"right": right, "asked": len(questions)}
    return {"groups": groups, "answer_s": _spread(seconds[1:])}


def process(environ: dict[str, str]) -> float:
    """Seconds of one `advisor ask`."""
    command = [sys.executable, "-m", "api.cli.main", "ask", "--no-llm", _QUESTION]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environ)
    return time.perf_counter() - start


def main() -> None:
    found = asyncio.run(answers())
    process(dict(os.environ))
    warm = [process(dict(os.environ)) for _ in range(_RUNS)]
    with tempfile.TemporaryDirectory() as empty:
        cold = process({**os.environ, "PYTHONPYCACHEPREFIX": empty})
    found |= {"process_s": _spread(warm), "cold_s": round(cold, 2)}
    _print(found)
    if "--json" in sys.argv:
        Path(sys.argv[sys.argv.index("--json") + 1]).write_text(
            json.dumps(found, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
        )


def _spread(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "median": round(statistics.median(ordered), 3),
        "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 3),
        "max": round(ordered[-1], 3),
    }


def _print(found: dict[str, object]) -> None:
    groups = found["groups"]
    assert isinstance(groups, dict)
    inside = [row for name, row in groups.items() if not name.startswith("held_out")]
    right, asked = sum(row["right"] for row in inside), sum(row["asked"] for row in inside)
    for name, row in groups.items():
        print(f"{name:12} {row['right']:4} of {row['asked']:4}  {row['right'] / row['asked']:.1%}")
    print(f"{'exam':12} {right:4} of {asked:4}  {right / asked:.1%}")
    for name in ("answer_s", "process_s", "cold_s"):
        print(f"{name:12} {found[name]}")


if __name__ == "__main__":
    main()
