"""Does the card come back when the advisor is killed?

`python -m bench.gpu_kill MODEL [--dummy-weights] [--json FILE]` starts `advisor profile`, waits
until its engine holds memory on the card, ends the advisor with SIGKILL, and counts the seconds
until the memory and the processes are gone.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tools._cpu import free_memory_bytes
from tools._nvml import fingerprints

_LOADED_BYTES = 4 * 2**30
_DEADLINE_S = 300.0
_BACK_WITHIN_S = 90.0


def used_bytes() -> int:
    """On all cards; on a machine without one, of the host's memory, as a rehearsal."""
    cards = fingerprints()
    if not cards:
        return -free_memory_bytes()
    return sum(card.memory_used_bytes or 0 for card in cards)


def wait_until(holds: Any, seconds: float) -> float | None:
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if holds():
            return time.monotonic() - begun
        time.sleep(0.1)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--dummy-weights", action="store_true")
    parser.add_argument("--loaded-bytes", type=int, default=_LOADED_BYTES)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    before = used_bytes()
    command = [sys.executable, "-m", "api.cli.main", "profile", chosen.model]
    command += ["--flag", "enforce-eager"] + ["--dummy-weights"] * chosen.dummy_weights
    advisor = subprocess.Popen(command)
    loaded = wait_until(
        lambda: used_bytes() - before > chosen.loaded_bytes or advisor.poll() is not None,
        _DEADLINE_S,
    )
    held = used_bytes() - before
    advisor.send_signal(signal.SIGKILL)
    advisor.wait()
    back = wait_until(lambda: used_bytes() - before < 2**29, _BACK_WITHIN_S)
    found = {
        "loaded_after_s": loaded,
        "held_bytes": held,
        "back_after_s": back,
        "left_bytes": used_bytes() - before,
        "processes_left": [p.model_dump() for card in fingerprints() for p in card.processes],
    }
    print(json.dumps(found, indent=2))
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n")
    sys.exit(0 if back is not None and loaded is not None else 1)


if __name__ == "__main__":
    main()
