"""What the technique cards and past sessions expect, in the terms of the surrogate."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from advisor.policy.base import View
from advisor.policy.space import settings_of, settings_of_change
from advisor.policy.surrogate import Prior
from knowledge.cards import Effect, TechniqueCard, expand, load_cards
from knowledge.conditions import evaluate
from knowledge.types import Change, FlagValue, Interval, Metric
from tools import calibration, makers

UNKNOWN = Interval(low=0.9, high=1.12)
_Z90 = 1.645
_DOUBT_SD = 0.05
"""Cards are written for other machines and other loads."""
_SIGNAL_WORTH = 0.08
"""Log gain credited to a technique that is for the measured bottleneck."""
_LIVES = {"none": 1.0, "low": 0.97, "medium": 0.8, "high": 0.5}
"""Chance that a technique of this quality risk passes the floor."""


@dataclass(frozen=True)
class Offer:
    """One variant of a card that applies to the engine's default."""

    card: TechniqueCard
    label: str
    change: Change
    effect: Interval
    for_bottleneck: bool

    @property
    def settings(self) -> dict[str, FlagValue]:
        found = settings_of_change(self.change)
        return {key: value for key, value in found.items() if value is not None}

    @property
    def log_gain(self) -> float:
        return math.log(self.effect.middle) + _SIGNAL_WORTH * self.for_bottleneck

    @property
    def passes_quality(self) -> float:
        return _LIVES[self.card.quality_risk]

    def prior(self) -> Prior:
        spread = math.log(self.effect.high / self.effect.low) / 2 / _Z90
        return Prior(self.settings, self.log_gain, math.hypot(spread, _DOUBT_SD))


def offers(view: View) -> list[Offer]:
    """Everything that cards offer on top of the default, whatever was kept since."""
    facts = default_facts(view)
    bottleneck = measured_bottleneck(facts)
    return [
        Offer(
            card, label, change, effect_of(card, view.regime, view.metric, facts),
            bottleneck in card.signals,
        )
        for card in load_cards()
        for label, plain in expand(card, facts)
        for change in (on_own_text(plain, facts.get("calibration")),)
        if change.engine is None  # another engine has other settings
        if (change.artifact is None and "speculation" not in card.topics) or not dummy(facts)
    ]  # fmt: skip


def default_facts(view: View) -> dict[str, object]:
    """The facts with the flags of the default instead of those of the base."""
    default = view.task.default.config
    flags: dict[str, object] = {name.replace("-", "_"): None for name in view.catalog.flags}
    flags |= {name.replace("-", "_"): value for name, value in default.flags.items()}
    return dict(view.facts) | {"flags": flags, "env": default.env, "artifact": None}


def on_own_text(change: Change, digest: object) -> Change:
    """What looks at text looks at the user's own requests, where there are any."""
    recipe = change.artifact
    if recipe is None or digest is None or not makers.load(recipe.quantizer).calibrated(recipe):
        return change
    options = recipe.options | {calibration.OPTION: str(digest)}
    return change.replace(artifact=recipe.replace(options=options))


def dummy(facts: Mapping[str, object]) -> bool:
    """Random weights can't be calibrated, and no draft is ever accepted by them."""
    return bool(facts["model"]["dummy_weights"])  # type: ignore[index]


def measured_bottleneck(facts: Mapping[str, object]) -> str:
    """From the trace of the running engine; empty where there is none."""
    profile = facts["profile"]
    assert isinstance(profile, Mapping)
    return str(profile.get("bottleneck")) if profile.get("measured") else ""


def effect_of(
    card: TechniqueCard, regime: str, metric: Metric, facts: Mapping[str, object]
) -> Interval:
    """The card's interval for this case, else this regime, and kind of metric; a wide one where it
    says nothing."""
    kind = _kind(metric)
    matching = [
        e for e in card.effects if e.metric == kind and _fits(e, regime) and evaluate(e.when, facts)
    ]
    best = min(matching, key=lambda e: (not e.case, e.regime == "any"), default=None)
    return Interval(low=best.low, high=best.high) if best else UNKNOWN


def conflicting(chosen: Sequence[Offer]) -> bool:
    """Whether two of them exclude each other, or set the same thing differently."""
    names = {offer.card.name for offer in chosen}
    if any(names & set(offer.card.conflicts) for offer in chosen):
        return True
    seen: dict[str, FlagValue] = {}
    for offer in chosen:
        if any(seen.setdefault(key, value) != value for key, value in offer.settings.items()):
            return True
    return False


def fixed_settings(view: View) -> dict[str, FlagValue | None]:
    """What every candidate carries: the user's own flags, and the quick start while screening."""
    own: dict[str, FlagValue | None] = dict(settings_of(view.task.default))
    return own | settings_of_change(view.fixed)


def _fits(effect: Effect, regime: str) -> bool:
    return effect.regime in ("any", f"{regime}-bound")


@lru_cache(maxsize=32)
def _kind(metric: Metric) -> str:
    stem = metric.value.split("_")[0]
    return {"ttft": "ttft", "tpot": "tpot", "itl": "tpot", "e2e": "latency"}.get(stem, "throughput")
