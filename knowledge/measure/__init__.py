"""From the requests a client saw to the figures of a server, with their intervals."""

from knowledge.measure.summary import summarize

__all__ = ["summarize"]
