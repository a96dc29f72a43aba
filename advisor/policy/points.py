"""What the optimizers share: trials as points of the knobs, and a point as a hypothesis."""

import random
from collections.abc import Iterable, Mapping

from advisor.context import figure
from advisor.policy.base import View
from advisor.policy.prior import fixed_settings
from advisor.policy.space import Knob, candidate_of, difference, in_title, settings_of
from knowledge.types import Candidate, FlagValue, Frozen, Hypothesis, Interval, TrialResult

Values = Mapping[str, FlagValue | None]
_PREDICTED = Interval(low=0.85, high=1.2)


class Told(Frozen):
    """One trial as an optimizer is told of it."""

    values: dict[str, FlagValue | None]
    figure: float | None
    """None when it failed."""
    violations: tuple[float, ...]
    """Of the SLOs; above 0 is broken."""
    seconds: float


def knobs_of(view: View) -> list[Knob]:
    """The knobs that are free: not the user's own flags, not the quick start while screening."""
    fixed = fixed_settings(view)
    return [knob for knob in view.space.knobs if knob.flag not in fixed]


def told(view: View, trial: TrialResult, knobs: list[Knob]) -> Told | None:
    """None for a trial outside the space of the knobs."""
    candidate = trial.spec.candidate
    if candidate.config.engine != view.base.config.engine:
        return None
    values = _values(candidate, knobs)
    if values is None:
        return None
    seen = figure(trial, view.metric)
    violations = tuple(
        slo.violation(found.value) if (found := figure(trial, slo.metric)) else 1.0
        for slo in view.slos
    )
    return Told(
        values=values,
        figure=seen.value if seen else None,
        violations=violations or (0.0,),
        seconds=trial.seconds,
    )


def pending_at(view: View, knobs: list[Knob]) -> list[dict[str, FlagValue | None]]:
    """Candidates that are about to be measured, as far as they lie in the space of the knobs."""
    engine = view.base.config.engine
    inside = [_values(one, knobs) for one in view.pending if one.config.engine == engine]
    return [values for values in inside if values is not None]


def _values(candidate: Candidate, knobs: list[Knob]) -> dict[str, FlagValue | None] | None:
    settings = settings_of(candidate)
    values = {knob.flag: settings.get(knob.flag) for knob in knobs}
    return values if all(values[knob.flag] in knob.choices for knob in knobs) else None


def candidate_at(view: View, values: Values) -> Candidate:
    """The base with these knobs, and whatever it has besides."""
    settings: dict[str, FlagValue | None] = dict(settings_of(view.base))
    return candidate_of(view.base.config.engine, settings | dict(values) | fixed_settings(view))


def nearest(view: View, knobs: list[Knob], values: Values) -> Candidate | None:
    """Of a space that is a list, the untried one that differs in the fewest knobs: an optimizer
    that does not know of the list proposes what is not in it. None where nothing is left."""
    if view.space.members is None:
        return None
    rng = random.Random(f"nearest {view.seed} {len(view.trials)}")
    rest = [(one, settings) for one, settings in view.space.listed if view.is_new(one)]
    rng.shuffle(rest)

    def apart(listed: tuple[Candidate, Mapping[str, FlagValue | None]]) -> int:
        return sum(listed[1].get(knob.flag) != values.get(knob.flag) for knob in knobs)

    return min(rest, key=apart)[0] if rest else None


def proposed(
    view: View, policy: str, title: str, knobs: list[Knob], points: Iterable[Values]
) -> list[Hypothesis]:
    """The first point that may be tried; where a list has none of them, what is nearest to the
    first. Empty where nothing is left."""
    first = None
    for values in points:
        first = first or values
        candidate = candidate_at(view, values)
        if view.is_new(candidate):
            return [hypothesis_at(view, policy, title, candidate)]
    near = nearest(view, knobs, first) if first else None
    return [hypothesis_at(view, policy, title, near)] if near else []


def hypothesis_at(view: View, policy: str, title: str, candidate: Candidate) -> Hypothesis:
    """A point that an optimizer proposes, without any reason but its own."""
    change = difference(view.base, candidate)
    shown = in_title(settings_of(candidate), settings_of(view.task.default))
    return Hypothesis(
        technique="search",
        policy=policy,
        title=f"{title}: {shown}",
        rationale="Точка предложена оптимизатором по всем прошлым испытаниям этой сессии.",
        change=change,
        candidate=candidate,
        parent=view.base.content_id(),
        metric=view.metric,
        predicted_speedup=view.calibration.apply(_PREDICTED),
        evidence=(f"{len(view.trials)} испытаний сессии",),
        cost_s=view.cost_s(candidate),
    )
