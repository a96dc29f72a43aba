"""What to deploy before anything is measured: layouts, figures with intervals, money, a command."""

from advisor.planning.plan import Option, Plan, PlanRequest, Promise, make_plan

__all__ = ["Option", "Plan", "PlanRequest", "Promise", "make_plan"]
