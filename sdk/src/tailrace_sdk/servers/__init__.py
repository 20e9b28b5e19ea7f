"""Real servers on 127.0.0.1 for tests of sinks: what arrived, taken apart, and faults on demand.

::

    from tailrace_sdk.servers import Fault, WebhookServer

    with WebhookServer() as server:
        ...  # deliver to server.url("/hooks/1")
        server.requests[0].body
        server.be(Fault.BUSY, retry_after=7)
        ...  # is answered 503 from now on
        server.recover()

As fixtures they are ``webhook_server`` and ``smtp_server``. What can be wrong with them is told in :class:`Fault`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tailrace_sdk.servers.faults import Fault as Fault
    from tailrace_sdk.servers.mails import Mail as Mail
    from tailrace_sdk.servers.smtp import SmtpServer as SmtpServer
    from tailrace_sdk.servers.webhook import WebhookRequest as WebhookRequest
    from tailrace_sdk.servers.webhook import WebhookServer as WebhookServer

_HOME = {
    "Fault": "faults",
    "Mail": "mails",
    "SmtpServer": "smtp",
    "WebhookRequest": "webhook",
    "WebhookServer": "webhook",
}

__all__ = [*_HOME]  # noqa: PLE0604 - computed from the table above


def __getattr__(name: str) -> Any:
    # The fixtures are in this package: whoever has pytest load them does not need a mail server yet.
    if name not in _HOME:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
