"""The sink ``webhook`` sends files: by PUT, as a form, in blocks, and from where it was cut off."""

import base64
import contextlib
import hashlib
import json
import re
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook
from tailrace_sink_webhook import tailrace_sink
from tailrace_sink_webhook.sink import WebhookSink
from werkzeug import Request, Response

from tailrace import (
    Addressed,
    CancelledError,
    Context,
    CredentialMode,
    DeliverCall,
    Manifest,
    Parcel,
    Receipt,
)
from tailrace.model.convert import structure
from tailrace.model.manifest import CompressionRecord, FileRecord, PluginRecord, SourceRecord
from tailrace.model.options import build_options

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
CONTENT = bytes(range(256)) * 4000
DIGEST = f"sha-256=:{base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()}:"
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
    time_range=None,
    time_zone="UTC",
    credentials=CredentialMode.SANITIZED,
    tables=(),
    file=FileRecord(
        "pool.csv", "text/csv", len(CONTENT), "0" * 64, len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), None
    ),
)
OK = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def parcel(tmp_path: Path) -> Parcel:
    (tmp_path / "staged").write_bytes(CONTENT)
    return Parcel(tmp_path / "staged", MANIFEST, {})


def named(parcel: Parcel, **given: Any) -> Parcel:
    """The same file with other words about it."""
    file = attrs.evolve(MANIFEST.file, **given)
    return attrs.evolve(parcel, manifest=attrs.evolve(MANIFEST, file=file))


def deliver(
    url: str, parcel: Parcel, send: str, *, resume: bool = False, context: Context | None = None, **given: Any
) -> Receipt:
    sink = WebhookSink()
    given = {"secrets": ["env:S"], "allow": ["127.0.0.0/8", "localhost"], **given}
    call = DeliverCall(
        parcel,
        url,
        build_options(sink.options_type, {"send": send, "resume": resume}, owner="sink webhook"),
        context or Context(),
        settings=structure(given, sink.settings_type),
        secret=lambda _reference: SECRET,
        delivery="7",
    )
    return sink.deliver(call)


@attrs.define
class Store:
    """A receiver that keeps what came, even when the connection is cut, and can say how much it has."""

    url: str = ""
    limit: int | None = None
    kept: bytearray = attrs.field(factory=bytearray)
    heads: list[str] = attrs.field(factory=list)
    status: bytes | None = None
    final: bytes = OK

    def serve(self, connection: socket.socket) -> None:
        """Handles all requests of one connection."""
        while True:
            data = b""
            while b"\r\n\r\n" not in data:
                block = connection.recv(65536)
                if not block:
                    return
                data += block
            head, _, body = data.partition(b"\r\n\r\n")
            self.heads.append(head.decode())
            if b"bytes */" in head:
                connection.sendall(self.status or self._status())
                continue
            self._take(connection, head, body)

    def _status(self) -> bytes:
        there = f"Range: bytes=0-{len(self.kept) - 1}\r\n" if self.kept else ""
        whole = len(self.kept) == len(CONTENT)
        return f"HTTP/1.1 {'200 OK' if whole else '308 Incomplete'}\r\n{there}Content-Length: 0\r\n\r\n".encode()

    def _take(self, connection: socket.socket, head: bytes, body: bytes) -> None:
        length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]  # each request has one
        found = re.search(rb"(?i)content-range: bytes (\d+)-", head)
        del self.kept[int(found[1]) if found else 0 :]
        done = 0
        while True:
            self.kept += body
            done += len(body)
            if self.limit is not None and done >= self.limit:
                connection.close()
                raise ConnectionAbortedError
            if done == length:
                break
            body = connection.recv(65536)
        connection.sendall(self.final)


@contextlib.contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = listener.accept()
                taken.append(connection)
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    def one(connection: socket.socket) -> None:
        # What the sink does to the connection is looked at by the sink's side of the tests.
        with contextlib.suppress(OSError), connection:
            serve(connection)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/canary"
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in taken:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


@pytest.fixture
def store() -> Iterator[Store]:
    found = Store()
    with serving(found.serve) as url:
        found.url = url
        yield found


def fields(head: str) -> dict[str, str]:
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])}


# --- PUT


def test_put_sends_the_bytes_and_a_signed_notice_that_names_their_digest(
    httpserver: HTTPServer, parcel: Parcel
) -> None:
    httpserver.expect_request("/", method="PUT").respond_with_data(status=201)
    receipt = deliver(httpserver.url_for("/"), parcel, "put")
    assert receipt.place == f"http://localhost:{httpserver.port}/… answered 201"
    ((request, _response),) = httpserver.log
    assert request.data == CONTENT
    assert request.content_type == "text/csv"
    assert request.content_length == len(CONTENT)
    assert request.headers["Content-Digest"] == request.headers["Repr-Digest"] == DIGEST
    notice = Webhook(SECRET).verify(request.headers["Tailrace-Notice"], dict(request.headers))
    assert notice["data"]["file"]["sha256"] == hashlib.sha256(request.data).hexdigest()
    assert request.headers["webhook-id"] == "msg_7"


