"""What sinks send by the application's own HTTP client: all that the sink promises, and what the client adds."""

import base64
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import httpx
import polars as pl
import pytest
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook
from tailrace_sink_webhook.settings import WebhookSettings
from tailrace_sink_webhook.sink import WebhookSink
from werkzeug import Request, Response

from tailrace import (
    CancelledError,
    Context,
    Engine,
    ExportRequest,
    HttpClient,
    JobResult,
    Message,
    MessageCall,
    Notify,
    Receipt,
    SinkRequest,
)
from tailrace.settings import DeliverySettings, Settings

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
PATH = "/hooks/canary-path"


class Recording(httpx.HTTPTransport):
    """A transport of the application: it sees every request, and sends it for real."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        return super().handle_request(request)


@attrs.define
class House:
    """An engine whose sinks send by a client of the application."""

    root: Path
    server: HTTPServer
    transport: Recording
    client: httpx.Client
    engine: Engine

    def export(self, **options: Any) -> JobResult:
        sinks = (SinkRequest("webhook", self.server.url_for(PATH), options=options),)
        return self.engine.export(ExportRequest("orders", "", "csv", sinks=sinks, compress=False))

    @property
    def requests(self) -> list[Request]:
        """What arrived."""
        return [request for request, _response in self.server.log]


def settings(root: Path, **more: Any) -> Settings:
    sink = {"secrets": ["env:TEST_WEBHOOK_SECRET"], "allow": ["127.0.0.0/8", "localhost"], **more}
    return Settings(home=root / "home", user="kim", sinks={"webhook": sink}, delivery=DeliverySettings(attempts=1))


@contextmanager
def house(root: Path, server: HTTPServer, **more: Any) -> Iterator[House]:
    transport = Recording()
    headers = {"X-Tenant": "seven", "Authorization": "Bearer tenant"}
    with httpx.Client(transport=transport, headers=headers, cookies={"session": "canary"}) as client:
        engine = Engine(settings(root, **more), http_client=client)
        engine.add_source("orders", lambda _call: pl.DataFrame({"id": [1, 2]}))
        yield House(root, server, transport, client, engine)
        engine.store.close()


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_WEBHOOK_SECRET", SECRET)


@pytest.mark.parametrize("send", ["notice", "put", "multipart"])
def test_files_and_notices_go_by_the_client_of_the_application(
    tmp_path: Path, httpserver: HTTPServer, send: str
) -> None:
    httpserver.expect_request(PATH).respond_with_response(
        Response(status=200, headers={"Set-Cookie": "theirs=canary; Path=/"})
    )
    with house(tmp_path, httpserver) as own:
        result = own.export(send=send)
        assert result.complete
        (sent,), (request,) = own.transport.seen, own.requests
        assert sent.headers["X-Tenant"] == request.headers["X-Tenant"] == "seven"
        # The sink's own headers are there, and no cookie is.
        assert request.headers["webhook-id"]
        assert request.headers["User-Agent"].startswith("Tailrace/")
        assert request.headers["Accept-Encoding"] == "identity"
        assert "Cookie" not in request.headers
        assert request.headers["Content-Length"] == str(len(request.data))
        body = request.data
        if send == "notice":
            assert Webhook(SECRET).verify(body, dict(request.headers))
        elif send == "put":
            assert body == b"id\n1\n2\n"
            Webhook(SECRET).verify(request.headers["Tailrace-Notice"], dict(request.headers))
        else:
            assert b'filename="orders_' in body
            assert b"\r\n\r\nid\n1\n2\n\r\n--" in body
        assert own.export(send=send).complete
        assert all("Cookie" not in request.headers for request in own.requests)


def test_without_a_client_the_sink_has_connections_of_its_own(tmp_path: Path, httpserver: HTTPServer) -> None:
    httpserver.expect_request(PATH).respond_with_data()
    engine = Engine(settings(tmp_path))
    engine.add_source("orders", lambda _call: pl.DataFrame({"id": [1, 2]}))
    sinks = (SinkRequest("webhook", httpserver.url_for(PATH)),)
    assert engine.export(ExportRequest("orders", "", "csv", sinks=sinks)).complete
    (request,) = (request for request, _response in httpserver.log)
    assert "X-Tenant" not in request.headers
    engine.store.close()


def test_redirections_are_not_followed_whatever_the_client_does(tmp_path: Path, httpserver: HTTPServer) -> None:
    httpserver.expect_request(PATH).respond_with_response(
        Response(status=307, headers={"Location": httpserver.url_for("/elsewhere")})
    )
    httpserver.expect_request("/elsewhere").respond_with_data()
    with house(tmp_path, httpserver) as own:
        own.client.follow_redirects = True
        with pytest.raises(Exception, match="redirections are not followed"):
            own.export()
        assert [request.path for request in own.requests] == [PATH]


def test_addresses_inside_are_refused_before_the_client_is_asked(tmp_path: Path, httpserver: HTTPServer) -> None:
    with house(tmp_path, httpserver, allow=[]) as own:
        with pytest.raises(Exception, match=r"inside|without TLS"):
            own.export()
        assert own.transport.seen == []


def test_messages_go_by_the_client_as_well(tmp_path: Path, httpserver: HTTPServer) -> None:
    httpserver.expect_request(PATH).respond_with_data()
    with house(tmp_path, httpserver) as own:
        url = httpserver.url_for(PATH)
        request = ExportRequest(
            "orders",
            "",
            "csv",
            sinks=(SinkRequest("disk", str(tmp_path / "out")),),
            notify=(Notify("webhook", url),),
        )
        own.engine.export(request)
        own.engine.worker().run(until_idle=True)
        assert own.transport.seen
        assert own.requests[0].headers["X-Tenant"] == "seven"


class Duck:
    """No client of httpx at all: anything with these two methods will do."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.closed = 0

    def build_request(self, method: str, url: Any, *, headers: Any, content: Any, timeout: Any) -> Any:
        return attrs.make_class("Built", ["method", "url", "headers", "body", "timeout"])(
            method, url, dict(headers), b"".join(content), timeout
        )

    def send(self, request: Any, *, stream: bool, follow_redirects: bool) -> Any:
        self.sent.append({"url": request.url, "body": request.body, "stream": stream, "follow": follow_redirects})
        duck = self

        class Answer:
            status_code = 204
            headers: dict[str, str] = {}  # noqa: RUF012 - a stand-in

            def iter_raw(self) -> Iterator[bytes]:
                yield b""

            def close(self) -> None:
                duck.closed += 1

        return Answer()


