"""The sink ``webhook``: what receivers get, what their answers mean, and what they cannot do to us."""

import base64
import contextlib
import gzip
import json
import logging
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
import trustme
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook, WebhookVerificationError
from tailrace_sink_webhook import tailrace_sink
from tailrace_sink_webhook.connections import KeptConnections, Route
from tailrace_sink_webhook.exchange import make_pool
from tailrace_sink_webhook.notice import file_notice
from tailrace_sink_webhook.sink import WebhookSink
from werkzeug import Request, Response

from tailrace import (
    Addressed,
    CancelledError,
    Configurable,
    ConfigurationError,
    Context,
    CredentialMode,
    DeadlineError,
    DeliverCall,
    Fit,
    FitCall,
    Manifest,
    Message,
    MessageCall,
    Messenger,
    Parcel,
    Receipt,
    RequestError,
    Sink,
    SizeJudge,
    StagingCall,
    TailraceError,
    TargetChecker,
    UnknownNameError,
    __version__,
)
from tailrace.model.convert import StructureError, structure
from tailrace.model.manifest import (
    CompressionRecord,
    FileRecord,
    PluginRecord,
    RangeRecord,
    RowCounts,
    SourceRecord,
    TableRecord,
)
from tailrace.model.options import build_options

OLD, NEW = ("whsec_" + base64.b64encode(bytes([byte]) * 32).decode() for byte in b"on")
SECRETS = {"env:OLD": OLD, "env:NEW": NEW, "env:TOKEN": "Bearer canary-token"}
INSIDE = ("127.0.0.0/8", "::1/128")
PATH = "/hooks/canary-path?key=canary-key"
MANIFEST = Manifest(
    schema_version=2,
    tailrace_version="0.1.0",
    export_id="0198c0de",
    created=datetime(2026, 11, 23, 10, 15, tzinfo=UTC),
    user="alice",
    source=SourceRecord(PluginRecord("pool", "tailrace-source-pool", "0.1.0"), "proxywhirl:///pool.db", "1"),
    format=PluginRecord("csv", "tailrace-format-csv", "0.1.0"),
    format_options={},
    parameters={},
    time_range=RangeRecord("created", datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)),
    time_zone="UTC",
    credentials=CredentialMode.SANITIZED,
    tables=(TableRecord("proxies", (), RowCounts(3, 0, 3, 3)),),
    file=FileRecord("pool.csv.gz", "text/csv", 90, "1" * 64, 60, "2" * 64, CompressionRecord("gzip", 6)),
)
NOTICE = (
    b'{"type":"export.file_ready","timestamp":"2026-11-23T10:15:00Z","data":{"schema_version":1,"export":"0198c0de",'
    b'"created":"2026-11-23T10:15:00Z","user":"alice","source":"pool","format":"csv","credentials":"sanitized",'
    b'"time_range":{"column":"created","since":"2026-11-01T00:00:00Z","until":"2026-11-23T00:00:00Z"},"rows":3,'
    b'"tables":[{"name":"proxies","rows":3}],"tables_not_listed":0,"file":{"name":"pool.csv.gz",'
    b'"media_type":"text/csv","compression":"gzip","size":60,"sha256":"' + b"2" * 64 + b'"},'
    b'"fetch":{"link":"","command":"tailrace jobs download 0198c0de"}}}'
)
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def secret(reference: str) -> str:
    try:
        return SECRETS[reference]
    except KeyError:
        message = "There is nothing behind the reference."
        raise ConfigurationError(message) from None


def settings(sink: Any, **given: Any) -> Any:
    """Settings as the engine makes them of what stands in the file."""
    return structure({"secrets": ["env:OLD"], "allow": list(INSIDE), **given}, sink.settings_type)


def options(**given: Any) -> Any:
    return build_options(tailrace_sink().options_type, given, owner="sink webhook")


def deliver(
    target: str,
    sink: Any = None,
    *,
    context: Context | None = None,
    delivery: str = "0198-dead-beef",
    link: str = "",
    **given: Any,
) -> Receipt:
    """Deliver a notice as the engine does."""
    sink = sink or tailrace_sink()
    chosen = settings(sink, **given)
    call = DeliverCall(
        Parcel(Path("unused"), MANIFEST, {}),
        target,
        options(),
        context or Context(),
        settings=chosen,
        secret=secret,
        delivery=delivery,
        recipients=tuple(sink.recipients(StagingCall(target, options(), {}, settings=chosen))),
        link=link,
    )
    (receipt,) = sink.deliver_each(call)
    assert isinstance(receipt, Receipt)
    assert receipt.sink == "webhook"
    assert receipt.recipient == call.recipients[0]
    assert "canary" not in repr(receipt)
    return receipt


def staging(target: str | None, **given: Any) -> None:
    sink = tailrace_sink()
    assert sink.staging(StagingCall(target, options(), {}, settings=settings(sink, **given))) is None


def until(true: Callable[[], bool]) -> None:
    """Wait for something that happens in another thread, for a few seconds at most."""
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


Handler = Callable[[socket.socket], None]


@attrs.define
class Receiver:
    """A receiver that answers as it is told, connection by connection; the last handler takes all further ones."""

    url: str
    port: int
    connections: int = 0
    closed: int = 0


