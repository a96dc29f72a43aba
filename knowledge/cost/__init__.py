"""Money: what tokens cost, when tuning pays back, what spot, routing and caches would save."""

from knowledge.cost.breakeven import BreakEven, break_even
from knowledge.cost.payback import Payback, payback
from knowledge.cost.routing import Routing, route
from knowledge.cost.spot import SpotPlan, SpotResult, simulate_spot
from knowledge.cost.tokens import TokenCost, token_cost
from knowledge.cost.traffic import Request, Traffic, study

__all__ = [
    "BreakEven",
    "Payback",
    "Request",
    "Routing",
    "SpotPlan",
    "SpotResult",
    "TokenCost",
    "Traffic",
    "break_even",
    "payback",
    "route",
    "simulate_spot",
    "study",
    "token_cost",
]
