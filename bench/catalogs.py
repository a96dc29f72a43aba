"""How long the catalogs take to load in a fresh process, parsed and from the kept form."""

import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

RUNS = 7
PROBE = """
import json, time
begun = time.perf_counter()
from knowledge import cards, devices, gpu_prices, known_models, objectives, support
imported = time.perf_counter()
counts = {
    "cards": len(cards.load_cards()),
    "gpus": len(devices.catalog("gpu")),
    "cpus": len(devices.catalog("cpu")),
    "models": len(known_models.known_architectures()),
    "engines": len(support.known_engines()),
    "prices": len(gpu_prices.known_prices()),
}
loaded = time.perf_counter()
devices.find_gpu("эйч100")
known_models.find_architecture("ламу 70б")
objectives.default_objectives()
found = time.perf_counter()
print(json.dumps({"counts": counts, "ms": [1e3 * (imported - begun), 1e3 * (loaded - imported),
                                           1e3 * (found - loaded)]}))
"""


def probe(*, kept: bool) -> dict[str, object]:
    """One fresh process; `kept` lets it use and write the kept form."""
    prefix = Path(os.environ.get("TMPDIR", "/tmp")) / "bench-catalogs" if kept else None  # noqa: S108
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    if prefix:
        env["PYTHONPYCACHEPREFIX"] = str(prefix)
    command = [sys.executable, *([] if kept else ["-B"]), "-c", PROBE]
    if not kept:
        env["PYTHONPYCACHEPREFIX"] = os.devnull
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def main() -> None:
    probe(kept=True)  # writes the kept form
    found: dict[str, object] = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}"
    }
    for name, kept in (("kept", True), ("parsed", False)):
        runs = [probe(kept=kept) for _ in range(RUNS)]
        columns = zip(*(run["ms"] for run in runs), strict=True)
        imports, load, find = (round(statistics.median(column), 1) for column in columns)
        found[f"{name}_load_ms"], found[f"{name}_lookup_ms"] = load, find
        if kept:
            found |= {"import_ms": imports, **runs[0]["counts"]}  # type: ignore[dict-item]
    for name, value in found.items():
        print(f"{name:18} {value}")
    if "--json" in sys.argv:
        Path(sys.argv[sys.argv.index("--json") + 1]).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
