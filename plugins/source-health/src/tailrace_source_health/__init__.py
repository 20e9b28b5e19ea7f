"""The source ``health``: how well proxies work, analysed from their checks."""

from tailrace import Source, hookimpl
from tailrace_source_health.source import HealthSource


@hookimpl
def tailrace_source() -> Source:
    """The source."""
    return HealthSource()