def answering(answer: bytes, *, times: int = 1) -> Handler:
    """Reads requests and gives an answer to each, and closes then."""

    def handle(connection: socket.socket) -> None:
        for _ in range(times):
            if read_request(connection):
                connection.sendall(answer)

    return handle


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        block = connection.recv(65536)
        if not block:
            return b""
        data += block
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextlib.contextmanager
def receiver(*handlers: Handler, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Receiver]:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    found = Receiver(f"http{'s' if tls else ''}://{host}:{port}{PATH}", port)
    open_now: list[socket.socket] = []

    def serve(connection: socket.socket, handle: Handler) -> None:
        # Whatever the sink does to the connection is looked at by the sink's side of the tests.
        with contextlib.suppress(OSError), connection:
            if tls:
                connection = tls.wrap_socket(connection, server_side=True)
                open_now.append(connection)
            handle(connection)
        found.closed += 1

    def accept() -> None:
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            open_now.append(connection)
            handle = handlers[min(found.connections, len(handlers) - 1)]
            found.connections += 1
            threading.Thread(target=serve, args=(connection, handle), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in open_now:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def silence(connection: socket.socket) -> None:
    """Says nothing until the other side has gone."""
    while connection.recv(65536):
        pass


def verified(request: Request, *secrets: str) -> Any:
    """The content of a request, if its signature is right for each of the secrets."""
    found = [Webhook(one).verify(request.data, dict(request.headers)) for one in secrets]
    assert all(content == found[0] for content in found)
    return found[0]


def requests_of(server: HTTPServer) -> list[Request]:
    return [request for request, _response in server.log]


# --- what it is


def test_it_is_a_sink_with_all_that_belongs_to_one_that_delivers_later() -> None:
    sink = tailrace_sink()
    for contract in (Sink, TargetChecker, Configurable, Addressed, SizeJudge, Messenger):
        assert isinstance(sink, contract)
    assert sink.summary
    staging("https://example.com/x")


def test_listing_plugins_loads_neither_httpx_nor_the_signatures() -> None:
    code = (
        "import sys, tailrace_sink_webhook as plugin\n"
        "plugin.tailrace_sink()\n"
        "print({'httpx', 'httpcore', 'standardwebhooks', 'ssl'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# --- what is sent


def test_a_notice_is_signed_so_that_the_receivers_library_accepts_it(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hooks/canary-path").respond_with_data(status=204)
    receipt = deliver(httpserver.url_for(PATH), allow=["localhost"])
    place = f"http://localhost:{httpserver.port}/… answered 204"
    assert (receipt.delivered, receipt.place, receipt.error, receipt.transient) == (True, place, "", False)
    (request,) = requests_of(httpserver)
    assert request.data == NOTICE
    assert verified(request, OLD)["type"] == "export.file_ready"
    assert request.query_string == b"key=canary-key"
    assert {name.lower(): value for name, value in request.headers.items()} == {
        "host": f"localhost:{httpserver.port}",
        "user-agent": f"Tailrace/{__version__}",
        "accept": "*/*",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": str(len(NOTICE)),
        "webhook-id": "msg_0198-dead-beef",
        "webhook-timestamp": request.headers["webhook-timestamp"],
        "webhook-signature": request.headers["webhook-signature"],
    }
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 60
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(request.data, dict(request.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(request.data.replace(b"alice", b"mallo"), dict(request.headers))


def test_each_try_has_the_same_id_and_body_and_a_signature_of_its_own(httpserver: HTTPServer) -> None:
    moments = iter(datetime.now(UTC) - timedelta(seconds=back) for back in (40, 40, 20, 20, 0, 0))
    sink = WebhookSink(now=lambda: next(moments))
    for status in (500, 500, 200):
        httpserver.expect_ordered_request("/").respond_with_data(status=status)
    receipts = [deliver(httpserver.url_for("/"), sink, allow=["localhost"]) for _ in range(3)]
    assert [(receipt.delivered, receipt.transient) for receipt in receipts] == [
        (False, True),
        (False, True),
        (True, False),
    ]
    requests = requests_of(httpserver)
    assert [verified(request, OLD) for request in requests] == [json.loads(NOTICE)] * 3
    assert {request.headers["webhook-id"] for request in requests} == {"msg_0198-dead-beef"}
    assert len({request.headers["webhook-timestamp"] for request in requests}) == 3
    assert len({request.headers["webhook-signature"] for request in requests}) == 3


def test_while_two_secrets_are_listed_both_sign(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data()
    for listed, good in ((["env:OLD"], [OLD]), (["env:NEW", "env:OLD"], [NEW, OLD]), (["env:NEW"], [NEW])):
        httpserver.clear_log()
        assert deliver(httpserver.url_for("/"), allow=["localhost"], secrets=listed).delivered
        (request,) = requests_of(httpserver)
        signatures = request.headers["webhook-signature"].split(" ")
        assert len(signatures) == len(listed)
        assert all(signature.startswith("v1,") for signature in signatures)
        verified(request, *good)


def test_a_delivery_without_an_id_is_named_after_its_export(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data()
    deliver(httpserver.url_for("/"), allow=["localhost"], delivery="")
    deliver(httpserver.url_for("/"), allow=["localhost"], delivery="a.b/c\r\nd")
    ids = [request.headers["webhook-id"] for request in requests_of(httpserver)]
    assert ids == ["msg_0198c0de", "msg_a-b-c--d"]


def test_the_single_delivery_does_the_same(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data()
    sink = tailrace_sink()
    call = DeliverCall(
        Parcel(Path("unused"), MANIFEST, {}),
        httpserver.url_for("/"),
        options(),
        Context(),
        settings=settings(sink, allow=["localhost"]),
        secret=secret,
        delivery="1",
    )
    assert sink.deliver(call).delivered
    assert isinstance(sink, Addressed)
    assert sink.deliver_each(attrs.evolve(call, recipients=("somebody else",))) == ()
    assert len(requests_of(httpserver)) == 1


def test_the_link_is_in_the_notice() -> None:
    assert json.loads(file_notice(MANIFEST, "https://exports.example.com/x"))["data"]["fetch"] == {
        "link": "https://exports.example.com/x",
        "command": "tailrace jobs download 0198c0de",
    }


def test_the_example_in_the_reference_is_a_real_one() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "webhooks.md"
    example = page.read_text().partition("```json\n")[2].partition("```")[0]
    assert json.loads(example) == json.loads(NOTICE)


def test_a_notice_stays_small_and_plain_whatever_is_exported() -> None:
    tables = tuple(TableRecord(f"tablé {number} " + "x" * 500, (), RowCounts(1, 0, 1, 1)) for number in range(1000))
    file = attrs.evolve(MANIFEST.file, name="ü" * 300, compression=None)
    manifest = attrs.evolve(MANIFEST, tables=tables, user="a" * 10_000, time_range=None, file=file)
    body = file_notice(manifest, "")
    data = json.loads(body)["data"]
    assert len(body) <= 4096
    assert body.isascii()
    assert len(data["tables"]) + data["tables_not_listed"] == 1000
    assert data["tables"][0]["name"].startswith("tablé 0 xxx")
    assert data["rows"] == 1000
    assert data["user"] == "a" * 199 + "…"
    assert data["time_range"] is None
    assert data["file"]["compression"] is None
    half = RangeRecord("created", None, datetime(2026, 11, 23, tzinfo=UTC))
    assert json.loads(file_notice(attrs.evolve(manifest, time_range=half), ""))["data"]["time_range"]["since"] is None


# --- messages


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("completed", "export.completed"),
        ("failed", "export.failed"),
        ("partly delivered", "export.partly_delivered"),
    ],
)
def test_messages_are_carried(httpserver: HTTPServer, event: str, kind: str) -> None:
    httpserver.expect_request("/").respond_with_data(status=202)
    sink = tailrace_sink()
    assert isinstance(sink, Messenger)
    facts = {"job": "0198c0de", "rows": "3"}
    message = Message(event, "Export", "Your export.", facts, "https://x.example", datetime(2026, 1, 2, tzinfo=UTC))
    chosen = settings(sink, endpoints={"ops": {"url": httpserver.url_for("/")}}, allow=["localhost"])
    receipt = sink.send(MessageCall(message, "ops", "7", Context(), chosen, secret))
    assert receipt.delivered
    assert receipt.recipient == sink.addressee("ops", chosen) == "ops"
    (request,) = requests_of(httpserver)
    assert verified(request, OLD) == {
        "type": kind,
        "timestamp": "2026-01-02T00:00:00Z",
        "data": {
            "schema_version": 1,
            "subject": "Export",
            "text": "Your export.",
            "facts": facts,
            "link": "https://x.example",
        },
    }
    assert request.headers["webhook-id"] == "msg_7"


def test_a_message_with_many_facts_stays_small(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data()
    sink = tailrace_sink()
    assert isinstance(sink, Messenger)
    facts = {f"fact {number}": "x" * 300 for number in range(100)}
    message = Message("failed", "s" * 500, "t" * 5000, facts, "", datetime(2026, 1, 2, tzinfo=UTC))
    call = MessageCall(message, httpserver.url_for("/"), "7", Context(), settings(sink, allow=["localhost"]), secret)
    assert sink.send(call).delivered
    (request,) = requests_of(httpserver)
    assert len(request.data) <= 4096
    assert list(verified(request, OLD)["data"]["facts"])[:2] == ["fact 0", "fact 1"]


# --- what answers mean


@pytest.mark.parametrize(
    ("status", "delivered", "transient", "unwanted"),
    [
        *((status, True, False, False) for status in (200, 201, 202, 204, 299)),
        *((status, False, False, False) for status in (301, 302, 303, 304, 307, 308)),
        *((status, False, False, False) for status in (400, 401, 403, 404, 405, 409, 413, 415, 422, 451, 499)),
        (410, False, False, True),
        *((status, False, True, False) for status in (408, 425, 429, 500, 501, 502, 503, 504, 599)),
        (600, False, False, False),
    ],
)
def test_what_a_status_comes_to(status: int, delivered: bool, transient: bool, unwanted: bool) -> None:  # noqa: FBT001 - of a table
    with receiver(answering(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)) as found:
        receipt = deliver(found.url)
    assert (receipt.delivered, receipt.transient, receipt.unwanted) == (delivered, transient, unwanted)
    assert f"http://127.0.0.1:{found.port}/… answered {status}" in (receipt.place if delivered else receipt.error)
    assert bool(receipt.place) == delivered
    assert bool(receipt.error) != delivered
    assert found.connections == 1


NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("-5", 0.0),
        ("+7", 7.0),
        (" 9 ", 9.0),
        ("99999999999999999999", 30 * 86_400.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(days=90), usegmt=True), 0.0),
        ("Monday, 23-Nov-26 12:01:00 GMT", 60.0),
        ("Mon Nov 23 12:00:30 2026", 30.0),
        ("soon", None),
        ("", None),
        ("1.5", None),
        ("1e3", None),
        ("9" * 500, None),
        ("Fri, 99 Foo 2026 99:99:99 GMT", None),
        ("Mon, 23 Nov 99999999999 12:00:00 GMT", None),
    ],
)
def test_a_receiver_says_how_long_to_wait(status: int, text: str, seconds: float | None) -> None:
    answer = f"HTTP/1.1 {status} X\r\nRetry-After: {text}\r\nContent-Length: 0\r\n\r\n".encode()
    with receiver(answering(answer)) as found:
        receipt = deliver(found.url, WebhookSink(now=lambda: NOW))
    assert receipt.transient
    assert receipt.retry_after == seconds


def test_without_the_header_nothing_is_asked_for() -> None:
    with receiver(answering(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")) as found:
        assert deliver(found.url).retry_after is None


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("https://elsewhere.example/canary-location", ": it leads to elsewhere.example. Set the URL"),
        ("https://canary:canary@[2001:db8::1]:9/", ": it leads to 2001:db8::1. Set the URL"),
        ("/canary-location", "are not followed. Set the URL"),
        ("https://[canary", "are not followed. Set the URL"),
        ("https://canary~~ /", "are not followed. Set the URL"),
        ("https://" + "x" * 200, "are not followed. Set the URL"),
    ],
)
def test_redirections_are_not_followed(location: str, said: str) -> None:
    with receiver(answering(OK)) as other:
        answer = f"HTTP/1.1 307 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        inward = f"HTTP/1.1 302 X\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n".encode()
        with receiver(answering(answer), answering(inward)) as found:
            receipt = deliver(found.url)
            assert said in receipt.error
            assert not receipt.transient
            assert "leads to 127.0.0.1" in deliver(found.url).error
    assert other.connections == 0


# --- receivers that misbehave


def flood(status: bytes) -> Handler:
    """Answers, and sends a body without an end."""

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 999999999999\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    return handle


def drip(before: bytes, piece: bytes) -> Handler:
    """Says something, and then a little again and again."""

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(before)
        while True:
            connection.sendall(piece)
            time.sleep(0.05)

    return handle


def reset(connection: socket.socket) -> None:
    read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def bomb(connection: socket.socket) -> None:
    body = gzip.compress(b"\0" * 10_000_000)
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(flood(b"200 OK"), id="a body without an end"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", b"x"), id="a body byte by byte"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"), id="chunks"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"zz\r\n"), id="bad chunks"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nx"), id="a body cut off"),
        pytest.param(answering(b"HTTP/1.0 200 OK\r\n\r\nuntil the end"), id="a body until the end"),
        pytest.param(bomb, id="a packed body"),
    ],
)
def test_what_follows_an_acknowledgement_does_not_undo_it(handler: Handler) -> None:
    began = time.monotonic()
    with receiver(handler) as found:
        assert deliver(found.url, longest_answer=100_000).delivered
    assert time.monotonic() - began < 2
    assert found.connections == 1


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        pytest.param(silence, "The receiver was silent for 0.4 seconds.", id="silence"),
        pytest.param(drip(b"HTTP/1.1 2", b"0"), "The delivery took too long.", id="a status without an end"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\n", b"X-Y: z\r\n"), "The delivery took too long.", id="slow headers"),
        pytest.param(
            drip(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"), "The delivery took too long.", id="one hint after another"
        ),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 30_000), "is not HTTP/1.1.", id="many headers"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000), "is not HTTP/1.1.", id="a long header"),
        pytest.param(answering(b"SSH-2.0-canary\r\n"), "is not HTTP/1.1.", id="another protocol"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\ncanary\r\n\r\n"), "is not HTTP/1.1.", id="a bad header"),
        pytest.param(answering(b""), "gave no answer", id="no answer"),
        pytest.param(reset, "broke off the connection without an answer.", id="a reset"),
    ],
)
def test_what_comes_to_no_answer_is_tried_again(handler: Handler, said: str) -> None:
    began = time.monotonic()
    with receiver(handler) as found:
        receipt = deliver(found.url, timeout=0.4, total_timeout=0.6)
    assert time.monotonic() - began < 3
    assert not receipt.delivered
    assert receipt.transient
    assert said in receipt.error


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    receipt = deliver(f"http://127.0.0.1:{port}/canary")
    assert receipt.transient
    assert receipt.error == "127.0.0.1 cannot be reached: connection refused."