@pytest.mark.parametrize(
    ("method", "media_type"),
    [
        (None, "text/csv"),
        ("gzip", "application/gzip"),
        ("zstd", "application/zstd"),
        ("odd", "application/octet-stream"),
    ],
)
def test_packed_files_are_not_offered_for_unpacking(
    httpserver: HTTPServer, parcel: Parcel, method: str | None, media_type: str
) -> None:
    httpserver.expect_request("/").respond_with_data()
    compression = CompressionRecord(method, 6) if method else None
    assert deliver(httpserver.url_for("/"), named(parcel, compression=compression), "put").delivered
    ((request, _response),) = httpserver.log
    assert request.content_type == media_type
    assert "Content-Encoding" not in request.headers


@pytest.mark.parametrize("send", ["put", "multipart"])
def test_an_empty_file(httpserver: HTTPServer, parcel: Parcel, send: str) -> None:
    parcel.path.write_bytes(b"")
    httpserver.expect_request("/").respond_with_data()
    empty = named(parcel, size=0, sha256=hashlib.sha256(b"").hexdigest())
    assert deliver(httpserver.url_for("/"), empty, send, resume=True).delivered


def test_the_longest_notice_fits_into_a_header(httpserver: HTTPServer, parcel: Parcel) -> None:
    httpserver.expect_request("/").respond_with_data()
    parcel = attrs.evolve(parcel, manifest=attrs.evolve(MANIFEST, user="\r\nX: é" * 1000))
    assert deliver(httpserver.url_for("/"), parcel, "put").delivered
    ((request, _response),) = httpserver.log
    assert len(request.headers["Tailrace-Notice"]) <= 4096
    assert json.loads(request.headers["Tailrace-Notice"])["data"]["user"].startswith("\r\nX: é")
    assert "X" not in request.headers


# --- forms


def test_a_form_has_the_signed_notice_and_the_file(httpserver: HTTPServer, parcel: Parcel) -> None:
    seen: dict[str, Any] = {}

    def handle(request: Request) -> Response:
        raw = request.get_data(parse_form_data=False, cache=True)
        seen["raw"], seen["length"] = raw, request.content_length
        seen["notice"], file = request.form["notice"], request.files["file"]
        seen["file"], seen["name"], seen["type"] = file.read(), file.filename, file.content_type
        seen["digest"] = file.headers["Content-Digest"]
        return Response(status=200)

    httpserver.expect_request("/", method="POST").respond_with_handler(handle)
    assert deliver(httpserver.url_for("/"), named(parcel, name='a "b" é.csv'), "multipart").delivered
    ((request, _response),) = httpserver.log
    assert seen["file"] == CONTENT
    assert seen["length"] == len(seen["raw"])
    assert (seen["name"], seen["type"], seen["digest"]) == ('a "b" é.csv', "text/csv", DIGEST)
    notice = Webhook(SECRET).verify(seen["notice"], dict(request.headers))
    assert notice["data"]["file"]["sha256"] == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("name", ['x"; filename="y', "x\r\nX-Injected: 1\r\n\r\n", "half \udcff"])
def test_names_cannot_break_a_form(httpserver: HTTPServer, parcel: Parcel, name: str) -> None:
    names: list[Any] = []

    def handle(request: Request) -> Response:
        names.append((request.files["file"].filename, request.files["file"].headers.get("X-Injected")))
        return Response(status=200)

    httpserver.expect_request("/").respond_with_handler(handle)
    assert deliver(httpserver.url_for("/"), named(parcel, name=name), "multipart").delivered
    # The receiver's library gives quotes back as they were.
    clean = name.replace("\r", "%0D").replace("\n", "%0A").replace("\udcff", "?")
    assert names == [(clean, None)]


def test_a_form_is_the_same_at_every_try(parcel: Parcel, store: Store) -> None:
    assert deliver(store.url, parcel, "multipart").delivered
    first = bytes(store.kept)
    assert deliver(store.url, parcel, "multipart").delivered
    assert bytes(store.kept) == first
    assert first.count(CONTENT) == 1


# --- streaming


