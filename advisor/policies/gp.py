"""Expected improvement per second under the surrogate, over combinations of settings.

Optuna's own Gaussian process needs torch, which the core does not hold; settings are discrete, so
an exact one in numpy is small. `GpPolicy(cards=True)` starts from what the cards expect.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

import numpy as np

from advisor.context import figure
from advisor.policy.base import View
from advisor.policy.prior import Offer, conflicting, fixed_settings, offers
from advisor.policy.space import candidate_of, difference, in_title, settings_of
from advisor.policy.surrogate import Array, Coded, Codes, Coding, Point, Surrogate, coding_of
from knowledge.types import Candidate, FlagValue, Hypothesis, Interval, TrialResult

Row = Mapping[str, FlagValue | None]
QualityRisk = Literal["none", "low", "medium", "high"]
_RISKS = ("none", "low", "medium", "high")
_Z90 = 1.645
_RANDOM_ROWS = 150
_WHOLE = 600
"""A grid up to this size is looked at whole."""
_SEEDS = 4
"""The most promising rows, whose neighbours are looked at next."""
_ROUNDS = 2
_MOST = 6
_LEAST_SD = 0.02
"""Of a figure's logarithm: no model knows it better."""


@dataclass(frozen=True)
class Model:
    """The surrogate of a session, and what its figures are compared with."""

    surrogate: Surrogate
    coding: Coding
    limits: "Sequence[Limit]"
    trials: int
    """Measured here."""
    past: int
    best: float | None
    """Highest posterior mean among the feasible; None while nothing seen is feasible."""
    base: float
    """Posterior mean of the base."""


@dataclass(frozen=True)
class Rated:
    """A candidate, and what the model thinks of it."""

    candidate: Candidate
    row: Row
    worth: float
    """Expected improvement per second, times the chances to start, to pass and to hold the SLOs.

    While nothing holds the SLOs the chances alone: there is nothing to improve on yet (Gelbart,
    Snoek, Adams, "Bayesian optimization with unknown constraints", 2014, 3.2)."""
    mean: float
    sd: float
    risk: QualityRisk
    """The highest of the cards that it contains."""


@dataclass(frozen=True)
class Ranker:
    """Rates candidates, whoever proposed them."""

    view: View
    offered: Sequence[Offer]
    axes: Mapping[str, Sequence[FlagValue | None]]
    model: Model

    def rate(self, rows: Sequence[Row]) -> list[Rated]:
        """Those that may still be tried, in no order."""
        view, model = self.view, self.model
        priors = [(offer, offer.prior()) for offer in self.offered]
        new: dict[Candidate, tuple[Row, list[Offer]]] = {}
        for row in rows:
            candidate = candidate_of(view.task.engine, row)
            if candidate in new or not view.is_new(candidate) or not model.coding.knows(row):
                continue
            inside = [offer for offer, prior in priors if prior.in_force(row)]
            if not conflicting(inside):
                new[candidate] = (row, inside)
        if not new:
            return []
        asked = model.coding.encode([row for row, _ in new.values()])
        mean, sd = model.surrogate.predict_coded(asked)
        worth = chances(model.limits, asked)
        if model.best is not None:
            worth *= _improvement(mean, sd, model.best)
        return [
            Rated(
                candidate,
                row,
                float(worth[k])
                * view.failures.chance_to_live(row)
                * math.prod(offer.passes_quality for offer in inside)
                / view.cost_s(candidate),
                float(mean[k]),
                float(sd[k]),
                max((o.card.quality_risk for o in inside), key=_RISKS.index, default="none"),
            )
            for k, (candidate, (row, inside)) in enumerate(new.items())
        ]


