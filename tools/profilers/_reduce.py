"""From a trace to the mean step of each phase. Every microsecond is counted once."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from knowledge.errors import BadInput
from knowledge.kernels import part_of, short_name
from knowledge.types import KernelShare, Part, PhaseProfile, StepProfile
from knowledge.types.profiling import PhaseName
from tools.profilers._trace import Span, Step, Trace

_TOP = 8
_LEAST_STEPS = 2


class Piece(NamedTuple):
    """So many microseconds of a step, and what they went to. No kernel: nothing ran."""

    step: int
    part: Part
    us: float
    kernel: str | None


def reduce(trace: Trace, profiler: str = "torch") -> StepProfile:
    """Raises BadInput when there are too few steps to say anything."""
    if len(trace.steps) <= _LEAST_STEPS:
        raise BadInput(
            f"в трассе только {len(trace.steps)} шагов движка", "Снимайте дольше или дайте нагрузку"
        )
    on_device = bool(trace.kernels)
    pieces = list(_on_gpu(trace) if on_device else _on_cpu(trace))
    last = max((piece.step for piece in pieces), default=0)
    # The last step has no successor that says when it was over.
    pieces = [piece for piece in pieces if piece.step < last]
    seen = {piece.step for piece in pieces}
    steps = trace.steps
    return StepProfile(
        profiler=profiler,
        timeline="kernels" if on_device else "operators",
        phases=tuple(_phases(steps, pieces)),
        device_ms=sum(piece.us for piece in pieces) / 1e3,
        host_ms=(steps[last].start - steps[min(seen)].start) / 1e3 if seen else 0.0,
    )


def _on_gpu(trace: Trace) -> Iterator[Piece]:
    """A walk along the GPU's timeline: uncovered time of each kernel, and the gap before it."""
    covered, before = trace.kernels[0][1].start, trace.kernels[0][0]
    for step, kernel in trace.kernels:
        if kernel.start > covered:
            yield Piece(before, _gap(trace.steps, before, step), kernel.start - covered, None)
            covered = kernel.start
        if kernel.end > covered:
            yield Piece(step, part_of(kernel.name), kernel.end - covered, kernel.name)
            covered = kernel.end
        before = step


def _gap(steps: Sequence[Step], before: int, after: int) -> Part:
    """Between two steps there may have been nothing to do: then the next one begins afresh."""
    fresh = steps[after].prompts > 0 and steps[after].sequences == 0
    return Part.IDLE if after != before and fresh else Part.HOST_GAP


def _on_cpu(trace: Trace) -> Iterator[Piece]:
    """Self time of the operators between one step's start and the next one's."""
    pieces, position = list(_self_times(trace.operators)), 0
    for number, step in enumerate(trace.steps[:-1]):
        until = trace.steps[number + 1].start
        used = used_inside = 0.0
        while position < len(pieces) and pieces[position].start < until:
            span = pieces[position]
            position += 1
            if span.start < step.start:
                continue
            length = span.end - span.start
            used += length
            used_inside += length if span.start < step.end else 0.0
            yield Piece(number, part_of(span.name), length, span.name)
        inside = max(0.0, step.end - step.start - used_inside)
        yield Piece(number, Part.HOST_GAP, inside, None)
        outside = max(0.0, until - step.start - used - inside)
        yield Piece(number, _gap(trace.steps, number, number + 1), outside, None)
    yield Piece(len(trace.steps) - 1, Part.IDLE, 0.0, None)


def _self_times(operators: Sequence[Span]) -> list[Span]:
    """Nested spans of one thread cut into what each does itself, in order."""
    cut: list[Span] = []
    open_spans: list[Span] = []
    at = 0.0

    def close(until: float) -> None:
        nonlocal at
        while open_spans and open_spans[-1].end <= until:
            done = open_spans.pop()
            if done.end > at:
                cut.append(Span(at, done.end, done.name))
                at = done.end

    for span in operators:
        close(span.start)
        if open_spans and span.start > at:
            cut.append(Span(at, span.start, open_spans[-1].name))
        at = max(at, span.start)
        open_spans.append(span)
    close(float("inf"))
    return cut


def _phases(steps: Sequence[Step], pieces: Sequence[Piece]) -> Iterator[PhaseProfile]:
    for name in ("decode", "prefill", "mixed"):
        of_phase = [piece for piece in pieces if _phase_of(steps[piece.step]) == name]
        if not of_phase:
            continue
        numbers = sorted({piece.step for piece in of_phase})
        count = len(numbers)
        parts: dict[Part, float] = defaultdict(float)
        for piece in of_phase:
            parts[piece.part] += piece.us / 1e3 / count
        yield PhaseProfile(
            phase=name,
            steps=count,
            step_ms=sum(parts.values()),
            parts_ms=dict(parts),
            prompt_tokens=sum(steps[n].prompt_tokens for n in numbers) / count,
            sequences=sum(steps[n].sequences for n in numbers) / count,
            top=_top(of_phase),
        )


def _phase_of(step: Step) -> PhaseName:
    if not step.prompts:
        return "decode"
    return "mixed" if step.sequences else "prefill"


def _top(pieces: Sequence[Piece]) -> tuple[KernelShare, ...]:
    total: dict[tuple[str, Part], float] = defaultdict(float)
    calls: dict[tuple[str, Part], int] = defaultdict(int)
    for piece in pieces:
        if piece.kernel is not None:
            key = (short_name(piece.kernel), piece.part)
            total[key] += piece.us / 1e3
            calls[key] += 1
    ranked = sorted(total, key=lambda key: -total[key])[:_TOP]
    return tuple(
        KernelShare(name=name, part=part, total_ms=total[name, part], calls=calls[name, part])
        for name, part in ranked
    )
