"""A torch.profiler trace (Chrome JSON) as plain tuples: steps, kernels, operators."""

import gzip
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from knowledge.errors import BadInput

_KERNELS = frozenset({"kernel", "gpu_memcpy", "gpu_memset"})
_LAUNCHES = frozenset({"cuda_runtime", "cuda_driver"})
_STEP = re.compile(
    r"execute_(?:\d+_)?context_(?P<prompts>\d+)\((?:sq)?(?P<prompt_tokens>\d+)[^)]*\)"
    r"_generation_(?P<sequences>\d+)\("
)


class Span(NamedTuple):
    """Something that ran. Microseconds of the trace's clock."""

    start: float
    end: float
    name: str


class Step(NamedTuple):
    """One forward pass as the engine annotates it on the host."""

    start: float
    end: float
    prompts: int
    prompt_tokens: int
    sequences: int


@dataclass
class Trace:
    """Sorted by start. `kernels` with the number of the step that launched them."""

    steps: list[Step]
    kernels: list[tuple[int, Span]] = field(default_factory=list)
    operators: list[Span] = field(default_factory=list)
    """Of the thread that runs the steps."""


def read(path: Path) -> Trace:
    """Raises BadInput for what is no trace, or a trace without an engine's steps."""
    events = _events(path)
    annotated = [(e, found) for e in events if (found := _step_of(e)) is not None]
    if not annotated:
        raise BadInput(
            f"в трассе {path.name} нет шагов движка",
            "Нужна трасса worker'а vLLM (execute_context_…), снятая под нагрузкой",
        )
    thread = _busiest([e.get("tid") for e, _ in annotated])
    steps = sorted(step for e, step in annotated if e.get("tid") == thread)
    starts = [step.start for step in steps]
    return Trace(steps, _kernels(events, starts), _operators(events, thread))


def _events(path: Path) -> list[dict[str, Any]]:
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        found = orjson.loads(data)
    except (OSError, EOFError, ValueError) as error:
        raise BadInput(
            f"{path}: трасса не читается ({error})", "Нужен файл torch.profiler: .json или .json.gz"
        ) from error
    events = found.get("traceEvents") if isinstance(found, dict) else found
    if not isinstance(events, list):
        raise BadInput(f"{path}: это не трасса torch.profiler", "В ней нет списка traceEvents")
    return [e for e in events if isinstance(e, dict) and e.get("ph") == "X" and "dur" in e]


def _step_of(event: dict[str, Any]) -> Step | None:
    if event.get("cat") not in ("user_annotation", "cpu_op"):
        return None
    found = _STEP.match(str(event.get("name")))
    if not found:
        return None
    start = float(event["ts"])
    counts = (int(found[name]) for name in ("prompts", "prompt_tokens", "sequences"))
    return Step(start, start + float(event["dur"]), *counts)


def _busiest(threads: list[Any]) -> Any:
    return max(set(threads), key=threads.count)


def _kernels(events: list[dict[str, Any]], starts: list[float]) -> list[tuple[int, Span]]:
    """Kernels by the step in which, or after which, the host launched them."""
    launched = {
        e["args"]["correlation"]: float(e["ts"])
        for e in events
        if e.get("cat") in _LAUNCHES and "correlation" in e.get("args", ())
    }
    found = []
    last = -1
    for event in sorted((e for e in events if e.get("cat") in _KERNELS), key=lambda e: e["ts"]):
        at = launched.get(event.get("args", {}).get("correlation"))
        # Launched before the trace began: it belongs with its neighbours.
        last = max(last, bisect_right(starts, at) - 1) if at is not None else last
        if last >= 0:
            found.append((last, _span(event)))
    return found


def _operators(events: list[dict[str, Any]], thread: Any) -> list[Span]:
    own = (e for e in events if e.get("cat") == "cpu_op" and e.get("tid") == thread)
    spans = [_span(e) for e in own if _step_of(e) is None]
    return sorted(spans, key=lambda span: (span.start, -span.end))


def _span(event: dict[str, Any]) -> Span:
    start = float(event["ts"])
    return Span(start, start + float(event["dur"]), str(event.get("name")))
