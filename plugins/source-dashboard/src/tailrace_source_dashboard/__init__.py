"""Tailrace source: dashboards over pools, request logs and health, described in TOML."""

from tailrace import Source, hookimpl


@hookimpl
def tailrace_source() -> Source:
    """Return the source."""
    # Not before somebody reads: it imports polars.
    from tailrace_source_dashboard.source import DashboardSource

    return DashboardSource()
