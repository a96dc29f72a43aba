"""Optuna's TPE over the engine's knobs, seeded with every trial so far."""

import random
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from advisor.policy.base import View
from advisor.policy.points import (
    Told,
    knobs_of,
    pending_at,
    proposed,
    told,
)
from advisor.policy.space import Knob
from knowledge.types import FlagValue, Hypothesis

_TRIES = 40


class SearchPolicy:
    """SLOs are constraints, so the sampler looks where they hold."""

    name = "search"

    def ask(self, view: View) -> Sequence[Hypothesis]:
        knobs = knobs_of(view)
        if not knobs:
            return []
        return proposed(view, self.name, "Поиск TPE", knobs, _suggest(view, knobs))


def _suggest(view: View, knobs: list[Knob]) -> Iterator[dict[str, FlagValue | None]]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space: dict[str, Any] = {
        k.flag: optuna.distributions.CategoricalDistribution(list(k.choices)) for k in knobs
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = optuna.samplers.TPESampler(
            seed=random.Random(f"tpe {view.seed} {len(view.trials)}").getrandbits(32),
            constant_liar=bool(view.pending),
            constraints_func=lambda trial: trial.user_attrs.get("violations", [0.0]),
        )
        better = optuna.study.StudyDirection
        direction = better.MAXIMIZE if view.metric.higher_is_better else better.MINIMIZE
        study = optuna.create_study(direction=direction, sampler=sampler)
        rows = [row for trial in view.trials if (row := told(view, trial, knobs))]
        for params, value, violations in _finished(view, rows):
            study.add_trial(
                optuna.trial.create_trial(
                    params=params,
                    distributions=space,
                    value=value,
                    user_attrs={"violations": violations},
                )
            )
        for params in pending_at(view, knobs):
            study.add_trial(
                optuna.trial.create_trial(
                    params=params, distributions=space, state=optuna.trial.TrialState.RUNNING
                )
            )
        for _ in range(_TRIES):
            yield study.ask(fixed_distributions=space).params


def _finished(
    view: View, rows: Sequence[Told]
) -> Iterator[tuple[dict[str, FlagValue | None], float, list[float]]]:
    """A failed trial counts as the worst that was seen, and as infeasible."""
    figures = [row.figure for row in rows if row.figure is not None]
    worst = (min if view.metric.higher_is_better else max)(figures, default=0.0)
    for row in rows:
        if row.figure is None:
            yield row.values, worst, [1.0] * len(row.violations)
        else:
            yield row.values, row.figure, list(row.violations)


POLICY = SearchPolicy()