def call(client: Any, url: str, context: Context | None = None, **more: Any) -> MessageCall:
    message = Message("ready", "Ready", "It is.", {}, "", datetime.now(UTC))
    given = WebhookSettings(secrets=("env:X",), allow=("127.0.0.0/8",), **more)
    return MessageCall(message, url, "d-1", context or Context(), given, lambda _reference: SECRET, client)


def test_anything_with_two_methods_is_a_client() -> None:
    duck = Duck()
    client: HttpClient = duck
    receipt = WebhookSink().send(call(client, "http://127.0.0.1:9/x"))
    assert receipt.delivered
    assert (duck.sent[0]["stream"], duck.sent[0]["follow"], duck.closed) == (True, False, 1)


@pytest.mark.parametrize("error", [OSError("canary"), RuntimeError("http://canary"), httpx.ConnectError("canary")])
def test_what_the_client_raises_is_told_by_its_type(error: Exception) -> None:
    class Broken(Duck):
        def send(self, request: Any, *, stream: bool, follow_redirects: bool) -> Any:
            raise error

    receipt = WebhookSink().send(call(Broken(), "http://127.0.0.1:9/x"))
    assert (receipt.delivered, receipt.transient) == (False, True)
    assert receipt.error.endswith(f"could not be reached by the application's client: {type(error).__name__}.")
    assert "canary" not in receipt.error


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a receiver that takes everything and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x"


@pytest.mark.flaky(reruns=1)
def test_a_client_that_waits_keeps_nobody_from_cancelling(silent: str) -> None:
    context = Context()
    with httpx.Client() as client:
        threading.Timer(0.3, context.cancel).start()
        began = time.monotonic()
        with pytest.raises(CancelledError):
            WebhookSink().send(call(client, silent, context, timeout=3.0))
        assert time.monotonic() - began < 1.3
        _until_no_thread("tailrace-webhook")


@pytest.mark.flaky(reruns=1)
def test_the_time_of_a_delivery_is_kept_by_the_client_as_well(silent: str) -> None:
    with httpx.Client(timeout=None) as client:
        began = time.monotonic()
        receipts: list[Receipt] = [
            WebhookSink().send(call(client, silent, timeout=0.3)),
            WebhookSink().send(call(client, silent, timeout=2.0, total_timeout=0.3)),
        ]
        assert time.monotonic() - began < 2.0
        assert [receipt.transient for receipt in receipts] == [True, True]
        assert "ReadTimeout" in receipts[0].error
        assert "took too long" in receipts[1].error
        _until_no_thread("tailrace-webhook")


def _until_no_thread(name: str) -> None:
    """Wait until a client that was given up has found that nobody waits, so that closing it hurts nobody."""
    until = time.monotonic() + 10
    while any(thread.name == name for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_file_that_cannot_be_read_is_no_fault_of_the_client(tmp_path: Path, httpserver: HTTPServer) -> None:
    httpserver.expect_request(PATH).respond_with_data()
    with house(tmp_path, httpserver) as own:
        original = own.client.build_request

        def losing(*args: Any, **more: Any) -> httpx.Request:
            for kept in (own.root / "home" / "outbox").glob("*.csv"):
                os.truncate(kept, 1)
            return original(*args, **more)

        own.client.build_request = losing  # type: ignore[method-assign]  # the file changes at the worst moment
        with pytest.raises(Exception, match="changed while it was sent"):
            own.export(send="put")


def test_the_clients_own_log_is_the_applications_business(
    tmp_path: Path, httpserver: HTTPServer, caplog: pytest.LogCaptureFixture
) -> None:
    """httpx writes whole addresses into its log at INFO; nothing of ours does."""
    httpserver.expect_request(PATH).respond_with_data()
    with house(tmp_path, httpserver) as own, caplog.at_level(logging.DEBUG):
        own.export()
    ours = [record for record in caplog.records if record.name.startswith("tailrace")]
    assert not any("canary-path" in record.getMessage() for record in ours)
    assert any("canary-path" in record.getMessage() for record in caplog.records if record.name == "httpx")
