"""Measured ceilings of a GPU: copy bandwidth and matrix products. Needs torch, nothing else.

Run it with the interpreter that has torch: `PYTHON bench/gpu_ceilings.py [--json FILE]`. Copies
count bytes read and written; matrix products are 8192³ on random data (zeros run faster).
"""

import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

_GIB = 2**30
_REPEATS = 20


def seconds(work: Callable[[], Any]) -> float:
    """Median time on the device's own clock, after a warm-up."""
    for _ in range(3):
        work()
    taken = []
    for _ in range(_REPEATS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        taken.append(float(start.elapsed_time(end)) / 1e3)
    return statistics.median(taken)


def read_rate() -> float:
    """Bytes per second of a sum over 8 GiB: what decode does with the weights."""
    data = torch.randn(2 * _GIB, device="cuda", dtype=torch.float32)
    return float(data.nbytes) / seconds(data.sum)


def copy_rate() -> float:
    source = torch.randn(_GIB, device="cuda", dtype=torch.float32)
    target = torch.empty_like(source)
    return 2 * float(source.nbytes) / seconds(lambda: target.copy_(source))


def matmul_rate(size: int = 8192) -> dict[str, float]:
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    flops = 2 * size**3
    rates = {"bfloat16": flops / seconds(lambda: a @ b)}
    try:
        eight = torch.float8_e4m3fn
        one = torch.ones((), device="cuda")
        left, right = a.to(eight), b.t().contiguous().to(eight).t()
        rates["fp8"] = flops / seconds(
            lambda: torch._scaled_mm(left, right, one, one, out_dtype=torch.bfloat16)
        )
    except (RuntimeError, AttributeError) as error:
        print(f"fp8: {error}", file=sys.stderr)
    return rates


def main() -> None:
    found = {
        "device": torch.cuda.get_device_name(0),
        "torch": torch.__version__,
        "copy_bytes_per_s": copy_rate(),
        "read_bytes_per_s": read_rate(),
        "flops_per_s": matmul_rate(),
    }
    print(json.dumps(found, indent=2))
    if "--json" in sys.argv:
        Path(sys.argv[sys.argv.index("--json") + 1]).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
