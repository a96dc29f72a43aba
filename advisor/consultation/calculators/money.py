"""Money: per token, per month, break-even, spot, mixes."""

from dataclasses import dataclass

HOURS_PER_MONTH = 730.0
"""24 · 365 / 12."""


def per_million(price_per_hour: float, tokens_per_s: float, utilization: float = 1.0) -> float:
    """Price per hour of the whole deployment over its tokens per hour, times a million."""
    return price_per_hour / (tokens_per_s * utilization * 3600) * 1e6


def break_even_tokens_per_day(price_per_hour: float, api_per_million: float) -> float:
    """Tokens a day at which a device that is paid round the clock costs what the API does."""
    return 24 * price_per_hour / api_per_million * 1e6


def payback_hours(tuning_cost: float, price_per_hour: float, speedup: float) -> float:
    """Hours until a tuning is paid back by the machine time that it saves at the same load."""
    return tuning_cost / (price_per_hour * (1 - 1 / speedup))


@dataclass(frozen=True)
class Spot:
    """A fleet of spot machines with the same work done."""

    lost_share: float
    saving: float


def spot(discount: float, mean_hours: float, recovery_hours: float) -> Spot:
    """Expected saving: each interruption costs a recovery, and lost time is bought again."""
    lost = recovery_hours / (mean_hours + recovery_hours)
    return Spot(lost, 1 - (1 - discount) / (1 - lost))
