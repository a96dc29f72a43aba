"""What would be tried first on the planned deployment: cards whose conditions hold."""

import math
import re
from typing import TYPE_CHECKING

from advisor.policy.prior import effect_of
from knowledge.cards import QUICK_START, TechniqueCard, expand, load_cards
from knowledge.objectives import bounded
from knowledge.prediction import Query
from knowledge.prediction.model import memory_of, point_of
from knowledge.prediction.physics import terms
from knowledge.types import Change, Frozen, Interval, Metric

if TYPE_CHECKING:
    from advisor.planning.plan import PlanRequest

_FLAG = re.compile(r"flags\.(\w+)")
_MOST = 6


class Idea(Frozen):
    """A hypothesis before there is a session."""

    technique: str
    title: str
    label: str
    metric: Metric
    predicted_speedup: Interval
    quality_risk: str
    change: Change
    sources: tuple[str, ...]


def ideas(request: "PlanRequest", query: Query) -> tuple[Idea, ...]:
    """Ranked by the expected gain, with some credit for the upside; one of each technique."""
    facts = _facts(request, query)
    metric, regime = request.objective.metric, str(facts["regime"])
    found = []
    for card in load_cards():
        offers = _offers(card, facts, metric, regime)
        if offers:
            found.append(offers[0])
    return tuple(sorted(found, key=_worth, reverse=True)[:_MOST])


def _offers(
    card: TechniqueCard, facts: dict[str, object], metric: Metric, regime: str
) -> list[Idea]:
    if not card.can_be_tried or QUICK_START in card.topics:
        return []
    try:
        offered = expand(card, facts)
    except ValueError:  # it asks for something that only a running engine knows
        return []
    return [
        Idea(
            technique=card.name,
            title=card.title,
            label=label,
            metric=metric,
            predicted_speedup=effect_of(card, regime, metric, facts),
            quality_risk=card.quality_risk,
            change=change,
            sources=tuple(source.describe() for source in card.sources),
        )
        for label, change in offered
    ]


def _worth(idea: Idea) -> float:
    interval = idea.predicted_speedup
    return math.log(interval.middle) + 0.3 * max(0.0, math.log(interval.high))


def _facts(request: "PlanRequest", query: Query) -> dict[str, object]:
    """As advisor/policy/facts.py has them for a session, with an engine that has every flag."""
    cards = load_cards()
    expressions = [card.applies for card in cards]
    expressions += [one.applies for card in cards for one in card.changes]
    flags = {name for text in expressions for name in _FLAG.findall(text)}
    offered = {name for card in cards for one in card.changes for name in one.flags}
    concurrency = request.load.concurrency or 16.0
    return {
        "engine": request.engine,
        "engine_flags": frozenset(offered | {name.replace("_", "-") for name in flags}),
        "engine_env": frozenset(name for card in cards for one in card.changes for name in one.env),
        "flags": dict.fromkeys(flags),
        "env": {},
        "artifact": query.weight_dtype if query.weight_dtype not in ("bfloat16", "float16")
        else None,
        "model": query.facts.model_dump(mode="json")
        | {"bytes": memory_of(query).weights_bytes, "dummy_weights": False},
        "hardware": {"device_count": query.layout.devices, "cores": 0, "numa_nodes": 1},
        "device": query.device.model_dump(mode="json"),
        "isa": (),
        "workload": {
            "concurrency": concurrency,
            "input_tokens": query.load.input_tokens,
            "output_tokens": query.load.output_tokens,
            "shared_prefix_tokens": request.shared_prefix_tokens,
            "text": "natural",
        },
        "objective": request.objective.value,
        "slos": bounded(request.slos),
        "budget": {"seconds": 1800.0},
        "profile": {},
        "memory": {},
        "regime": _regime(query, concurrency),
    }  # fmt: skip


def _regime(query: Query, concurrency: float) -> str:
    found = terms(point_of(query, concurrency))
    step = found.weights_s + found.kv_s + found.compute_s + found.comm_s
    if concurrency > found.capacity:
        return "kv"
    return "prefill" if found.interference_s > step else "decode"
