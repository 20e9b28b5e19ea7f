"""Tailrace source ``pool``: ProxyWhirl's databases and files, and plain proxy lists."""

from tailrace import Source, hookimpl


@hookimpl
def tailrace_source() -> Source:
    """Return the source."""
    # Not before somebody reads: it imports polars.
    from tailrace_source_pool.source import PoolSource

    return PoolSource()