@pytest.mark.parametrize("send", ["put", "multipart"])
def test_a_large_file_is_never_in_memory(tmp_path: Path, parcel: Parcel, send: str) -> None:
    size = 30_000_000
    with (tmp_path / "staged").open("wb") as file:
        file.truncate(size)
    received = 0

    def serve(connection: socket.socket) -> None:
        nonlocal received
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096)
        length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]  # each request has one
        received = len(head.partition(b"\r\n\r\n")[2])
        block = bytearray(65536)
        while received < length:
            received += connection.recv_into(block)
        connection.sendall(OK)

    with serving(serve) as url:
        deliver(url, named(parcel, size=10**9), send, limit=10)
        tracemalloc.start()
        try:
            receipt = deliver(url, named(parcel, size=size), send)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert receipt.delivered
    assert received >= size
    assert peak < 5_000_000


@pytest.mark.flaky(reruns=1)  # a bound in time: what is slow by itself is slow twice
def test_cancelling_in_the_middle(parcel: Parcel, tmp_path: Path) -> None:
    size = 50_000_000
    with (tmp_path / "staged").open("wb") as file:
        file.truncate(size)

    def serve(connection: socket.socket) -> None:
        connection.recv(1000)
        over.wait(2)

    over, context = threading.Event(), Context()
    timer = threading.Timer(0.1, context.cancel)
    timer.start()
    began = time.monotonic()
    with serving(serve) as url, pytest.raises(CancelledError):
        deliver(url, named(parcel, size=size), "put", context=context)
    assert time.monotonic() - began < 1.1
    over.set()
    timer.join()


def test_a_receiver_that_stops_reading(parcel: Parcel, tmp_path: Path) -> None:
    size = 50_000_000
    with (tmp_path / "staged").open("wb") as file:
        file.truncate(size)
    over = threading.Event()

    def serve(_connection: socket.socket) -> None:
        over.wait(2)

    with serving(serve) as url:
        receipt = deliver(url, named(parcel, size=size), "put", timeout=0.3)
        over.set()
    assert receipt.transient
    assert receipt.error == "The receiver was silent for 0.3 seconds."


