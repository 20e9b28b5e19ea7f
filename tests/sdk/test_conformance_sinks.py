"""The sinks of the house pass the standard tests of the kit."""

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tailrace_sdk.conformance.sinks import FolderReceiver, MailReceiver, Receiver, SinkConformance, WebhookReceiver
from tailrace_sdk.servers import SmtpServer, WebhookServer

MIB = 1 << 20
PASSWORD = "canary/pässword with = and +"
SIGNING = "whsec_" + base64.b64encode(b"canary of a signing key, 32 bytes").decode()


class TestDisk(SinkConformance):
    target = "tailrace_sink_disk"
    name = "disk"
    staged = checks_targets = finishes = describes = transactional = idempotent = on_disk = True
    HOPELESS = ("nul\x00character", "~nobody-has-this-name/exports")

    @pytest.fixture
    def receiver(self, tmp_path: Path) -> Receiver:
        return FolderReceiver(tmp_path / "exports")


class TestEmail(SinkConformance):
    target = "tailrace_sink_email"
    name = "email"
    configurable = addressed = checks_targets = judges_sizes = messages = transactional = idempotent = True
    HOPELESS = (None, "", "no address", "ann@example.com\r\nbob@example.com")
    IMPATIENT: ClassVar[Mapping[str, Any]] = {"total_timeout": 2.0}
    LARGE = 8 * MIB  # the mail server of these tests reads line by line

    @pytest.fixture
    def receiver(self) -> Iterator[Receiver]:
        with SmtpServer(user="exporter", password=PASSWORD) as server:
            settings = {
                "host": server.host,
                "port": server.port,
                "sender": "Exports <exports@example.com>",
                "ca_file": str(server.ca_file),
                "user": server.user,
                "password": "env:MAIL_PASSWORD",
            }
            yield MailReceiver(server, settings=settings, secrets={"env:MAIL_PASSWORD": PASSWORD})


class Webhook(SinkConformance):
    target = "tailrace_sink_webhook"
    name = "webhook"
    configurable = addressed = checks_targets = judges_sizes = messages = idempotent = hears_retry_after = True
    HOPELESS = (None, "", "nobody", "ftp://example.com/", "https://10.0.0.1/", "https://user:word@example.com/")
    IMPATIENT: ClassVar[Mapping[str, Any]] = {"timeout": 0.5}

    @pytest.fixture
    def server(self) -> Iterator[WebhookServer]:
        with WebhookServer() as server:
            yield server

    @pytest.fixture
    def receiver(self, server: WebhookServer) -> Receiver:
        settings = {"secrets": ["env:SIGNING"], "allow": ["127.0.0.0/8"]}
        return WebhookReceiver(server, settings=settings, secrets={"env:SIGNING": SIGNING})


@pytest.mark.long
class TestWebhookPut(Webhook):
    options: ClassVar[Mapping[str, Any]] = {"send": "put"}
    transactional = True


class TestWebhookResumed(Webhook):
    options: ClassVar[Mapping[str, Any]] = {"send": "put", "resume": True}
    transactional = resumable = True

    @pytest.fixture
    def server(self) -> Iterator[WebhookServer]:
        with WebhookServer(resumable=True) as server:
            yield server


@pytest.mark.long
class TestWebhookForm(Webhook):
    options: ClassVar[Mapping[str, Any]] = {"send": "multipart"}
    transactional = True
    LARGE = 16 * MIB  # the server of these tests takes forms apart in memory, again and again


class TestWebhookNotice(Webhook):
    carries_files = False
    LARGE = 16 * MIB  # nobody reads it
