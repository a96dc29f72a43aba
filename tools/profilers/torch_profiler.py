"""torch.profiler through the engine's own hooks: POST /start_profile and /stop_profile.

vLLM has had both since 0.6; 0.26 and 0.32 open them when started with --profiler-config. The worker
writes one Chrome trace per stop into a folder that we must be able to read.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from statistics import median

from knowledge.errors import BadInput, EngineFailed
from knowledge.types import Cause, RequestSample, StepProfile, Workload
from tools.load import PromptSource, Target, fetch, run_round
from tools.profilers._reduce import reduce
from tools.profilers._trace import read

NAME = "torch"
_WORKER = "*.pt.trace.json*"
_STOP_DEADLINE_S = 300.0
"""Writing the trace of a CPU's thousand operators takes a minute."""
_LEAST_GAPS = 10
_DRAIN_S = 120.0
_PROMPTS_AHEAD = 32
_HINT = (
    "Запустите vLLM с --profiler-config "
    '\'{"profiler": "torch", "torch_profiler_dir": "/tmp/trace", '
    '"torch_profiler_with_stack": false, "ignore_frontend": true}\''
)


async def profile(  # noqa: PLR0913 - all but four by name
    target: Target,
    workload: Workload,
    prompts: PromptSource,
    folder: Path,
    *,
    lead_s: float,
    seconds: float,
    seed: int = 0,
    keep: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> StepProfile:
    """Load the server, record `seconds` of it after `lead_s`, reduce the trace that appears.

    The lead is measured without a profiler: it says what profiling costs. Raises BadInput when
    the server has no hooks, EngineFailed when no trace comes.
    """
    await asyncio.to_thread(prompts.prepare, _PROMPTS_AHEAD)  # before the round's clock starts
    known = set(folder.glob(_WORKER))
    moments: dict[str, float] = {}
    load = asyncio.create_task(
        run_round(
            target,
            workload,
            prompts,
            round_index=0,
            duration_s=lead_s + seconds,
            drain_s=_DRAIN_S,
            seed=seed,
        )
    )
    try:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(lead_s)
        await _post(target, "/start_profile", 60.0)
        moments["from"] = loop.time() - began
        await asyncio.sleep(seconds)
        moments["to"] = loop.time() - began
        await _post(target, "/stop_profile", _STOP_DEADLINE_S)
        outcome = await load
    finally:
        load.cancel()
        with contextlib.suppress(asyncio.CancelledError, BadInput):
            await load
    trace = await _new_trace(folder, known)
    progress(f"трасса {trace.name}, {trace.stat().st_size / 2**20:.0f} МиБ: разбираем …")
    found = await asyncio.to_thread(lambda: reduce(read(trace), NAME))
    if not keep:
        trace.unlink()
    return found.replace(
        client_step_ms=_gap_ms(outcome.samples, moments["from"], moments["to"]),
        undisturbed_step_ms=_gap_ms(outcome.samples, 0.0, moments["from"]),
    )


def reduce_file(path: Path) -> StepProfile:
    """A trace that somebody else recorded."""
    return reduce(read(path), NAME)


async def _post(target: Target, path: str, timeout_s: float) -> None:
    answer = await fetch(
        target.base_url,
        path,
        method="POST",
        body=b"",
        api_key=target.api_key,
        timeout_s=timeout_s,
    )
    if answer.status == 404:
        raise BadInput(f"у сервера {target.base_url} нет {path}: профилировщик не включён", _HINT)
    if answer.status != 200:
        text = answer.content[:200].decode("utf-8", "replace")
        raise EngineFailed(Cause.CRASH, f"{path}: HTTP {answer.status}: {text}")


async def _new_trace(folder: Path, known: set[Path]) -> Path:
    """The largest file that is new and no longer grows: rank 0 of several."""
    size = -1
    for _ in range(240):
        new = [path for path in folder.glob(_WORKER) if path not in known]
        if new:
            largest = max(new, key=lambda path: path.stat().st_size)
            if largest.stat().st_size == size > 0:
                return largest
            size = largest.stat().st_size
        await asyncio.sleep(0.5)
    raise EngineFailed(Cause.TIMEOUT, f"трасса не появилась в {folder}")


def _gap_ms(samples: tuple[RequestSample, ...], start_s: float, end_s: float) -> float | None:
    """Median time between the chunks that arrived in a stretch of the round; None for too few: on
    a slow engine a short stretch holds the prefill of its neighbours and little else."""
    gaps = [
        (later - earlier) * 1e3
        for sample in samples
        for earlier, later in zip(sample.chunk_times_s, sample.chunk_times_s[1:], strict=False)
        if start_s <= earlier and later <= end_s
    ]
    return median(gaps) if len(gaps) >= _LEAST_GAPS else None