def test_an_address_that_the_system_refuses_at_once() -> None:
    receipt = deliver("http://255.255.255.255/canary", allow=["255.255.255.255"])
    assert receipt.transient
    assert receipt.error.startswith("255.255.255.255 cannot be reached: ")


def test_the_next_address_is_tried() -> None:
    with receiver(answering(OK), host="hooks.internal") as found:
        sink = WebhookSink(resolver=lambda _host: ("127.99.0.1", "127.0.0.1"))
        assert deliver(found.url, sink).delivered


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "cannot be found: name or service not known.",
        ),
        (socket.gaierror(socket.EAI_AGAIN, "Try again"), "cannot be found: try again."),
        (UnicodeError("label too long"), "cannot be found: that is no name."),
        (None, "cannot be reached: it has no address."),
    ],
)
def test_a_name_without_an_address(failure: Exception | None, said: str) -> None:
    def resolver(_host: str) -> Sequence[str]:
        if failure:
            raise failure
        return ()

    receipt = deliver("https://nowhere.example/canary", WebhookSink(resolver=resolver))
    assert receipt.error == f"nowhere.example {said}"
    assert receipt.transient


@contextlib.contextmanager
def full() -> Iterator[int]:
    """A port that takes no connection, and does not refuse any."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            one = waiting.enter_context(socket.socket())
            one.settimeout(0)
            one.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_connection_that_is_neither_taken_nor_refused() -> None:
    with full() as port:
        receipt = deliver(f"http://127.0.0.1:{port}/canary", timeout=0.3)
    assert receipt.error == "The receiver was silent for 0.3 seconds."
    assert receipt.transient


# --- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def self_signed(folder: Path) -> ssl.SSLContext:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.internal")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain = folder / "chain.pem"
    chain.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return context


def over_tls(url: str, ca_file: Path | str = "", **given: Any) -> Receipt:
    sink = WebhookSink(resolver=lambda _host: ("127.0.0.1",))
    return deliver(url, sink, ca_file=str(ca_file), **given)


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def test_tls_with_an_authority_of_ones_own(authority: trustme.CA, ca_file: Path) -> None:
    tls = tls_of(authority.issue_cert("hooks.internal"))
    with receiver(answering(OK, times=2), tls=tls, host="hooks.internal") as found:
        receipt = over_tls(found.url, ca_file)
    assert receipt.delivered
    assert receipt.place == f"https://hooks.internal:{found.port}/… answered 204"


@pytest.mark.parametrize("problem", ["another name", "another address", "expired", "not yet", "not trusted", "itself"])
def test_who_cannot_prove_who_it_is_gets_nothing(
    authority: trustme.CA, ca_file: Path, tmp_path: Path, problem: str
) -> None:
    now, day = datetime.now(UTC), timedelta(days=1)
    host, trusted, said = "hooks.internal", str(ca_file), ""
    if problem == "another name":
        tls, said = tls_of(authority.issue_cert("other.internal")), "its certificate is for another name"
    elif problem == "another address":
        tls, said = tls_of(authority.issue_cert("127.9.9.9")), "its certificate is for another address"
        host = "127.0.0.1"
    elif problem == "expired":
        certificate = authority.issue_cert("hooks.internal", not_before=now - 3 * day, not_after=now - day)
        tls, said = tls_of(certificate), "its certificate has expired"
    elif problem == "not yet":
        certificate = authority.issue_cert("hooks.internal", not_before=now + day, not_after=now + 3 * day)
        tls, said = tls_of(certificate), "its certificate is not valid yet"
    elif problem == "not trusted":
        tls, trusted = tls_of(authority.issue_cert("hooks.internal")), ""
        said = "its certificate is signed by an authority that is not trusted"
    else:
        tls, said = self_signed(tmp_path), "its certificate is signed by itself"
    heard: list[bytes] = []
    with receiver(lambda connection: heard.append(connection.recv(1)), tls=tls, host=host) as found:
        receipt = over_tls(found.url, trusted)
    assert not receipt.delivered
    assert not receipt.transient
    assert receipt.error.startswith(f"{host} did not prove who it is: {said}. Nothing was sent. ")
    assert not any(heard)


def test_who_does_not_speak_tls(ca_file: Path) -> None:
    with receiver(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"), host="hooks.internal") as found:
        receipt = over_tls(found.url.replace("http:", "https:"), ca_file)
    assert not receipt.transient
    assert "hooks.internal and Tailrace found no way to use TLS: " in receipt.error


@pytest.mark.parametrize("size", [10, 65536], ids=["reset", "closed"])
def test_a_connection_lost_before_tls_is_agreed_is_tried_again(ca_file: Path, size: int) -> None:
    def handle(connection: socket.socket) -> None:
        # What is closed with something unread is reset.
        connection.recv(size)

    with receiver(handle, host="hooks.internal") as found:
        receipt = over_tls(found.url.replace("http:", "https:"), ca_file)
    assert receipt.transient
    assert receipt.error == "hooks.internal broke off the connection before TLS was agreed."


def test_silence_before_tls_is_agreed(ca_file: Path) -> None:
    with receiver(silence, host="hooks.internal") as found:
        receipt = over_tls(found.url.replace("http:", "https:"), ca_file, timeout=0.3)
    assert receipt.transient
    assert receipt.error == "The receiver was silent for 0.3 seconds."


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_authorities_that_cannot_be_read(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "canary.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"sinks\.webhook\.ca_file cannot be read") as caught:
        over_tls("https://hooks.internal/x", path)
    assert caught.value.hint


# --- somebody cancels


def cancelling(context: Context, after: float) -> threading.Timer:
    timer = threading.Timer(after, context.cancel)
    timer.start()
    return timer


def test_cancelled_before() -> None:
    context = Context()
    context.cancel()
    with receiver(answering(OK)) as found, pytest.raises(CancelledError):
        deliver(found.url, context=context)
    assert found.connections == 0


def waits_for_resolver(stack: contextlib.ExitStack) -> tuple[str, WebhookSink]:
    over = threading.Event()
    stack.callback(over.set)

    def resolver(_host: str) -> Sequence[str]:
        over.wait(10)
        return ("127.0.0.1",)

    return "http://hooks.internal/x", WebhookSink(resolver=resolver)


def waits_for_connection(stack: contextlib.ExitStack) -> tuple[str, WebhookSink]:
    return f"http://127.0.0.1:{stack.enter_context(full())}/x", WebhookSink()


def waits_for_answer(stack: contextlib.ExitStack) -> tuple[str, WebhookSink]:
    return stack.enter_context(receiver(silence)).url, WebhookSink()


def waits_for_tls(stack: contextlib.ExitStack) -> tuple[str, WebhookSink]:
    return stack.enter_context(receiver(silence)).url.replace("http:", "https:"), WebhookSink()


@pytest.mark.flaky(reruns=1)  # a bound in time: what is slow by itself is slow twice
@pytest.mark.parametrize("waits", [waits_for_resolver, waits_for_connection, waits_for_answer, waits_for_tls])
def test_cancelling_takes_less_than_a_second_whatever_one_waits_for(
    waits: Callable[[contextlib.ExitStack], tuple[str, WebhookSink]],
) -> None:
    with contextlib.ExitStack() as stack:
        url, sink = waits(stack)
        context, began = Context(), time.monotonic()
        timer = cancelling(context, 0.1)
        with pytest.raises(CancelledError):
            deliver(url, sink, context=context)
        assert time.monotonic() - began < 1.0
        timer.join()


def test_the_deadline_holds() -> None:
    with receiver(silence) as found, pytest.raises(DeadlineError):
        deliver(found.url, context=Context(timeout=0.1))


def test_cancelling_after_the_acknowledgement_does_not_undo_it() -> None:
    context = Context()

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        time.sleep(0.3)
        context.cancel()
        connection.sendall(b"there")

    with receiver(handle) as found:
        assert deliver(found.url, context=context).delivered
    assert context.cancelled


# --- connections are kept


def test_deliveries_share_a_connection() -> None:
    sink = tailrace_sink()
    with receiver(answering(OK, times=3)) as found:
        assert all(deliver(found.url, sink).delivered for _ in range(3))
        assert found.connections == 1


def test_other_settings_have_connections_of_their_own() -> None:
    sink = tailrace_sink()
    with receiver(answering(OK, times=3)) as found:
        assert deliver(found.url, sink).delivered
        assert deliver(found.url, sink, allow=["127.0.0.1"]).delivered
        assert found.connections == 2
        with pytest.raises(RequestError):
            sink.staging(StagingCall(found.url, options(), {}, settings=settings(sink, allow=[])))
        refused = deliver(found.url, sink, allow=[])
        assert "leads to an address inside, loopback (RFC 1122)" in refused.error
        assert not refused.transient
    assert found.connections == 2


def test_a_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    sink = tailrace_sink()
    with receiver(answering(OK)) as found:
        for number in range(1, 4):
            assert deliver(found.url, sink).delivered
            assert found.connections == number
            until(lambda: found.closed == found.connections)


def test_eight_threads_at_once(httpserver: HTTPServer) -> None:
    sink = tailrace_sink()

    def handle(request: Request) -> Response:
        return Response(request.headers["webhook-id"])

    httpserver.expect_request("/").respond_with_handler(handle)
    url = httpserver.url_for("/")
    with ThreadPoolExecutor(8) as pool:
        receipts = list(
            pool.map(lambda number: deliver(url, sink, delivery=str(number), allow=["localhost"]), range(40))
        )
    assert all(receipt.delivered for receipt in receipts)
    ids = sorted(request.headers["webhook-id"] for request in requests_of(httpserver))
    assert ids == sorted(f"msg_{number}" for number in range(40))


def test_idle_connections_are_closed() -> None:
    def resolver(_host: str) -> Sequence[str]:
        raise AssertionError

    closed: list[bool] = []

    def make(route: Route) -> Any:
        pool = make_pool(route, resolver, lambda _address, _port: socket.socket())
        close = pool.close

        def noted() -> None:
            closed.append(route.plain)
            close()

        object.__setattr__(pool, "close", noted)
        return pool

    kept = KeptConnections(make, idle=0.3)
    with kept.using(Route(plain=True)) as first:
        with kept.using(Route(plain=True)) as same, kept.using(Route(plain=False)) as other:
            assert same is first
            assert other is not first
        until(lambda: closed == [False])
    with kept.using(Route(plain=True)) as again:
        assert again is first
    until(lambda: closed == [False, True])
    with kept.using(Route(plain=True)) as new:
        assert new is not first


def test_a_child_process_does_not_use_connections_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = tailrace_sink()
    with receiver(answering(OK, times=2)) as found:
        assert deliver(found.url, sink).delivered
        monkeypatch.setattr(os, "getpid", lambda: 1)
        assert deliver(found.url, sink).delivered
        assert found.connections == 2


# --- what the environment says is not heard


def test_proxies_and_netrc_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("default login canary password canary\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    requests: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        # The connection is closed then; unless this says so, the second request may meet it half closed.
        answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        connection.sendall(answer)

    with receiver(answering(OK)) as proxy, receiver(handle) as found:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{proxy.port}")
        sink = tailrace_sink()
        assert deliver(found.url, sink).delivered
        assert deliver(found.url, sink).delivered
    assert proxy.connections == 0
    assert len(requests) == 2
    assert all(request.startswith(b"POST /hooks/canary-path?key=canary-key HTTP/1.1\r\n") for request in requests)
    assert not any(b"uthorization" in request or b"ookie" in request for request in requests)


# --- secrets


@pytest.mark.parametrize("listed", [[], ["env:OLD"]])
def test_nothing_goes_out_unsigned(listed: list[str]) -> None:
    with receiver(answering(OK)) as found:
        if listed:
            staging(found.url, secrets=listed)
            return
        for refused in (staging, deliver):
            with pytest.raises(ConfigurationError, match="none goes out unsigned") as caught:
                refused(found.url, secrets=listed)
            assert "whsec_" in caught.value.hint
    assert found.connections == 0


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "canary",
        "whsec_",
        "whsec_canary!",
        OLD.removeprefix("whsec_"),
        "whsec_" + base64.b64encode(b"canary" * 3).decode(),
        "whsec_" + base64.b64encode(b"c" * 65).decode(),
        "whsec_ünicode",
    ],
)
def test_secrets_that_cannot_sign(monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    monkeypatch.setitem(SECRETS, "env:BAD", bad)
    with receiver(answering(OK)) as found:
        with pytest.raises(ConfigurationError, match="Secret 2 for webhooks is not whsec_") as caught:
            deliver(found.url, secrets=["env:OLD", "env:BAD"])
        with pytest.raises(ConfigurationError, match="nothing behind"):
            deliver(found.url, secrets=["env:NOWHERE"])
    assert found.connections == 0
    assert "canary" not in str(caught.value) + caught.value.hint


def test_a_secret_of_a_file_may_end_with_a_line(monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer) -> None:
    monkeypatch.setitem(SECRETS, "file:/s", f"{NEW}\n")
    httpserver.expect_request("/").respond_with_data()
    assert deliver(httpserver.url_for("/"), secrets=["file:/s"], allow=["localhost"]).delivered
    verified(requests_of(httpserver)[0], NEW)


def test_nothing_secret_is_written_into_logs(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SECRETS, "env:URL", "")
    caplog.set_level(logging.DEBUG)
    for handler in (answering(OK), reset, silence, answering(b"x\r\n\r\n")):
        with receiver(handler) as found:
            monkeypatch.setitem(SECRETS, "env:URL", found.url)
            given = {"url": "env:URL", "headers": {"Authorization": "env:TOKEN"}}
            deliver("ops", endpoints={"ops": given}, timeout=0.2)
    assert len(caplog.records) > 10
    assert not any("canary" in record.getMessage() or "whsec" in record.getMessage() for record in caplog.records)


# --- endpoints


def test_an_endpoint_has_a_url_secrets_and_headers_of_its_own(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data()
    endpoints = {
        "ops": {"url": "env:URL", "secrets": ["env:NEW"], "headers": {"Authorization": "env:TOKEN"}},
        "dev": {"url": httpserver.url_for("/")},
    }
    SECRETS["env:URL"] = f"{httpserver.url_for('/')}\n"
    for name in endpoints:
        staging(name, endpoints=endpoints, allow=["localhost"])
        receipt = deliver(name, endpoints=endpoints, allow=["localhost"])
        assert receipt.recipient == name
        assert receipt.place == f"http://localhost:{httpserver.port}/… answered 200"
    first, second = requests_of(httpserver)
    verified(first, NEW)
    verified(second, OLD)
    assert first.headers["Authorization"] == "Bearer canary-token"
    assert "Authorization" not in second.headers


def test_recipients_of_urls_are_told_apart_without_showing_them() -> None:
    sink = tailrace_sink()
    assert isinstance(sink, Addressed)
    assert isinstance(sink, Messenger)
    names = [
        sink.recipients(StagingCall(url, options(), {}, settings=settings(sink)))[0]
        for url in ("https://Example.com/canary-1", "https://example.com/canary-2", "https://[2001:DB8::1]:444/canary")
    ]
    assert names == [
        "https://example.com/… #b8eaedae",
        "https://example.com/… #f707afbc",
        "https://[2001:db8::1]:444/… #cd54c940",
    ]
    assert sink.addressee("https://Example.com/canary-1", None) == names[0]


@pytest.mark.parametrize("target", [None, ""])
def test_a_webhook_without_a_receiver(target: str | None) -> None:
    with pytest.raises(RequestError, match="needs a receiver") as caught:
        staging(target)
    assert "--to webhook:" in caught.value.hint


def test_an_unknown_endpoint() -> None:
    with pytest.raises(UnknownNameError) as caught:
        staging("opps", endpoints={"ops": {"url": "env:URL"}})
    assert "Did you mean 'ops'?" in caught.value.hint


@pytest.mark.parametrize("value", ["", "two\r\nlines: canary", "canary\0", "canary ü"])
def test_header_values_that_are_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setitem(SECRETS, "env:TOKEN", value)
    endpoint = {"url": "https://example.com/", "headers": {"X-Key": "env:TOKEN"}}
    with pytest.raises(ConfigurationError, match="header X-Key of a webhook cannot be a header") as caught:
        deliver("ops", endpoints={"ops": endpoint})
    assert "canary" not in str(caught.value)


def test_a_url_behind_a_reference_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SECRETS, "env:URL", "ftp://canary")
    with pytest.raises(ConfigurationError, match="Endpoint ops: The URL of the webhook is not") as caught:
        deliver("ops", endpoints={"ops": {"url": "env:URL"}})
    assert "canary" not in str(caught.value)


# --- settings and targets


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"secrets": [OLD]}, "secrets are references"),
        ({"secrets": ["canary"]}, "secrets are references"),
        ({"allow": ["canary!"]}, "allow names networks"),
        ({"allow": ["10.0.0.1/8"]}, "allow names networks"),
        ({"allow": ["10.0.0"]}, "allow names networks"),
        ({"timeout": 0}, "timeout is at least 0.01"),
        ({"total_timeout": -1}, "total_timeout is at least 0.01"),
        ({"limit": -1}, "limit is at least 0"),
        ({"longest_answer": -1}, "longest_answer is at least 0"),
        ({"canary_key": 1}, "unknown key"),
        ({"endpoints": {"ops": {}}}, "required key is missing"),
        ({"endpoints": {"ops": {"url": "ftp://canary"}}}, "is not http:// or https://"),
        ({"endpoints": {"ops": {"url": "https://u:canary@x"}}}, "holds a user or password"),
        ({"endpoints": {"ops": {"url": "env:U", "secrets": ["canary"]}}}, "secrets are references"),
        ({"endpoints": {"ops": {"url": "env:U", "headers": {"X-Key": "canary"}}}}, "headers are references"),
        ({"endpoints": {"ops": {"url": "env:U", "headers": {"Webhook-Id": "env:X"}}}}, "Tailrace's own"),
        ({"endpoints": {"ops": {"url": "env:U", "headers": {"not a name": "env:X"}}}}, "not one of a header"),
    ],
)
def test_settings_that_cannot_be_used(given: Mapping[str, Any], said: str) -> None:
    with pytest.raises(StructureError) as caught:
        settings(tailrace_sink(), **given)
    assert said in str(caught.value)
    assert "canary" not in str(caught.value).replace("canary_key", "")
    assert OLD not in str(caught.value)


def test_settings_have_defaults_and_show_no_secrets() -> None:
    sink: Any = tailrace_sink()
    assert sink.settings_type().allow == ()
    shown = settings(sink, secrets=["env:CANARY"], endpoints={"ops": {"url": "https://x.example/CANARY"}})
    assert "CANARY" not in repr(shown)
    with pytest.raises(ConfigurationError):
        sink.check_target(StagingCall("https://example.com/", options(), {}))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("example.com/canary", "is not http:// or https://"),
        ("env:CANARY_URL", "is not http:// or https://"),
        ("ftp://example.com/canary", "is not http:// or https://"),
        ("https:/example.com/canary", "is not http:// or https://"),
        ("https://example.com/canary#part", "without a fragment"),
        ("https:///canary", "neither a name nor an address"),
        ("https://example.com:0/canary", "port that does not exist"),
        ("https://example.com:65536/canary", "port that does not exist"),
        ("https://example.com:1234567/canary", "neither a name nor an address"),
        ("https://example..com/canary", "neither a name nor an address"),
        ("https://-x.com/canary", "neither a name nor an address"),
        (f"https://{'x.' * 127}com/canary", "neither a name nor an address"),
        ("https://[2001:db8::g]/canary", "neither a name nor an address"),
        ("https://[1:2]/canary", "looks like an address"),
        ("https://8.8.8/canary", "looks like an address"),
        ("https://8.8.8.08/canary", "looks like an address"),
        ("https://example.com/canary path", "backslash, or something that is no visible ASCII"),
        ("https://exämple.com/canary", "backslash, or something that is no visible ASCII"),
        ("http://example.com/canary", None),
        ("http://8.8.8.8/canary", "would be reached without TLS"),
    ],
)
def test_targets_that_cannot_be_used(target: str, said: str | None) -> None:
    if said is None:
        staging(target)
        said = "would be reached without TLS"
        with pytest.raises(RequestError, match=said):
            staging(target, allow=[])
        with pytest.raises(RequestError, match=said):
            staging(target, allow=["www.example.com"])
        staging(target, allow=["EXAMPLE.com."])
        return
    with pytest.raises(RequestError) as caught:
        staging(target)
    assert said in caught.value.message
    assert caught.value.hint
    assert "canary" not in (caught.value.message + caught.value.hint).lower()


def test_a_query_without_a_path(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/").respond_with_data()
    url = f"HTTP://LOCALHOST.:{httpserver.port}?key=1"
    assert deliver(url, allow=["localhost"]).delivered
    (request,) = requests_of(httpserver)
    assert request.query_string == b"key=1"
    assert request.headers["host"] == f"localhost:{httpserver.port}"


# --- sizes


@pytest.mark.parametrize(
    ("size", "send", "fits", "said"),
    [
        (10**12, "notice", True, "however large"),
        (1000, "put", True, "It has 1.00 kB, and a webhook takes 1.00 kB."),
        (1001, "put", False, "It has 1.00 kB, and a webhook takes 1.00 kB: "),
        (1001, "multipart", False, "send=notice fits"),
    ],
)
def test_whether_a_file_fits(size: int, send: str, fits: bool, said: str) -> None:  # noqa: FBT001 - of a table
    sink = tailrace_sink()
    assert isinstance(sink, SizeJudge)
    fit = sink.fits(FitCall(size, "x.csv", None, options(send=send), settings(sink, limit=1000)))
    assert isinstance(fit, Fit)
    assert (fit.channel, fit.fits) == ("webhook", fits)
    assert said in fit.text


def test_errors_are_tailraces_own() -> None:
    for target in ("https://", "x y", "https://a\\b"):
        with pytest.raises(TailraceError):
            deliver(target)
