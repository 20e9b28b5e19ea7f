"""Tailrace source ``pool``: ProxyWhirl's databases and files, and plain proxy lists."""

from tailrace import Source, hookimpl
from tailrace_source_pool.source import PoolSource


@hookimpl
def tailrace_source() -> Source:
    """Return the source."""
    return PoolSource()
