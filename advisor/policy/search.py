"""Optuna's TPE over the engine's numeric knobs, seeded with every trial so far."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from advisor.policy.base import View
from knowledge.types import Change, FlagValue, Frozen, Hypothesis, Interval, TrialResult

_KNOBS = Path(__file__).parents[2] / "knowledge" / "knobs"
_PREDICTED = Interval(low=0.85, high=1.2)
_TRIES = 40


class Knob(Frozen):
    """One numeric or categorical flag and the values worth trying; None is the default."""

    flag: str
    choices: tuple[FlagValue | None, ...]


class SearchPolicy:
    """SLOs are constraints, so the sampler looks where they hold."""

    name = "search"

    def propose(self, view: View) -> Sequence[Hypothesis]:
        knobs = [k for k in load_knobs(view.base.config.engine) if k.flag in view.catalog.flags]
        if not knobs:
            return []
        for change in _suggest(view, knobs):
            candidate = view.base.apply(change)
            if view.is_new(candidate):
                return [_hypothesis(view, change)]
        return []


def load_knobs(engine: str) -> tuple[Knob, ...]:
    """From knowledge/knobs/ENGINE.yaml; none when there is no such file."""
    path = _KNOBS / f"{engine}.yaml"
    if not path.exists():
        return ()
    return tuple(Knob.model_validate(row) for row in yaml.safe_load(path.read_text()))


def _suggest(view: View, knobs: Sequence[Knob]) -> Sequence[Change]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space: dict[str, Any] = {
        k.flag: optuna.distributions.CategoricalDistribution(list(k.choices)) for k in knobs
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = optuna.samplers.TPESampler(
            seed=view.seed + len(view.trials),
            constraints_func=lambda trial: trial.user_attrs.get("violations", [0.0]),
        )
        better = optuna.study.StudyDirection
        direction = better.MAXIMIZE if view.metric.higher_is_better else better.MINIMIZE
        study = optuna.create_study(direction=direction, sampler=sampler)
        for result in view.trials:
            if row := _told(view, result, knobs):
                study.add_trial(
                    optuna.trial.create_trial(
                        params=row[0],
                        distributions=space,
                        value=row[1],
                        user_attrs={"violations": row[2]},
                    )
                )
        return [Change(flags=study.ask(fixed_distributions=space).params) for _ in range(_TRIES)]


def _told(
    view: View, result: TrialResult, knobs: Sequence[Knob]
) -> tuple[dict[str, FlagValue | None], float, list[float]] | None:
    """(parameters, value, SLO violations) of a trial that lies within the space."""
    if result.measurement is None or result.spec.candidate.config.engine != view.base.config.engine:
        return None
    seen = result.measurement.metrics.get(view.metric)
    flags = result.spec.candidate.config.flags
    params = {k.flag: flags.get(k.flag) for k in knobs}
    if seen is None or any(params[k.flag] not in k.choices for k in knobs):
        return None
    metrics = result.measurement.metrics
    violations = [
        slo.violation(metrics[slo.metric].value) if slo.metric in metrics else 1.0
        for slo in view.slos
    ]
    return params, seen.value, violations or [0.0]


def _hypothesis(view: View, change: Change) -> Hypothesis:
    shown = ", ".join(
        f"{flag}={value}" for flag, value in change.flags.items() if value is not None
    )
    return Hypothesis(
        technique="search",
        policy="search",
        title=f"Поиск TPE: {shown or 'значения по умолчанию'}",
        rationale="Точка предложена оптимизатором по всем прошлым испытаниям этой сессии.",
        change=change,
        candidate=view.base.apply(change),
        parent=view.base.content_id(),
        metric=view.metric,
        predicted_speedup=view.calibration.apply(_PREDICTED),
        evidence=(f"{len(view.trials)} испытаний сессии",),
        cost_s=view.trial_s,
    )


POLICY = SearchPolicy()