class GpPolicy:
    """SLOs, crashes and quality enter as chances; the cost divides."""

    def __init__(self, name: str, *, cards: bool) -> None:
        self.name = name
        self._cards = cards

    def ask(self, view: View) -> Sequence[Hypothesis]:
        ranker = self.ranker(view)
        return self.ask_with(ranker) if ranker else []

    def ranker(self, view: View) -> Ranker | None:
        """None before the default is measured, and where there is nothing to set."""
        offered = [o for o in offers(view) if _sayable(view, o)] if self._cards else []
        axes = _axes(view, offered)
        model = model_of(view, offered, axes) if axes else None
        return Ranker(view, offered, axes, model) if model else None

    def ask_with(self, ranker: Ranker) -> Sequence[Hypothesis]:
        """The most worthy: from a first look, then among the neighbours of the best."""
        view = ranker.view
        found: dict[Candidate, Rated] = {}
        rows = _first_rows(ranker)
        small = view.space.members is not None and len(view.space.members) <= _WHOLE
        for _ in range(1 if small else _ROUNDS):
            found |= {one.candidate: one for one in ranker.rate(rows)}
            leaders = sorted(found.values(), key=lambda one: -one.worth)[:_SEEDS]
            rows = [near for one in leaders for near in _neighbours(one.row, ranker.axes)]
        best = sorted(found.values(), key=lambda one: -one.worth)[:_MOST]
        return [self._hypothesis(view, ranker.model, one) for one in best]

    def _hypothesis(self, view: View, model: Model, one: Rated) -> Hypothesis:
        candidate, row = one.candidate, one.row
        change = difference(view.base, candidate)
        gain, spread = one.mean - model.base, _Z90 * max(one.sd, 0.01)
        known = "карточек техник, " if self._cards else ""
        return Hypothesis(
            technique="search",
            policy=self.name,
            title=f"Подбор: {in_title(row, settings_of(view.task.default))}",
            rationale=f"Наибольшее ожидаемое улучшение за секунду по модели из {known}"
            "прошлых сессий и испытаний этой.",
            change=change,
            candidate=candidate,
            parent=view.base.content_id(),
            metric=view.metric,
            predicted_speedup=Interval(low=math.exp(gain - spread), high=math.exp(gain + spread)),
            evidence=(f"{model.trials} испытаний сессии, {model.past} из прошлых",),
            cost_s=view.cost_s(candidate),
            quality_risk=one.risk,
        )


def model_of(
    view: View, offered: Sequence[Offer], axes: Mapping[str, Sequence[FlagValue | None]]
) -> Model | None:
    """None before the default is measured.

    What is pending counts as measured at the mean of all, so that the next proposal lies elsewhere
    (constant liar: Ginsbourger, Le Riche, Carraro, "Kriging is well-suited to parallelize
    optimization", 2010).
    """
    own = [(t, found) for t in view.trials if (found := figure(t, view.metric))]
    first = next((one for one in own if one[0].spec.candidate == view.task.default), None)
    first = first or (own[0] if own else None)
    if first is None or first[1].value <= 0:
        return None
    _, default = first
    sign = 1 if view.metric.higher_is_better else -1
    own = [(t, found) for t, found in own if found.value > 0]
    past = [Point(seen.settings, seen.log_gain, seen.sd) for seen in view.past]
    here = [
        Point(
            settings_of(trial.spec.candidate),
            sign * math.log(found.value / default.value),
            math.hypot(math.log(max(found.high, found.value) / found.value) / 1.96, view.launch_cv),
        )
        for trial, found in own
    ]
    lie = fmean(point.value for point in here)
    lies = [Point(settings_of(one), lie, view.launch_cv) for one in view.pending]
    points = [*past, *lies, *here]
    whole: list[Row] = [point.settings for point in points]
    whole += [{key: value} for key, values in axes.items() for value in values]
    coding = coding_of(whole, [offer.prior() for offer in offered])
    surrogate = Surrogate(coding, points)
    mean, _ = surrogate.predict([settings_of(view.base), *(p.settings for p in here)])
    trials = [trial for trial, _ in own]
    fine = [m for m, t in zip(mean[1:], trials, strict=True) if feasible(view, t)]
    best = float(max(fine)) if fine else None
    limits = _limits(view, trials, first[0], coding)
    return Model(surrogate, coding, limits, len(trials), len(past), best, float(mean[0]))


def feasible(view: View, trial: TrialResult) -> bool:
    """Every SLO holds, and nothing speaks against handing it in."""
    spoiled = {v.trial_id for _, v in view.tested if v.quality and not v.quality.non_inferior}
    sound = trial.integrity is None or trial.integrity.passed
    return sound and trial.trial_id not in spoiled and _violation(view, trial) <= 0


def _violation(view: View, trial: TrialResult) -> float:
    found = [
        slo.violation(seen.value) if (seen := figure(trial, slo.metric)) else 1.0
        for slo in view.slos
    ]
    return max(found, default=0.0)


@dataclass(frozen=True)
class Limit:
    """What one SLO's figure does: the log of its ratio to the default's, worse is above."""

    surrogate: Surrogate
    room: float
    """How much worse than the default it may be."""

    def chance(self, asked: Codes) -> Array:
        """That it holds: normal, in the logarithm of its figure."""
        mean, sd = self.surrogate.predict_coded((asked, np.zeros((len(asked), 0))))
        z = (self.room - mean) / np.maximum(sd, _LEAST_SD)
        chance: Array = 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))
        return chance


