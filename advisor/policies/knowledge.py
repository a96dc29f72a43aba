"""Techniques whose conditions hold, ranked by predicted gain per second of trial."""

import math
from collections.abc import Sequence
from functools import reduce

from advisor.policy.base import View
from advisor.policy.prior import (
    Offer,
    conflicting,
    dummy,
    effect_of,
    measured_bottleneck,
    offers,
    on_own_text,
)
from advisor.policy.space import difference
from knowledge.cards import TechniqueCard, expand, load_cards
from knowledge.types import Candidate, Change, Decision, Hypothesis, Interval

_UPSIDE_WEIGHT = 0.3
"""How much the optimistic end counts: an uncertain card may be worth a look."""
_FROM_PROFILE = "профиль"
_SIGNAL_WORTH = 0.08
"""Log gain that a technique is credited with when the measured bottleneck is the one it is for."""
COMBINATION = "combination"
_MOST_TOGETHER = 6


class KnowledgePolicy:
    """Reads knowledge/techniques."""

    name = "knowledge"

    def ask(self, view: View) -> Sequence[Hypothesis]:
        found = [
            self._hypothesis(view, card, label, change)
            for card in load_cards()
            if not self._ruled_out(view, card)
            for label, plain in expand(card, view.facts)
            for change in (on_own_text(plain, view.facts.get("calibration")),)
            if not _needs_real_weights(card, change) or not dummy(view.facts)
            if view.is_new(view.base.apply(change))
        ]
        return sorted(found, key=_rank, reverse=True)

    def _ruled_out(self, view: View, card: TechniqueCard) -> bool:
        """It conflicts with what was kept."""
        kept = {h.technique for h, v in view.tested if v.decision is Decision.KEPT}
        return bool(kept & set(card.conflicts))

    def _hypothesis(
        self, view: View, card: TechniqueCard, label: str, change: Change
    ) -> Hypothesis:
        effect = effect_of(card, view.regime, view.metric, view.facts)
        candidate = view.base.apply(change)
        return Hypothesis(
            technique=card.name,
            policy=self.name,
            title=f"{card.title} ({label})",
            rationale=card.text,
            change=change,
            candidate=candidate,
            parent=view.base.content_id(),
            metric=view.metric,
            predicted_speedup=view.calibration.apply(effect),
            evidence=(*_signal(card, view), *(s.describe() for s in card.sources)),
            cost_s=view.cost_s(candidate),
            quality_risk=card.quality_risk,
        )


def combination(view: View) -> Hypothesis | None:
    """All cards at once that promise a gain without risk: one trial instead of one for each."""
    chosen: list[Offer] = []
    for offer in sorted(offers(view), key=lambda one: one.log_gain, reverse=True):
        safe = offer.card.quality_risk in ("none", "low") and offer.change.artifact is None
        if safe and offer.log_gain > 0 and not conflicting([*chosen, offer]):
            candidate = _together(view, [*chosen, offer])
            if view.space.has(candidate) or view.space.members is None:
                chosen.append(offer)
        if len(chosen) == _MOST_TOGETHER:
            break
    candidate = _together(view, chosen)
    if len(chosen) < 2 or not view.is_new(candidate):
        return None
    middle = sum(math.log(offer.effect.middle) for offer in chosen)
    half = math.hypot(*(math.log(o.effect.high / o.effect.low) / 2 for o in chosen))
    return Hypothesis(
        technique=COMBINATION,
        policy=KnowledgePolicy.name,
        title="Сочетание: " + " + ".join(f"{o.card.title} ({o.label})" for o in chosen),
        rationale="Техники, от которых ждут выигрыша без риска для качества, одним запуском.",
        change=difference(view.base, candidate),
        candidate=candidate,
        parent=view.base.content_id(),
        metric=view.metric,
        predicted_speedup=view.calibration.apply(
            Interval(low=math.exp(middle - half), high=math.exp(middle + half))
        ),
        evidence=tuple(source.describe() for o in chosen for source in o.card.sources[:1]),
        cost_s=view.cost_s(candidate),
        quality_risk="low" if any(o.card.quality_risk == "low" for o in chosen) else "none",
    )


def _together(view: View, chosen: Sequence[Offer]) -> Candidate:
    changed = reduce(lambda c, offer: c.apply(offer.change), chosen, view.task.default)
    return changed.apply(view.fixed)


def _needs_real_weights(card: TechniqueCard, change: Change) -> bool:
    """Random weights can't be calibrated, and no draft is ever accepted by them."""
    return change.artifact is not None or "speculation" in card.topics


def _signal(card: TechniqueCard, view: View) -> tuple[str, ...]:
    """What the profile of the running engine says for this technique."""
    profile = view.facts["profile"]
    assert isinstance(profile, dict)
    if measured_bottleneck(view.facts) in card.signals:
        return (f"{_FROM_PROFILE}: {profile['evidence'][1]}",)
    return ()


def _rank(hypothesis: Hypothesis) -> tuple[bool, float]:
    """Engines first, each as it comes: what is tuned for one says nothing of another."""
    return hypothesis.change.engine is not None, worth(hypothesis)


def worth(hypothesis: Hypothesis) -> float:
    """Expected log gain per second, with some credit for the upside."""
    interval = hypothesis.predicted_speedup
    gain = math.log(interval.middle) + _UPSIDE_WEIGHT * max(0.0, math.log(interval.high))
    if any(line.startswith(_FROM_PROFILE) for line in hypothesis.evidence):
        gain += _SIGNAL_WORTH
    return gain / hypothesis.cost_s


POLICY = KnowledgePolicy()
