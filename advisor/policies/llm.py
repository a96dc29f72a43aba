"""What an LLM proposed for this session, checked beforehand: ranked with everything else."""

from collections.abc import Sequence

from advisor.policy.base import Advice, View
from advisor.policy.prior import UNKNOWN, offers
from knowledge.types import Hypothesis, Interval


class LlmPolicy:
    """Reads the advice in the view; the endpoint is asked elsewhere, and may be dead."""

    name = "llm"

    def ask(self, view: View) -> Sequence[Hypothesis]:
        effects = {offer.card.name: offer.effect for offer in offers(view)} if view.advice else {}
        return [
            self._hypothesis(view, one, effects)
            for one in view.advice
            if view.is_new(view.base.apply(one.change))
        ]

    def _hypothesis(self, view: View, one: Advice, effects: dict[str, Interval]) -> Hypothesis:
        candidate = view.base.apply(one.change)
        return Hypothesis(
            technique=one.technique,
            policy=self.name,
            title=one.title,
            rationale=one.reason,
            change=one.change,
            candidate=candidate,
            parent=view.base.content_id(),
            metric=view.metric,
            predicted_speedup=view.calibration.apply(effects.get(one.technique, UNKNOWN)),
            evidence=("предложено LLM",),
            cost_s=view.cost_s(candidate),
            quality_risk=one.quality_risk,
        )


POLICY = LlmPolicy()
