"""The source ``analytics``: request logs from databases, data files and Squid."""

from tailrace import Source, hookimpl


@hookimpl
def tailrace_source() -> Source:
    """The source."""
    # Not before somebody reads: it imports polars.
    from tailrace_source_analytics.source import AnalyticsSource

    return AnalyticsSource()
