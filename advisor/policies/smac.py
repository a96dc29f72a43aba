"""SMAC3: random forests over the knobs. Optional: pip install "inference-advisor[search]"."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from advisor.policy.base import View
from advisor.policy.points import Told, knobs_of, proposed, told
from advisor.policy.space import Knob
from knowledge.errors import BadInput
from knowledge.types import FlagValue, Hypothesis

_TRIES = 12
_MOST_TRIALS = 200
_BROKEN = 10.0
"""SMAC has no constraints: what a broken SLO adds to the cost, per relative violation."""


class SmacPolicy:
    """Told everything anew at each question, as the others are."""

    name = "smac"

    def require(self) -> None:
        """Raises BadInput where the package is not installed."""
        if find_spec("smac") is None:
            raise BadInput(
                "политике smac нужен пакет smac",
                'Поставьте: pip install "inference-advisor[search]"',
            )

    def ask(self, view: View) -> Sequence[Hypothesis]:
        self.require()
        knobs = knobs_of(view)
        if not knobs:
            return []
        return proposed(view, self.name, "Поиск SMAC3", knobs, _suggest(view, knobs))


def _suggest(view: View, knobs: list[Knob]) -> Iterator[dict[str, FlagValue | None]]:
    """Points; one that is asked beyond is told of as no good, or SMAC would propose it again."""
    rows = [row for trial in view.trials if (row := told(view, trial, knobs))]
    with tempfile.TemporaryDirectory() as folder:
        facade = _facade(view, knobs, rows, Path(folder))
        for _ in range(_TRIES):
            asked = facade.ask()
            yield {knob.flag: knob.choices[asked.config[f"k{i}"]] for i, knob in enumerate(knobs)}
            facade.tell(asked, _value(_worst(view, rows)), save=False)


def _facade(view: View, knobs: list[Knob], rows: Sequence[Told], folder: Path) -> Any:
    from ConfigSpace import Categorical, Configuration, ConfigurationSpace
    from smac import HyperparameterOptimizationFacade, Scenario
    from smac.runhistory import TrialInfo

    logging.getLogger("smac").setLevel(logging.ERROR)
    space = ConfigurationSpace(seed=view.seed)
    space.add(*(Categorical(f"k{i}", list(range(len(k.choices)))) for i, k in enumerate(knobs)))
    scenario = Scenario(
        space, deterministic=True, n_trials=_MOST_TRIALS, seed=view.seed, output_directory=folder
    )
    design = HyperparameterOptimizationFacade.get_initial_design(scenario, n_configs=10)
    facade = HyperparameterOptimizationFacade(
        scenario, lambda config, seed: 0.0, model=_forest(scenario), initial_design=design,
        logging_level=False, overwrite=True,
    )  # fmt: skip
    worst = _worst(view, rows)
    for row in rows:
        levels = {f"k{i}": _place(knob, row.values[knob.flag]) for i, knob in enumerate(knobs)}
        info = TrialInfo(Configuration(space, values=levels), seed=facade._scenario.seed and 0)
        facade.tell(info, _value(_cost(view, row, worst)), save=False)
    return facade


def _forest(scenario: Any) -> Any:
    """SMAC's own, without the room for a million leaves in each tree that scikit-learn would fill
    with zeros (134 MB a tree) and without threads for ten trees of some dozens of points. A tree
    has no more leaves than trials: what it says is the same."""
    from smac import HyperparameterOptimizationFacade

    model = HyperparameterOptimizationFacade.get_model(scenario)
    model._rf_opts |= {"max_leaf_nodes": 2 * _MOST_TRIALS, "n_jobs": 1}
    return model


def _place(knob: Knob, value: FlagValue | None) -> int:
    return next(
        i for i, one in enumerate(knob.choices) if one == value and type(one) is type(value)
    )


def _value(cost: float) -> Any:
    from smac.runhistory import TrialValue

    return TrialValue(cost=cost)


def _cost(view: View, row: Told, worst: float) -> float:
    if row.figure is None:
        return worst
    sign = -1 if view.metric.higher_is_better else 1
    return sign * row.figure + _BROKEN * abs(row.figure) * max(0.0, *row.violations)


def _worst(view: View, rows: Sequence[Told]) -> float:
    costs = [_cost(view, row, 0.0) for row in rows if row.figure is not None]
    return max(costs, default=0.0)


POLICY = SmacPolicy()
