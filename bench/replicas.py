"""How soon does another replica go on with what a killed one ran, and is anything measured twice?

`python -m bench.replicas postgresql://… [--kills N] [--json FILE]`, with the address of an empty
database. Two replicas on this machine; the one that runs a simulated session is ended by SIGKILL
after its first trial, the other is idle; a new replica takes the dead one's place.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from bench._service_host import tiny_model

_DEADLINE_S = 300.0


class Replica:
    """A process of the service with a home of its own."""

    def __init__(self, home: Path, store: str, shared: Path) -> None:
        self._note = home / "data" / "service.json"
        env = os.environ | {
            "ADVISOR_HOME": str(home), "ADVISOR_STORE": store, "ADVISOR_SHARED": str(shared),
            "ADVISOR_ROOTS": str(shared.parent), "ADVISOR_PORT": "0", "ADVISOR_CONSULTANTS": "0",
            "ADVISOR_RATE_PER_MINUTE": "100000", "ADVISOR_DRAIN_S": "0",
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "api.cli.main", "serve"],
            env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self._note.exists)
        note = json.loads(self._note.read_text())
        key = {"Authorization": f"Bearer {note['token']}"}
        self.client = httpx2.Client(base_url=note["url"], headers=key, timeout=60)

    def get(self, path: str) -> Any:
        return self.client.get(path).json()

    def runs_here(self) -> bool:
        text = self.client.get("/metrics").text
        return "advisor_lanes_busy 1" in text


def model_in(folder: Path) -> Path:
    """A checkpoint in form, with a tokenizer of bytes: the simulator needs no more."""
    tiny_model(folder)
    tokenizer = Tokenizer(BPE({byte: n for n, byte in enumerate(sorted(ByteLevel.alphabet()))}, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def wait_until(holds: Callable[[], object]) -> float:
    """Seconds until it held."""
    begun = time.monotonic()
    while not holds():
        if time.monotonic() - begun > _DEADLINE_S:
            raise SystemExit("it never came")
        time.sleep(0.05)
    return time.monotonic() - begun


def one_kill(replicas: list[Replica], model: Path, seed: int) -> dict[str, float]:
    body = {
        "model": str(model), "engine": "sim", "workload": "demo", "input_tokens": 24,
        "output_tokens": 8, "objective": "throughput", "budget": "5m", "trials": 1,
        "naive": False, "seed": seed,
    }  # fmt: skip
    session = replicas[0].client.post("/v1/sessions", json=body).json()["id"]
    path = f"/v1/sessions/{session}"
    wait_until(lambda: replicas[0].get(path)["trials"])
    (victim,) = [one for one in replicas if one.runs_here()]
    (heir,) = [one for one in replicas if one is not victim]
    # In the middle of the next trial.
    wait_until(lambda: measuring(heir, path))
    before = {t["id"]: t["started_at"] for t in heir.get(f"{path}/trials")["data"]}
    victim.process.send_signal(signal.SIGKILL)
    begun = time.monotonic()
    victim.process.wait()
    replicas.remove(victim)
    wait_until(heir.runs_here)
    taken_s = time.monotonic() - begun
    wait_until(lambda: starts(heir, path) >= 2)
    resumed_s = time.monotonic() - begun
    wait_until(lambda: heir.get(path)["state"] == "done")
    after = {t["id"]: t["started_at"] for t in heir.get(f"{path}/trials")["data"]}
    events = heir.get(f"{path}/record")["events"]
    done = Counter(e["payload"]["trial"] for e in events if e["kind"] == "trial_finished")
    again = sum(after.get(name) != at for name, at in before.items())
    again += sum(count - 1 for count in done.values())
    return {"taken_s": taken_s, "resumed_s": resumed_s, "kept": len(before),
            "trials": len(after), "measured_again": again}  # fmt: skip


def measuring(replica: Replica, path: str) -> bool:
    events = replica.get(f"{path}/record")["events"]
    last = [e["kind"] for e in events if e["kind"] in ("trial_started", "trial_finished")]
    return last[-1:] == ["trial_started"]


def starts(replica: Replica, path: str) -> int:
    events = replica.get(f"{path}/record")["events"]
    return sum(event["kind"] == "session_started" for event in events)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        model, homes = model_in(root / "tiny"), iter(range(1000))
        replicas: list[Replica] = []
        try:
            for seed in range(chosen.kills):
                while len(replicas) < 2:
                    replicas.append(Replica(root / str(next(homes)), chosen.store, root / "shared"))
                rows.append(one_kill(replicas, model, seed))
                shown = {name: round(value, 1) for name, value in rows[-1].items()}
                print(json.dumps(shown), flush=True)
        finally:
            for replica in replicas:
                replica.process.terminate()
                replica.process.wait()
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