def test_an_answer_before_the_end_counts(parcel: Parcel, tmp_path: Path) -> None:
    size = 20_000_000
    with (tmp_path / "staged").open("wb") as file:
        file.truncate(size)

    def serve(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    with serving(serve) as url:
        receipt = deliver(url, named(parcel, size=size), "put")
    assert not receipt.transient
    assert receipt.error.endswith("/… answered 413. The file is too large for it.")


@pytest.mark.parametrize("send", ["put", "multipart"])
def test_files_that_cannot_be_sent(parcel: Parcel, store: Store, send: str) -> None:
    too_large = deliver(store.url, parcel, send, limit=len(CONTENT) - 1)
    assert too_large.error.startswith("The file has 1,024,000 bytes, and webhooks take 1,023,999.")
    changed = deliver(store.url, named(parcel, size=len(CONTENT) + 1), send)
    assert changed.error.startswith("The file has 1,024,000 bytes, its manifest says 1,024,001.")
    missing = deliver(store.url, attrs.evolve(parcel, path=parcel.path / "x"), send)
    assert missing.error.startswith("The file cannot be read: not a directory.")
    folder = parcel.path.parent / "folder"
    folder.mkdir()
    unreadable = deliver(store.url, attrs.evolve(named(parcel, size=folder.stat().st_size), path=folder), send)
    assert unreadable.error.startswith("The file cannot be read: is a directory.")
    for receipt in (too_large, changed, missing, unreadable):
        assert not receipt.delivered
        assert not receipt.transient
    assert bytes(store.kept).count(CONTENT[:1000]) == 0


@pytest.mark.parametrize("send", ["put", "multipart"])
@pytest.mark.parametrize("content", [CONTENT[:10], CONTENT + b"x", CONTENT * 2])
def test_a_file_that_changes_meanwhile(parcel: Parcel, store: Store, send: str, content: bytes) -> None:
    path = parcel.path

    class Changing(type(path)):  # type: ignore[misc]  # the class of paths is not known before
        def open(self, *given: Any, **named: Any) -> Any:
            path.write_bytes(content)
            return super().open(*given, **named)

    receipt = deliver(store.url, attrs.evolve(parcel, path=Changing(path)), send)
    assert not receipt.delivered
    assert not receipt.transient
    assert receipt.error == "The file changed while it was sent. Export again."


# --- going on where it was cut off


def test_an_upload_goes_on_where_the_connection_was_cut(parcel: Parcel, store: Store) -> None:
    # Each time up to a block more than the limit is taken: three times that have to be less than the file.
    store.limit = 250_000
    for there in (250_000, 500_000, 750_000):
        receipt = deliver(store.url, parcel, "put", resume=True)
        assert receipt.transient
        assert len(store.kept) >= there
    store.limit = None
    cut = len(store.kept)
    assert deliver(store.url, parcel, "put", resume=True).delivered
    assert bytes(store.kept) == CONTENT
    ask, rest = fields(store.heads[-2]), fields(store.heads[-1])
    assert store.heads[-2].startswith("PUT /canary HTTP/1.1\r\n")
    assert (ask["content-range"], ask["content-length"]) == (f"bytes */{len(CONTENT)}", "0")
    assert rest["content-range"] == f"bytes {cut}-{len(CONTENT) - 1}/{len(CONTENT)}"
    assert rest["content-length"] == str(len(CONTENT) - cut)
    assert rest["repr-digest"] == ask["repr-digest"] == DIGEST
    assert "content-digest" not in rest
    for request in (ask, rest):
        assert request["webhook-id"] == "msg_7"
        Webhook(SECRET).verify(request["tailrace-notice"], request)


def test_an_upload_that_had_arrived_is_not_sent_again(parcel: Parcel, store: Store) -> None:
    store.final = b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n"
    assert deliver(store.url, parcel, "put", resume=True).transient
    assert bytes(store.kept) == CONTENT
    receipt = deliver(store.url, parcel, "put", resume=True)
    assert receipt.delivered
    assert len(store.heads) == 3


def test_whether_to_resume_can_be_set_for_an_endpoint(parcel: Parcel, store: Store) -> None:
    store.kept += CONTENT[:1000]
    assert deliver("ops", parcel, "put", endpoints={"ops": {"url": store.url, "resume": True}}).delivered
    assert fields(store.heads[-1])["content-range"].startswith("bytes 1000-")
    assert bytes(store.kept) == CONTENT


def test_without_being_told_nobody_is_asked(parcel: Parcel, store: Store) -> None:
    store.kept += CONTENT[:1000]
    assert deliver(store.url, parcel, "put").delivered
    assert len(store.heads) == 1
    assert bytes(store.kept) == CONTENT


@pytest.mark.parametrize(
    "status",
    [
        "200 OK",
        "204 No Content",
        "200 OK\r\nRange: bytes=0-5",
        "308 Incomplete",
        "308 Incomplete\r\nRange: bytes=5-10",
        "308 Incomplete\r\nRange: canary",
        "308 Incomplete\r\nRange: bytes=0-1023999",
        "308 Incomplete\r\nRange: bytes=0-99999999999999999999999",
        "400 Bad Request",
        "405 Method Not Allowed",
        "411 Length Required",
    ],
)
def test_whoever_does_not_say_how_much_is_there_gets_all_of_it(parcel: Parcel, store: Store, status: str) -> None:
    store.status = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
    if status.startswith("204"):
        store.status = b"HTTP/1.1 204 No Content\r\n\r\n"
    assert deliver(store.url, parcel, "put", resume=True).delivered
    assert len(store.heads) == 2
    assert "content-range" not in fields(store.heads[-1])
    assert bytes(store.kept) == CONTENT


@pytest.mark.parametrize(
    ("status", "transient", "unwanted", "said"),
    [
        ("503 Later\r\nRetry-After: 5", True, False, "answered 503"),
        ("410 Gone", False, True, "answered 410"),
        ("302 Found\r\nLocation: https://x.example/", False, False, "it leads to x.example"),
        ("308 Moved\r\nLocation: https://x.example/", False, False, "it leads to x.example"),
    ],
)
def test_an_answer_that_settles_it_already(
    parcel: Parcel,
    store: Store,
    status: str,
    transient: bool,  # noqa: FBT001 - one of a table
    unwanted: bool,  # noqa: FBT001 - one of a table
    said: str,
) -> None:
    store.status = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
    receipt = deliver(store.url, parcel, "put", resume=True)
    assert (receipt.delivered, receipt.transient, receipt.unwanted) == (False, transient, unwanted)
    assert said in receipt.error
    assert len(store.heads) == 1
    assert bytes(store.kept) == b""


def test_a_receiver_that_wants_more_in_the_end(parcel: Parcel, store: Store) -> None:
    store.final = b"HTTP/1.1 308 Incomplete\r\nRange: bytes=0-999\r\nContent-Length: 0\r\n\r\n"
    receipt = deliver(store.url, parcel, "put", resume=True)
    assert receipt.transient
    assert receipt.error.endswith("/… has 1,000 of 1,024,000 bytes so far.")
    # Without asking before, it is nothing but a strange redirection.
    assert not deliver(store.url, parcel, "put").transient


def test_it_delivers_to_each_in_the_same_way(parcel: Parcel, store: Store) -> None:
    sink = tailrace_sink()
    assert isinstance(sink, Addressed)
    chosen = structure({"secrets": ["env:S"], "allow": ["127.0.0.0/8"]}, WebhookSink.settings_type)
    options = build_options(WebhookSink.options_type, {"send": "put"}, owner="sink webhook")
    call = DeliverCall(
        parcel, store.url, options, Context(), settings=chosen, secret=lambda _reference: SECRET, recipients=("x",)
    )
    assert sink.deliver_each(call) == ()
    assert store.heads == []
