"""Tailrace sink ``disk``: folders on this machine."""

from tailrace import Sink, hookimpl
from tailrace_sink_disk.sink import DiskSink


@hookimpl
def tailrace_sink() -> Sink:
    """Return the sink."""
    return DiskSink()
