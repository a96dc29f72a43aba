"""Points at random: the least that any policy has to beat."""

import random
from collections.abc import Sequence

from advisor.policy.base import View
from advisor.policy.points import candidate_at, hypothesis_at, knobs_of
from knowledge.types import Hypothesis

_TRIES = 400


class RandomPolicy:
    """Without repetition."""

    name = "random"

    def ask(self, view: View) -> Sequence[Hypothesis]:
        knobs = knobs_of(view)
        rng = random.Random(f"random {view.seed} {len(view.trials)}")
        if view.space.members is not None:
            rest = [one for one, _ in view.space.listed if view.is_new(one)]
            found = [rng.choice(rest)] if rest else []
            return [hypothesis_at(view, self.name, "Случайная точка", one) for one in found]
        for _ in range(_TRIES if knobs else 0):
            values = {knob.flag: rng.choice(knob.choices) for knob in knobs}
            candidate = candidate_at(view, values)
            if view.is_new(candidate):
                return [hypothesis_at(view, self.name, "Случайная точка", candidate)]
        return []


POLICY = RandomPolicy()
