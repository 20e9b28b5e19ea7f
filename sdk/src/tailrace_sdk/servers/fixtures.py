"""The servers as fixtures; nothing of them is imported before a test asks for one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tailrace_sdk.servers.smtp import SmtpServer
    from tailrace_sdk.servers.webhook import WebhookServer


@pytest.fixture
def smtp_server() -> "Iterator[SmtpServer]":
    """A mail server on 127.0.0.1 that offers STARTTLS, and keeps what it gets in ``mails``."""
    from tailrace_sdk.servers.smtp import SmtpServer

    with SmtpServer() as server:
        yield server


@pytest.fixture
def webhook_server() -> "Iterator[WebhookServer]":
    """An HTTP server on 127.0.0.1 that keeps what it gets in ``requests``."""
    from tailrace_sdk.servers.webhook import WebhookServer

    with WebhookServer() as server:
        yield server