def _limits(
    view: View, trials: Sequence[TrialResult], default: TrialResult, coding: Coding
) -> tuple[Limit, ...]:
    """Of every SLO that the default was measured by. Which settings matter is another question than
    for the objective, so each has a surrogate of its own; of cards it knows nothing."""
    found = []
    plain = replace(coding, priors=())
    for slo in view.slos:
        base = figure(default, slo.metric)
        if base is None or min(base.value, slo.limit) <= 0:
            continue
        sign = -1 if slo.metric.higher_is_better else 1
        points = [
            Point(
                settings_of(trial.spec.candidate),
                # Beyond a factor of e it is simply bad, or good: no effects are learned there.
                max(-1.0, min(1.0, sign * math.log(seen.value / base.value))),
                view.launch_cv,
            )
            for trial in trials
            if (seen := figure(trial, slo.metric)) and seen.value > 0
        ]
        level = fmean(point.value for point in points)
        points += [Point(settings_of(one), level, view.launch_cv) for one in view.pending]
        found.append(Limit(Surrogate(plain, points), sign * math.log(slo.limit / base.value)))
    return tuple(found)


def chances(limits: Sequence[Limit], asked: Coded) -> Array:
    """That every SLO holds."""
    chance = np.ones(len(asked[0]))
    for limit in limits:
        chance *= limit.chance(asked[0])
    return np.maximum(chance, 1e-4)


def _improvement(mean: Array, sd: Array, best: float) -> Array:
    """Expected improvement over `best`."""
    z = (mean - best) / sd
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    below = 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))
    found: Array = np.maximum(sd * (z * below + density), 1e-12)
    return found


def _sayable(view: View, offer: Offer) -> bool:
    """Whether the space has its settings at all, and nothing of them is fixed otherwise."""
    fixed = fixed_settings(view)
    if any(fixed.get(key, value) != value for key, value in offer.settings.items()):
        return False
    if view.space.members is None and not view.space.closed:
        return True
    values = {knob.flag: knob.choices for knob in view.space.knobs}
    return all(value in values.get(key, ()) for key, value in offer.settings.items())


def _axes(view: View, offered: Sequence[Offer]) -> dict[str, list[FlagValue | None]]:
    """Keys and the values worth trying; what is fixed is none of them."""
    fixed = fixed_settings(view)
    axes: dict[str, list[FlagValue | None]] = {}
    for knob in view.space.knobs:
        axes[knob.flag] = list(dict.fromkeys([None, *knob.choices]))
    for offer in offered:
        for key, value in offer.settings.items():
            axes.setdefault(key, [None])
            if value not in axes[key]:
                axes[key].append(value)
    return {key: values for key, values in axes.items() if key not in fixed}


def _first_rows(ranker: Ranker) -> list[Row]:
    """The whole grid; else neighbours of the base, random rows, and cards on top of each other."""
    view, axes = ranker.view, ranker.axes
    rng = random.Random(f"{view.seed} {len(view.trials)}")
    base = dict(settings_of(view.base)) | fixed_settings(view)
    near = [*_neighbours(base, axes), *_stacked(view, ranker.offered)]
    if view.space.members is not None:
        listed = [settings for _, settings in view.space.listed]
        if len(listed) <= _WHOLE:
            return list(listed)
        return [*near, *rng.sample(listed, 2 * _RANDOM_ROWS)]
    fixed = fixed_settings(view)
    drawn = [
        fixed | {key: rng.choice(list(values)) for key, values in axes.items()}
        for _ in range(_RANDOM_ROWS)
    ]
    return [*near, *drawn]


def _stacked(view: View, offered: Sequence[Offer]) -> Iterator[Row]:
    """The best card, the best two, the best three … and each alone."""
    fixed = fixed_settings(view)
    chosen: list[Offer] = []
    for offer in sorted(offered, key=lambda one: -one.log_gain):
        yield fixed | offer.settings
        if not conflicting([*chosen, offer]):
            chosen.append(offer)
            yield fixed | {k: v for one in chosen for k, v in one.settings.items()}


def _neighbours(row: Row, axes: Mapping[str, Sequence[FlagValue | None]]) -> Iterator[Row]:
    """Everything that differs in one setting."""
    for key, values in axes.items():
        for value in values:
            if row.get(key) != value:
                yield dict(row) | {key: value}


POLICY = GpPolicy("gp", cards=False)
