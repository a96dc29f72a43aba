"""Nsight Compute: how near each kernel of one engine step comes to the card's two ceilings.

`ncu` replays every kernel of the step and reads the hardware's counters: bytes that DRAM moved,
and the share of the peak that DRAM and the SMs sustained (its «Speed of Light»). The time of a
replayed kernel is its own; gaps between kernels are torch.profiler's business.
"""

import asyncio
import csv
import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from knowledge.errors import BadInput, EngineFailed
from knowledge.kernels import part_of, short_name
from knowledge.types import Cause, KernelPoint, KernelPoints
from knowledge.types.profiling import PhaseName
from tools.process import ServerProcess, clean_env
from tools.process.text import tail_lines

NAME = "nsight-compute"
_SCRIPT = Path(__file__).parent / "_in_env" / "one_step.py"
_TIME = "gpu__time_duration.sum"
_BYTES = "dram__bytes.sum"
_DRAM = "gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed"
_SM = "sm__throughput.avg.pct_of_peak_sustained_elapsed"
_METRICS = (_TIME, _BYTES, _DRAM, _SM)
_NS = {"nsecond": 1.0, "ns": 1.0, "usecond": 1e3, "us": 1e3, "msecond": 1e6, "ms": 1e6}
"""By the names that ncu gives its units; a launch in another one is left out."""
_DEADLINE_S = 480.0
_PLACES = ("/usr/local/cuda/bin/ncu", "/opt/nvidia/nsight-compute/*/ncu")
ROOM_TOKENS = 128
"""Of a sequence beyond its prompt."""
HINT = "Nsight Compute входит в CUDA toolkit; счётчики бывают закрыты драйвером (ERR_NVGPUCTRPERM)"


def find() -> Path | None:
    """The ncu of this machine."""
    if found := shutil.which("ncu"):
        return Path(found)
    known = (path for place in _PLACES for path in sorted(Path("/").glob(place[1:])))
    return next(known, None)


async def kernel_points(
    argv: Sequence[str],
    env: Mapping[str, str],
    folder: Path,
    *,
    phase: PhaseName,
    sequences: int,
    tokens: int,
    kv_bytes: int,
) -> KernelPoints:
    """Run one step of the engine that `argv` would serve, and read every kernel's counters.

    Once without ncu, so that what is compiled at first use is compiled, then under it. `kv_bytes`:
    room for KV; ncu saves and restores memory around each replay, so no more than is needed.
    Raises BadInput where ncu is missing, EngineFailed when it or the engine fails.
    """
    ncu = find()
    if ncu is None:
        raise BadInput("ncu не найден: точек roofline не снять", HINT)
    folder.mkdir(parents=True, exist_ok=True)
    report, log = folder / f"ncu-{phase}.csv", folder / f"ncu-{phase}.log"
    report.unlink(missing_ok=True)
    most = str(tokens + ROOM_TOKENS)
    limits = ("--kv-cache-memory-bytes", str(kv_bytes), "--max-model-len", most)
    given = [*argv[3:], *limits]  # after PYTHON -m MODULE; of two equal flags the last one counts
    step = (argv[0], "-P", str(_SCRIPT), phase, str(sequences), str(tokens), json.dumps(given))
    if code := await _run(step, env, log):
        raise EngineFailed(Cause.CRASH, f"шаг движка без ncu: код {code}", tail_lines(log, 40))
    command = (
        *(str(ncu), "--profile-from-start", "off", "--target-processes", "all"),
        *("--csv", "--page", "details", "--print-units", "base", "--clock-control", "none"),
        *("--metrics", ",".join(_METRICS), "--log-file", str(report)),
        *step,
    )
    code = await _run(command, env, log)
    text = report.read_text(errors="replace") if report.exists() else ""
    points = tuple(parse(text.splitlines()))
    if not points:
        said = [line for line in text.splitlines() if line.startswith("==ERROR==")]
        why = said[0].removeprefix("==ERROR==").strip() if said else f"код {code}, ядер нет"
        raise EngineFailed(Cause.CRASH, f"ncu: {why}", tail_lines(log, 40))
    return KernelPoints(
        profiler=NAME, phase=phase, sequences=sequences, tokens=tokens, points=points
    )


async def _run(command: Sequence[str], env: Mapping[str, str], log: Path) -> int:
    """The exit code. Raises EngineFailed when it takes too long."""
    process = await ServerProcess.start(command, clean_env(env), log)
    try:
        async with asyncio.timeout(_DEADLINE_S):
            return await process.wait_exit()
    except TimeoutError:
        text = f"{Path(command[0]).name} не уложился в {_DEADLINE_S:.0f} с"
        raise EngineFailed(Cause.TIMEOUT, text, process.log_tail()) from None
    finally:
        await process.stop(grace_s=5.0)


def parse(lines: Iterable[str]) -> Iterable[KernelPoint]:
    """The CSV that `ncu --csv --page details` writes: a row for each metric of each launch.

    Launches of one kernel become one point, the longest first.
    """
    table = [line for line in lines if line.startswith('"')]
    launches: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for row in csv.DictReader(table):
        name, value = row["Metric Name"], row["Metric Value"].replace(",", "")
        scale = _NS.get(row["Metric Unit"]) if name == _TIME else 1.0
        if name in _METRICS and scale and value not in ("", "n/a"):
            launches[row["ID"], row["Kernel Name"]][name] = float(value) * scale
    kernels: dict[str, list[dict[str, float]]] = defaultdict(list)
    for (_, name), read in launches.items():
        if read.keys() >= set(_METRICS):
            kernels[name].append(read)
    found = [_point(name, read) for name, read in kernels.items()]
    return sorted(found, key=lambda point: -point.total_us)


def _point(name: str, launches: Sequence[Mapping[str, float]]) -> KernelPoint:
    time_ns = sum(one[_TIME] for one in launches)

    def mean_share(metric: str) -> float:
        return sum(one[metric] * one[_TIME] for one in launches) / time_ns / 100

    return KernelPoint(
        name=short_name(name),
        part=part_of(name),
        calls=len(launches),
        total_us=time_ns / 1e3,
        dram_bytes=sum(one[_BYTES] for one in launches),
        dram_share=mean_share(_DRAM),
        sm_share=mean_share(_SM),
    )
