"""From the requests a client saw to the figures of a server, with their intervals."""

from knowledge.measure.machine import machine_changed, slower_than
from knowledge.measure.summary import round_points, summarize

__all__ = ["machine_changed", "round_points", "slower_than", "summarize"]
