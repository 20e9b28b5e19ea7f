"""The source ``health``: how well proxies work, analysed from their checks."""

from tailrace import Source, hookimpl


@hookimpl
def tailrace_source() -> Source:
    """The source."""
    # Not before somebody reads: it imports polars.
    from tailrace_source_health.source import HealthSource

    return HealthSource()
