"""Tailrace sink ``email``: mail over verified TLS, with the file or with a link to it."""

from tailrace import Sink, hookimpl
from tailrace_sink_email.sink import EmailSink


@hookimpl
def tailrace_sink() -> Sink:
    """Return the sink."""
    return EmailSink()
