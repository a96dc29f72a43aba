"""What past sessions on similar tasks measured: the same engine, kind of model, device, regime."""

import math

from advisor.context import Context, figure
from advisor.policy.base import Seen
from advisor.policy.space import settings_of
from advisor.profiling import profile_of
from knowledge.types import Hardware, Task
from tools.store import SessionRow

_SESSIONS = 8
_TRIALS = 80
_LOOKED_AT = 100
_ELSEWHERE_SD = 0.08
"""How far the effect of a setting differs from one similar task to the next (log)."""
_SIZES = 2.0
"""Models whose active parameters differ by less than this factor are of one class."""


def past_of(ctx: Context) -> tuple[Seen, ...]:
    """The newest first; only what was compared with the default of its own session."""
    if ctx.past is None:
        ctx.past = _look_up(ctx)
    return ctx.past


def _look_up(ctx: Context) -> tuple[Seen, ...]:
    found: list[Seen] = []
    sessions = [row for row in ctx.store.sessions() if _same_engine(row, ctx)][:_LOOKED_AT]
    alike = 0
    for row in sessions:
        if alike == _SESSIONS or len(found) >= _TRIALS:
            break
        if similar(ctx.store.task(row.session), ctx.task):
            alike += 1
            found += _seen(ctx, row.session)
    return tuple(found[:_TRIALS])


def similar(one: Task, other: Task) -> bool:
    """Whether what was found for one is worth a look for the other."""
    ours, theirs = one.model.facts, other.model.facts
    ratio = max(ours.active_parameters, 1) / max(theirs.active_parameters, 1)
    return (
        one.engine == other.engine
        and _same_device(one.hardware, other.hardware)
        and one.objective.metric == other.objective.metric
        and (ours.attention, bool(ours.experts)) == (theirs.attention, bool(theirs.experts))
        and ours.quantization == theirs.quantization
        and 1 / _SIZES <= ratio <= _SIZES
        and profile_of(one).regime == profile_of(other).regime
    )


def _same_device(one: Hardware, other: Hardware) -> bool:
    """A GPU is known by its name; the host beside it matters less."""
    if one.device.kind == "cpu":
        return one.machine == other.machine
    return one.device.name == other.device.name


def _same_engine(row: SessionRow, ctx: Context) -> bool:
    return row.engine == ctx.task.engine and row.session != ctx.session


def _seen(ctx: Context, session: str) -> list[Seen]:
    trials = [t for t in ctx.store.trials(session) if t.spec.purpose in ("baseline", "hypothesis")]
    default = next((t for t in trials if t.spec.purpose == "baseline"), None)
    before = figure(default, ctx.metric)
    if before is None or before.value <= 0:
        return []
    sign = 1 if ctx.metric.higher_is_better else -1
    return [
        Seen(
            settings=settings_of(trial.spec.candidate),
            log_gain=sign * math.log(seen.value / before.value),
            sd=_ELSEWHERE_SD,
            session=session,
        )
        for trial in trials
        if trial is not default and (seen := figure(trial, ctx.metric)) and seen.value > 0
    ]
