"""Every combination in turn: for small spaces, and for recording what a space holds."""

from collections.abc import Sequence
from itertools import product

from advisor.policy.base import View
from advisor.policy.points import candidate_at, hypothesis_at, knobs_of
from knowledge.types import Hypothesis


class GridPolicy:
    """The last knob moves fastest."""

    name = "grid"

    def ask(self, view: View) -> Sequence[Hypothesis]:
        knobs = knobs_of(view)
        for values in product(*(knob.choices for knob in knobs)):
            named = {knob.flag: value for knob, value in zip(knobs, values, strict=True)}
            candidate = candidate_at(view, named)
            if view.is_new(candidate):
                return [hypothesis_at(view, self.name, "Перебор", candidate)]
        return []


POLICY = GridPolicy()
