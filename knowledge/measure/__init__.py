"""From the requests a client saw to the figures of a server, with their intervals."""

from knowledge.measure.early import out_of_reach
from knowledge.measure.machine import machine_changed, slower_than
from knowledge.measure.summary import round_points, summarize

__all__ = ["machine_changed", "out_of_reach", "round_points", "slower_than", "summarize"]
