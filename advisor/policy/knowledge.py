"""Techniques whose conditions hold, ranked by predicted gain per second of trial."""

import math
from collections.abc import Sequence

from advisor.policy.base import View
from knowledge.cards import Effect, TechniqueCard, expand, load_cards
from knowledge.types import Change, Decision, Hypothesis, Interval, Metric
from tools import calibration, makers

_UNKNOWN = Interval(low=0.9, high=1.12)
_UPSIDE_WEIGHT = 0.3
"""How much the optimistic end counts: an uncertain card may be worth a look."""
_FROM_PROFILE = "профиль"
_SIGNAL_WORTH = 0.08
"""Log gain that a technique is credited with when the measured bottleneck is the one it is for."""


class KnowledgePolicy:
    """Reads knowledge/techniques."""

    name = "knowledge"

    def propose(self, view: View) -> Sequence[Hypothesis]:
        found = [
            self._hypothesis(view, card, label, change)
            for card in load_cards()
            if not self._ruled_out(view, card)
            for label, plain in expand(card, view.facts)
            for change in (_on_own_text(plain, view.facts.get("calibration")),)
            if not _needs_real_weights(card, change) or not _dummy(view)
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
        effect = effect_of(card, view.regime, view.metric)
        return Hypothesis(
            technique=card.name,
            policy=self.name,
            title=f"{card.title} ({label})",
            rationale=card.text,
            change=change,
            candidate=view.base.apply(change),
            parent=view.base.content_id(),
            metric=view.metric,
            predicted_speedup=view.calibration.apply(effect),
            evidence=(*_signal(card, view), *(s.describe() for s in card.sources)),
            cost_s=view.trial_s + card.cost.extra_s,
            quality_risk=card.quality_risk,
        )


def _on_own_text(change: Change, digest: object) -> Change:
    """What looks at text looks at the user's own requests, where there are any."""
    recipe = change.artifact
    if recipe is None or digest is None or not makers.load(recipe.quantizer).calibrated(recipe):
        return change
    options = recipe.options | {calibration.OPTION: str(digest)}
    return change.replace(artifact=recipe.replace(options=options))


def _needs_real_weights(card: TechniqueCard, change: Change) -> bool:
    """Random weights can't be calibrated, and no draft is ever accepted by them."""
    return change.artifact is not None or "speculation" in card.topics


def _dummy(view: View) -> bool:
    return bool(view.facts["model"]["dummy_weights"])  # type: ignore[index]


def _signal(card: TechniqueCard, view: View) -> tuple[str, ...]:
    """What the profile of the running engine says for this technique."""
    profile = view.facts["profile"]
    assert isinstance(profile, dict)
    if profile.get("measured") and profile.get("bottleneck") in card.signals:
        return (f"{_FROM_PROFILE}: {profile['evidence'][1]}",)
    return ()


def effect_of(card: TechniqueCard, regime: str, metric: Metric) -> Interval:
    """The card's interval for this regime and kind of metric; a wide one where it says nothing."""
    kind = _kind(metric)
    matching = [e for e in card.effects if e.metric == kind and _fits(e, regime)]
    best = min(matching, key=lambda e: e.regime == "any", default=None)
    return Interval(low=best.low, high=best.high) if best else _UNKNOWN


def _fits(effect: Effect, regime: str) -> bool:
    return effect.regime in ("any", f"{regime}-bound")


def _kind(metric: Metric) -> str:
    stem = metric.value.split("_")[0]
    return {"ttft": "ttft", "tpot": "tpot", "itl": "tpot", "e2e": "latency"}.get(stem, "throughput")


def _rank(hypothesis: Hypothesis) -> tuple[bool, float]:
    """Engines first, each as it comes: what is tuned for one says nothing of another."""
    return hypothesis.change.engine is not None, _worth(hypothesis)


def _worth(hypothesis: Hypothesis) -> float:
    """Expected log gain per second, with some credit for the upside."""
    interval = hypothesis.predicted_speedup
    gain = math.log(interval.middle) + _UPSIDE_WEIGHT * max(0.0, math.log(interval.high))
    if any(line.startswith(_FROM_PROFILE) for line in hypothesis.evidence):
        gain += _SIGNAL_WORTH
    return gain / hypothesis.cost_s


POLICY = KnowledgePolicy()
