"""The CPU as a device: what it is, and how fast it reads and multiplies, measured."""

import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from tools._cgroup import read_limits

_REPEATS = 5
_MEASURE_AT_LEAST_S = 0.4
_READ_BYTES_PER_CORE = 64 * 2**20
"""Far above any core's share of the last-level cache."""
_METHOD = 2
"""Raise when the measurement changes, so that kept figures are measured again."""
_SIDES = (1024, 2048)
_SIDES_MANY_CORES = (2048, 4096)
"""Square matrices: a small product fits between disturbances, a large one feeds all cores."""
_ISA = (
    "avx2",
    "avx512f",
    "avx512_bf16",
    "avx512_vnni",
    "avx512_fp16",
    "avx_vnni",
    "amx_tile",
    "amx_bf16",
    "amx_int8",
    "asimddp",
    "bf16",
    "i8mm",
    "sve",
)


@dataclass(frozen=True)
class Ceilings:
    """Best of several short measurements over all cores."""

    read_bytes_per_s: float
    float32_flops_per_s: float


def cpu_name() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def isa() -> tuple[str, ...]:
    """Instruction sets that matter to inference kernels."""
    have = set((_cpuinfo("flags") or _cpuinfo("Features")).split())
    return tuple(name for name in _ISA if name in have)


def cores() -> int:
    """Physical cores that we may use: affinity and the container's quota respected."""
    quota = read_limits().cpus
    usable = _usable_cores()
    return usable if quota is None else max(1, min(usable, math.ceil(quota)))


def numa_nodes() -> int:
    return len(list(Path("/sys/devices/system/node").glob("node[0-9]*"))) or 1


def total_memory_bytes() -> int:
    """Physical memory, or the container's limit."""
    total = psutil.virtual_memory().total
    return min(total, read_limits().memory_bytes or total)


def free_memory_bytes() -> int:
    """What new processes can take without swapping; the container's limit respected."""
    available = psutil.virtual_memory().available
    limit = read_limits().memory_free_bytes
    return available if limit is None else min(available, limit)


def ceilings(
    cache: Path,
    measure: Callable[[int], Ceilings] | None = None,
    busy: Callable[[], bool] | None = None,
) -> Ceilings:
    """The two ceilings of the roofline, measured once per machine and kept under `cache`.

    What was measured while the machine had other work is used, but not kept: it is too low.
    """
    facts = [_METHOD, cpu_name(), cores(), isa(), psutil.virtual_memory().total, _machine_id()]
    kept = cache / f"cpu-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]}.json"
    try:
        return Ceilings(**json.loads(kept.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        disturbed = (busy or _busy)()
        measured = (measure or measure_ceilings)(cores())
    if not disturbed:
        kept.parent.mkdir(parents=True, exist_ok=True)
        half = kept.with_name(f"{kept.name}.{os.getpid()}")
        half.write_text(json.dumps(asdict(measured)))
        half.replace(kept)
    return measured


def measure_ceilings(threads: int) -> Ceilings:
    """About two seconds. A ceiling is the best seen: whatever disturbs only makes it lower."""
    import numpy as np

    per_thread = min(_READ_BYTES_PER_CORE, free_memory_bytes() // (8 * threads))
    arrays = [np.ones(per_thread // 8, np.uint64) for _ in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        # The cheapest reduction there is: one pass of vector reads, and numpy releases the GIL.
        read_s = _best(lambda: list(pool.map(np.bitwise_or.reduce, arrays)))
    sides = _SIDES if threads <= 16 else _SIDES_MANY_CORES
    return Ceilings(
        read_bytes_per_s=sum(array.nbytes for array in arrays) / read_s,
        float32_flops_per_s=max(2 * side**3 / _best(_product(side)) for side in sides),
    )


def _product(side: int) -> Callable[[], object]:
    import numpy as np

    matrix = np.ones((side, side), np.float32)
    return lambda: matrix @ matrix


def _busy() -> bool:
    """Whether others used half of the machine over the last minute."""
    return os.getloadavg()[0] > 0.5 * (os.cpu_count() or 1)


def _best(work: Callable[[], object]) -> float:
    seconds: list[float] = []
    while len(seconds) < _REPEATS or sum(seconds) < _MEASURE_AT_LEAST_S:
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _usable_cores() -> int:
    if not hasattr(os, "sched_getaffinity"):
        return psutil.cpu_count(logical=False) or 1
    found = set()
    for cpu in os.sched_getaffinity(0):
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        try:
            package = (topology / "physical_package_id").read_text().strip()
            found.add((package, (topology / "core_id").read_text().strip()))
        except OSError:
            found.add(("", str(cpu)))
    return len(found)


def _cpuinfo(field: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in pairs if name.strip() == field), "")


def _machine_id() -> str:
    try:
        return Path("/etc/machine-id").read_text().strip()
    except OSError:
        return platform.node()
