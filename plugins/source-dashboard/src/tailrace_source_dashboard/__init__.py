"""Tailrace source: dashboards over pools, request logs and health, described in TOML."""

from tailrace import Source, hookimpl
from tailrace_source_dashboard.source import DashboardSource


@hookimpl
def tailrace_source() -> Source:
    """Return the source."""
    return DashboardSource()
