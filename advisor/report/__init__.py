"""The Russian report of a session, from the rows of the store alone."""

from advisor.report.summary import Summary, summary
from advisor.report.writer import write_report

__all__ = ["Summary", "summary", "write_report"]
