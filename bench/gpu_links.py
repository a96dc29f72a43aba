"""NCCL between the cards of one host: all-reduce by message size, with P2P (NVLink) and without.

Run it with the interpreter that has torch: `PYTHON bench/gpu_links.py [--json FILE]`. Bus bandwidth
is that of nccl-tests: 2 (n - 1) / n times the bytes over the time. NVLink multicast (NVLS) stays
off: not every virtual machine allows it.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

_SIZES = tuple(2**power for power in (13, 16, 20, 24, 28))
_REPEATS = 20
_TRIALS = 5


def worker(rank: int, world: int, meeting: str, out: str) -> None:
    """One card's process; rank 0 writes what was measured."""
    torch.cuda.set_device(rank)
    dist.init_process_group("nccl", f"file://{meeting}", world_size=world, rank=rank)
    found = []
    for size in _SIZES:
        data = torch.ones(size // 2, device="cuda", dtype=torch.bfloat16)
        for _ in range(3):
            dist.all_reduce(data)
        taken = []
        for _ in range(_TRIALS):
            torch.cuda.synchronize()
            begun = time.perf_counter()
            for _ in range(_REPEATS):
                dist.all_reduce(data)
            torch.cuda.synchronize()
            taken.append((time.perf_counter() - begun) / _REPEATS)
        seconds = statistics.median(taken)
        rate = 2 * (world - 1) / world * size / seconds
        found.append({"bytes": size, "us": seconds * 1e6, "bus_gb_per_s": rate / 1e9})
    if rank == 0:
        Path(out).write_text(json.dumps(found))
    dist.destroy_process_group()


def measure(cards: int, *, p2p: bool) -> list[dict[str, Any]]:
    """All-reduce among all cards; P2P off goes through the host's memory."""
    os.environ["NCCL_NVLS_ENABLE"] = "0"
    os.environ["NCCL_P2P_DISABLE"] = "0" if p2p else "1"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        mp.spawn(worker, args=(cards, f"{folder}/meet", str(out)), nprocs=cards)
        found: list[dict[str, Any]] = json.loads(out.read_text())
    return found


def main() -> None:
    cards = torch.cuda.device_count()
    if cards < 2:
        sys.exit(f"видно карт: {cards}; для обмена нужны хотя бы две")
    found = {
        "card": torch.cuda.get_device_name(),
        "cards": cards,
        "nccl": ".".join(map(str, torch.cuda.nccl.version())),
        "p2p": measure(cards, p2p=True),
        "no_p2p": measure(cards, p2p=False),
    }
    for way in ("p2p", "no_p2p"):
        for row in found[way]:
            rate = f"{row['bus_gb_per_s']:8.1f} ГБ/с"
            print(f"{way:7} {row['bytes']:>10} байт {row['us']:9.1f} мкс {rate}", flush=True)
    if "--json" in sys.argv:
        Path(sys.argv[sys.argv.index("--json") + 1]).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
