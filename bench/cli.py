"""How fast the command line answers, and that the core holds no engine."""

import importlib.metadata
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 10
HEAVY = ("torch", "vllm", "transformers", "llmcompressor")


def seconds(*args: str) -> float:
    begun = time.perf_counter()
    command = [sys.executable, "-m", "api.cli.main", *args]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> None:
    seconds("--help")  # compiles what was never imported
    taken = sorted(seconds("--help") for _ in range(RUNS))
    installed = {dist.name.lower() for dist in importlib.metadata.distributions()}
    found = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "help_median_s": round(statistics.median(taken), 3),
        "help_slowest_s": round(taken[-1], 3),
        "packages": len(installed),
        "heavy_packages": [name for name in HEAVY if name in installed],
    }
    for name, value in found.items():
        print(f"{name:18} {value}")
    if "--json" in sys.argv:
        Path(sys.argv[sys.argv.index("--json") + 1]).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
