"""Tailrace sink ``webhook``: signed notices, and files, to HTTP endpoints."""

from tailrace import Sink, hookimpl
from tailrace_sink_webhook.sink import WebhookSink


@hookimpl
def tailrace_sink() -> Sink:
    """Return the sink."""
    return WebhookSink()
