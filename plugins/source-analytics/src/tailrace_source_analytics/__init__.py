"""The source ``analytics``: request logs from databases, data files and Squid."""

from tailrace import Source, hookimpl
from tailrace_source_analytics.source import AnalyticsSource


@hookimpl
def tailrace_source() -> Source:
    """The source."""
    return AnalyticsSource()
