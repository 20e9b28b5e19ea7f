"""The sink ``email`` against real servers on this machine: TLS, login, every kind of answer, and what arrives."""

import asyncio
import base64
import email
import email.policy
import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import attrs
import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from tailrace_sink_email.mail import encoded_size
from tailrace_sink_email.settings import EmailSettings
from tailrace_sink_email.sink import EmailSink

from tailrace import (
    CancelledError,
    ConfigurationError,
    Context,
    CredentialMode,
    DeadlineError,
    DeliverCall,
    Manifest,
    Message,
    MessageCall,
    Parcel,
    PermanentError,
    Receipt,
    StagingCall,
    StorageError,
    TailraceError,
    TransientError,
)
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

NOW = datetime(2026, 11, 23, 10, 16, tzinfo=UTC)
SINK = EmailSink(now=lambda: NOW)
USER, PASSWORD = "exporter", "pässword with = and +"
CONTENT = b"number,url\n1,http://192.0.2.1:80\n" * 10
NAME = "pool_20261123T101500Z_alice.csv.gz"
FIELDS = {
    "source": "pool",
    "timestamp": "20261123T101500Z",
    "user": "alice",
    "format": "csv",
    "ext": "csv.gz",
    "year": "2026",
    "month": "11",
    "day": "23",
    "id": "0198c0de",
}
HEADERS = [
    "Auto-Submitted",
    "Content-Type",
    "Date",
    "From",
    "MIME-Version",
    "Message-ID",
    "Subject",
    "To",
    "X-Auto-Response-Suppress",
]


def manifest_of(content: bytes = CONTENT, name: str = NAME, **changes: Any) -> Manifest:
    digest = hashlib.sha256(content).hexdigest()
    manifest = Manifest(
        schema_version=2,
        tailrace_version="0.1.0",
        export_id="0198c0de",
        created=datetime(2026, 11, 23, 10, 15, tzinfo=UTC),
        user="alice",
        source=SourceRecord(
            PluginRecord("pool", "tailrace-source-pool", "0.1.0"), "proxywhirl:///pool.db", "proxywhirl-sqlite"
        ),
        format=PluginRecord("csv", "tailrace-format-csv", "0.1.0"),
        format_options={},
        parameters={"where": ["country = 'DE'", "latency < 500"], "columns": ["url"], "limit": None, "sort": []},
        time_range=RangeRecord("last_seen", None, datetime(2026, 11, 23, tzinfo=UTC)),
        time_zone="UTC",
        credentials=CredentialMode.SANITIZED,
        tables=(TableRecord("proxies", (), RowCounts(1234, 2, 1232, 1232)),),
        file=FileRecord(name, "text/csv", 1000, "0" * 64, len(content), digest, CompressionRecord("gzip", 6)),
        notes=("Two rows were left out.",),
    )
    return attrs.evolve(manifest, **changes)


# --- servers


def hang_up(server: SMTP) -> None:
    assert server.transport
    server.transport.close()


@attrs.define
class Inbox:
    """Takes mail as it is told to, and keeps it.

    Args:
        rcpt: Answers by address; "hang up" breaks the connection.
        data: Answers to mails, the first to the first.
    """

    rcpt: dict[str, str] = attrs.field(factory=dict)
    data: list[str] = attrs.field(factory=list)
    mail: str = ""
    mails: list[Envelope] = attrs.field(factory=list)
    logins: list[LoginPassword] = attrs.field(factory=list)
    encrypted: list[bool] = attrs.field(factory=list)
    logged_in: list[bool] = attrs.field(factory=list)
    greeting: str = ""

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, _envelope: Envelope, hostname: str, answers: list[str]
    ) -> list[str]:
        session.host_name = self.greeting = hostname
        return answers

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        assert server.transport
        self.encrypted.append(session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None)
        self.logged_in.append(bool(session.authenticated))
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.mail or "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = self.rcpt.get(address, "250 OK")
        if answer == "hang up":
            hang_up(server)
        elif answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        self.mails.append(envelope)
        answer = self.data.pop(0) if self.data else "250 OK"
        if answer == "hang up":
            hang_up(server)
        return answer

    def authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any) -> AuthResult:
        self.logins.append(data)
        right = data == LoginPassword(USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)

    def parsed(self, number: int = -1) -> EmailMessage:
        content = self.mails[number].original_content
        assert content is not None
        return parsed(content)


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop

    async def end() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        loop.stop()

    asyncio.run_coroutine_threadsafe(end(), loop)
    thread.join(10)
    loop.close()


@attrs.frozen
class Authority:
    """Who signs certificates here.

    Args:
        file: The certificate that clients trust.
        ca: The authority.
    """

    file: Path
    ca: trustme.CA

    def server(self, *names: str, **given: Any) -> ssl.SSLContext:
        return server_context(self.ca.issue_cert(*names, **given))


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    ca = trustme.CA()
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    ca.cert_pem.write_to_path(file)
    return Authority(file, ca)


@pytest.fixture(scope="module")
def good(authority: Authority) -> ssl.SSLContext:
    return authority.server("localhost")


@attrs.frozen
class Post:
    """A mail server that runs, and settings for it."""

    inbox: Inbox
    settings: dict[str, Any]


Start = Callable[..., Post]


@pytest.fixture
def start(loop: asyncio.AbstractEventLoop, authority: Authority, good: ssl.SSLContext) -> Iterator[Start]:
    """Starts mail servers; with login where a user is set."""
    servers = []

    def begin(
        inbox: Inbox | None = None,
        *,
        certificate: ssl.SSLContext | None = good,
        security: str = "starttls",
        settings: Mapping[str, Any] | None = None,
        **given: Any,
    ) -> Post:
        inbox = inbox or Inbox()

        def protocol() -> SMTP:
            return SMTP(
                inbox,
                hostname="mail.example.com",
                tls_context=certificate if security == "starttls" else None,
                authenticator=inbox.authenticate,
                auth_require_tls=security == "starttls",
                loop=loop,
                **{"enable_SMTPUTF8": True, "data_size_limit": 1_000_000, **given},
            )

        async def listen() -> asyncio.Server:
            return await loop.create_server(protocol, "127.0.0.1", 0, ssl=certificate if security == "tls" else None)

        server = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
        servers.append(server)
        port = server.sockets[0].getsockname()[1]
        return Post(inbox, settings_for(port, authority.file, security=security, **(settings or {})))

    yield begin
    for server in servers:
        loop.call_soon_threadsafe(server.close)


def settings_for(port: int, ca_file: Path | str, **given: Any) -> dict[str, Any]:
    return {
        "host": "localhost",
        "port": port,
        "sender": "Exports <exports@example.com>",
        "ca_file": str(ca_file),
        "timeout": 5.0,
        **given,
    }


class Wire:
    """One end of a connection, played by a test.

    Args:
        connection: The connection.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.heard = b""
        self._rest = b""

    def say(self, *lines: str) -> None:
        self.connection.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def line(self, end: bytes = b"\r\n") -> str:
        while end not in self._rest:
            block = self.connection.recv(65536)
            if not block:
                raise ConnectionError(self._rest)
            self.heard += block
            self._rest += block
        line, _end, self._rest = self._rest.partition(end)
        return line.decode()

    def exchange(self, *answers: str) -> list[str]:
        """Hear a command and answer, again and again; an answer may have several lines."""
        commands = []
        for answer in answers:
            commands.append(self.line())
            self.say(*answer.split("|"))
        return commands

    def start_tls(self, context: ssl.SSLContext) -> None:
        self.connection = context.wrap_socket(self.connection, server_side=True)


@attrs.define
class Played:
    """A server played by a test.

    Args:
        port: Where it listens.
        wires: The connections that came.
    """

    port: int
    wires: list[Wire] = attrs.field(factory=list)

    @property
    def heard(self) -> bytes:
        return b"".join(wire.heard for wire in self.wires)


@contextmanager
def played(*scripts: Callable[[Wire], None]) -> Iterator[Played]:
    """A server that follows one script for each connection; what breaks in one is what the test is about."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)
    server = Played(listener.getsockname()[1])

    def run() -> None:
        for script in scripts:
            with suppress(OSError):
                connection, _address = listener.accept()
                connection.settimeout(10)
                wire = Wire(connection)
                server.wires.append(wire)
                try:
                    script(wire)
                    # What is said when nobody listens any more counts, too.
                    while block := wire.connection.recv(65536):
                        wire.heard += block
                        if block.endswith(b"QUIT\r\n"):
                            wire.say("221 goodbye")
                finally:
                    wire.connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield server
    finally:
        # shutdown() wakes accept(), close() alone does not.
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(15)
    assert not thread.is_alive()


EHLO = "250-mail.example.com|250-AUTH PLAIN LOGIN|250 SIZE 1000000"


def secure(wire: Wire, context: ssl.SSLContext, features: str = EHLO) -> None:
    """Greet, and come to TLS."""
    wire.say("220 mail.example.com")
    wire.exchange("250-mail.example.com|250 STARTTLS", "220 go ahead")
    wire.start_tls(context)
    wire.exchange(features)


# --- deliveries


def secrets(reference: str) -> str:
    if reference != "env:MAIL":
        raise ConfigurationError(f"There is no secret {reference}.")
    return PASSWORD


def call_for(settings: Mapping[str, Any], path: Path, *addresses: str, **given: Any) -> DeliverCall:
    options = given.pop("options", {})
    manifest = given.pop("manifest", None) or manifest_of()
    fields = given.pop("fields", FIELDS)
    to = addresses or ("ann@example.com",)
    defaults: dict[str, Any] = {
        "target": ",".join(to),
        "context": Context(),
        "settings": build_options(SINK.settings_type, settings, owner="sink email"),
        "secret": secrets,
        "delivery": "delivery-1",
        "recipients": to,
    }
    return DeliverCall(
        Parcel(path, manifest, fields),
        options=build_options(SINK.options_type, options, owner="sink email"),
        **{**defaults, **given},
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "kept"
    path.write_bytes(CONTENT)
    return path


def deliver(post: Post, path: Path, *addresses: str, **given: Any) -> list[Receipt]:
    return list(SINK.deliver_each(call_for(post.settings, path, *addresses, **given)))


def refusal(settings: Mapping[str, Any], path: Path, **given: Any) -> TailraceError:
    with pytest.raises((TransientError, PermanentError)) as caught:
        SINK.deliver_each(call_for(settings, path, **given))
    assert caught.value.hint
    assert "\n" not in caught.value.message
    for spelling in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode()):
        assert spelling not in f"{caught.value.message}{caught.value.hint}{caught.value!r}{caught.value.__cause__!r}"
    return caught.value


def words(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert part is not None
    text = part.get_content()
    assert isinstance(text, str)
    return text.replace("\r\n", "\n")


def attachments(message: EmailMessage) -> list[EmailMessage]:
    found = list(message.iter_attachments()) if message.get_content_subtype() == "mixed" else []
    return [part for part in found if isinstance(part, EmailMessage)]


# --- what arrives


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_with_the_file_arrives_over_tls(start: Start, file: Path, security: str) -> None:
    post = start(security=security)
    (receipt,) = deliver(post, file)
    assert receipt == Receipt("email", delivered=True, place="ann@example.com", recipient="ann@example.com")
    assert post.inbox.encrypted == [True]
    (envelope,) = post.inbox.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == ("exports@example.com", ["ann@example.com"])
    message = post.inbox.parsed()
    assert sorted(message.keys()) == HEADERS
    assert message["From"] == "Exports <exports@example.com>"
    assert message["To"] == "ann@example.com"
    assert message["Subject"] == "Export of pool, 2026-11-23"
    assert message["Date"].datetime == NOW
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@example.com>")
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "application/gzip",
    ]
    (attachment,) = attachments(message)
    assert attachment.get_filename() == NAME
    assert attachment.get_content() == CONTENT
    assert [part.defects for part in message.walk()] == [[]] * 5


def test_both_texts_say_what_the_file_is(start: Start, file: Path) -> None:
    post = start()
    deliver(post, file, options={"message": "The proxies of <Monday>."})
    message = post.inbox.parsed()
    shown = _shown(words(message, "html"))
    for text in (words(message), shown):
        flat = " ".join(text.split())
        for fact in (
            "The proxies of <Monday>.",
            f"The file {NAME} is attached.",
            "pool: proxywhirl:///pool.db",
            "last_seen everything until 2026-11-23 00:00 UTC",
            "country = 'DE' and latency < 500",
            "1,232, 2 left out",
            "sanitized",
            "330 bytes",
            hashlib.sha256(CONTENT).hexdigest(),
            "2026-11-23 10:15 UTC",
            "alice",
            f"sha256sum {NAME}",
            "Two rows were left out.",
            "export 0198c0de",
        ):
            assert fact in flat, fact
    assert "<Monday>" not in words(message, "html")
    assert "download" not in words(message)


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attributes if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def _shown(document: str) -> str:
    reader = _Text()
    reader.feed(document)
    return " ".join(reader.texts)


def test_the_date_is_that_of_the_clock(start: Start, file: Path) -> None:
    post = start()
    EmailSink().deliver_each(call_for(post.settings, file))
    assert abs((post.inbox.parsed()["Date"].datetime - datetime.now(UTC)).total_seconds()) < 60


def test_several_get_one_mail_and_see_each_other(start: Start, file: Path) -> None:
    post = start(settings={"reply_to": "ops@example.com"})
    receipts = deliver(post, file, "ann@example.com", "bob@example.org")
    assert [(receipt.recipient, receipt.delivered) for receipt in receipts] == [
        ("ann@example.com", True),
        ("bob@example.org", True),
    ]
    (envelope,) = post.inbox.mails
    assert envelope.rcpt_tos == ["ann@example.com", "bob@example.org"]
    assert post.inbox.parsed()["To"] == "ann@example.com, bob@example.org"
    assert post.inbox.parsed()["Reply-To"] == "ops@example.com"


def test_a_hundred_addresses(start: Start, file: Path) -> None:
    addresses = [f"someone.with.a.long.name.{number}@a-subdomain.example.com" for number in range(100)]
    post = start()
    assert all(receipt.delivered for receipt in deliver(post, file, *addresses))
    assert [address.addr_spec for address in post.inbox.parsed()["To"].addresses] == addresses
    content = post.inbox.mails[0].original_content
    assert content is not None
    assert max(map(len, content.split(b"\r\n"))) <= 998


def test_deliver_serves_everybody_of_the_target(start: Start, file: Path) -> None:
    post = start()
    receipt = SINK.deliver(call_for(post.settings, file, "ann@example.com", "bob@example.com", recipients=()))
    assert receipt == Receipt("email", delivered=True, place="ann@example.com, bob@example.com")
    post.inbox.rcpt["bob@example.com"] = "450 busy"
    with pytest.raises(TransientError, match="450 busy"):
        SINK.deliver(call_for(post.settings, file, "ann@example.com", "bob@example.com"))
    post.inbox.rcpt["bob@example.com"] = "550 unknown"
    with pytest.raises(PermanentError, match="550 unknown"):
        SINK.deliver(call_for(post.settings, file, "ann@example.com", "bob@example.com"))


def test_a_message_is_carried(start: Start) -> None:
    post = start()
    message = Message(
        "failed",
        "The export of pool failed",
        "The disk is full.\n\nNothing was published.",
        {"job": "0198c0de", "source": "pool <1>"},
        "https://exports.example.com/jobs/0198c0de",
        NOW,
    )
    settings = build_options(EmailSettings, post.settings, owner="sink email")
    call = MessageCall(message, "Ann@EXAMPLE.com", "message-1", Context(), settings, secrets)
    assert SINK.send(call) == Receipt("email", delivered=True, place="Ann@example.com", recipient="Ann@example.com")
    arrived = post.inbox.parsed()
    assert sorted(arrived.keys()) == HEADERS
    assert arrived["Subject"] == "The export of pool failed"
    for fact in ("The disk is full.", "Nothing was published.", "0198c0de", "pool <1>", "2026-11-23 10:16 UTC"):
        assert fact in words(arrived)
        assert fact in _shown(words(arrived, "html"))
    assert "https://exports.example.com/jobs/0198c0de" in words(arrived)
    post.inbox.rcpt["Ann@example.com"] = "550 5.1.1 No such user"
    receipt = SINK.send(call)
    assert (receipt.delivered, receipt.transient) == (False, False)
    assert "550 5.1.1 No such user" in receipt.error


# --- TLS


def _expired(authority: Authority) -> ssl.SSLContext:
    return authority.server("localhost", not_before=datetime(2020, 1, 1), not_after=datetime(2021, 1, 1))  # noqa: DTZ001 - trustme takes naive ones


def _self_signed(_authority: Authority) -> ssl.SSLContext:
    return server_context(trustme.CA().issue_cert("localhost"))


BAD = [
    pytest.param(lambda authority: authority.server("mail.example.org"), "hostname mismatch", id="wrong-name"),
    pytest.param(_expired, "expired", id="expired"),
    pytest.param(_self_signed, "unable to get local issuer|self.signed", id="unknown-authority"),
]


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize(("certificate", "reason"), BAD)
def test_nothing_is_sent_to_a_server_that_cannot_prove_who_it_is(
    authority: Authority, file: Path, security: str, certificate: Callable[[Authority], ssl.SSLContext], reason: str
) -> None:
    context = certificate(authority)

    def script(wire: Wire) -> None:
        if security == "starttls":
            secure(wire, context)
        else:
            wire.start_tls(context)
            wire.say("220 mail.example.com")

    with played(script) as server:
        settings = settings_for(server.port, authority.file, security=security, user=USER, password="env:MAIL")
        error = refusal(settings, file)
    assert isinstance(error, PermanentError)
    assert "could not prove who it is, so nothing was sent to it" in error.message
    assert any(part in error.message.lower() for part in reason.replace(".", "-").split("|"))
    expected = b"ehlo [127.0.0.1]\r\nSTARTTLS\r\n" if security == "starttls" else b""
    assert server.heard == expected


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize(("certificate", "reason"), BAD)
def test_a_listed_server_need_not_prove_who_it_is(
    start: Start,
    authority: Authority,
    file: Path,
    security: str,
    certificate: Callable[[Authority], ssl.SSLContext],
    reason: str,
) -> None:
    login = {"user": USER, "password": "env:MAIL", "unverified": ["LocalHost"]}
    post = start(certificate=certificate(authority), security=security, settings=login)
    assert deliver(post, file)[0].delivered, reason
    assert (post.inbox.encrypted, post.inbox.logged_in) == ([True], [True])


def test_starttls_that_was_taken_away_ends_it_before_login_and_mail(authority: Authority, file: Path) -> None:
    def script(wire: Wire) -> None:
        wire.say("220 mail.example.com")
        wire.exchange(EHLO)

    with played(script) as server:
        error = refusal(settings_for(server.port, authority.file, user=USER, password="env:MAIL"), file)
    assert isinstance(error, PermanentError)
    assert error.message == "localhost does not offer STARTTLS, so nothing was sent to it."
    assert server.heard == b"ehlo [127.0.0.1]\r\n"


@pytest.mark.parametrize(("answer", "kind"), [("454 not now", TransientError), ("502 unknown", PermanentError)])
def test_starttls_that_is_refused(authority: Authority, file: Path, answer: str, kind: type[Exception]) -> None:
    def script(wire: Wire) -> None:
        wire.say("220 mail.example.com")
        wire.exchange("250-mail.example.com|250 STARTTLS", answer)

    with played(script) as server:
        error = refusal(settings_for(server.port, authority.file), file)
    assert type(error) is kind
    assert answer in error.message
    assert server.heard == b"ehlo [127.0.0.1]\r\nSTARTTLS\r\n"


def test_what_is_slipped_in_before_tls_ends_it(authority: Authority, good: ssl.SSLContext, file: Path) -> None:
    def script(wire: Wire) -> None:
        wire.say("220 mail.example.com")
        wire.exchange("250-mail.example.com|250 STARTTLS", "220 go ahead|250-evil|250 AUTH PLAIN")
        wire.start_tls(good)

    with played(script) as server:
        error = refusal(settings_for(server.port, authority.file, user=USER, password="env:MAIL"), file)
    assert isinstance(error, PermanentError)
    assert "said more than its answer before TLS began" in error.message
    assert server.heard == b"ehlo [127.0.0.1]\r\nSTARTTLS\r\n"


def test_what_was_said_before_tls_does_not_count(authority: Authority, good: ssl.SSLContext, file: Path) -> None:
    def script(wire: Wire) -> None:
        wire.say("220 mail.example.com")
        wire.exchange("250-mail.example.com|250-AUTH PLAIN|250-SIZE 10|250 STARTTLS", "220 go ahead")
        wire.start_tls(good)
        wire.exchange("250 mail.example.com")

    with played(script) as server:
        error = refusal(settings_for(server.port, authority.file, user=USER, password="env:MAIL"), file)
    assert "offers no way to log in" in error.message
    assert b"AUTH" not in server.heard


def test_without_tls_only_to_a_listed_server(start: Start, file: Path) -> None:
    post = start(certificate=None, settings={"unverified": "localhost"})
    assert deliver(post, file)[0].delivered
    assert post.inbox.encrypted == [False]
    error = refusal(post.settings | {"unverified": "mail.example.com"}, file)
    assert "does not offer STARTTLS" in error.message
    assert len(post.inbox.mails) == 1


def test_old_tls_is_refused(authority: Authority, file: Path) -> None:
    context = authority.server("localhost")
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with played(lambda wire: secure(wire, context)) as server:
        error = refusal(settings_for(server.port, authority.file), file)
    assert isinstance(error, PermanentError)
    assert "There is no TLS with localhost" in error.message


def test_a_server_without_tls_where_it_should_begin_at_once(authority: Authority, file: Path) -> None:
    with played(lambda wire: wire.say("220 mail.example.com")) as server:
        error = refusal(settings_for(server.port, authority.file, security="tls"), file)
    assert isinstance(error, PermanentError)
    assert "587" in error.hint


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_connection_that_ends_while_tls_begins(authority: Authority, file: Path, security: str) -> None:
    def script(wire: Wire) -> None:
        if security == "starttls":
            wire.say("220 mail.example.com")
            wire.exchange("250-mail.example.com|250 STARTTLS", "220 go ahead")
        wire.connection.recv(10)
        wire.connection.shutdown(socket.SHUT_RDWR)

    with played(script) as server:
        error = refusal(settings_for(server.port, authority.file, security=security), file)
    assert isinstance(error, TransientError)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_certificates_to_trust_that_are_none(file: Path, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"sinks\.email\.ca_file"):
        SINK.deliver_each(call_for(settings_for(1, path), file))


def test_without_ca_file_the_system_decides(start: Start, file: Path) -> None:
    post = start()
    error = refusal(post.settings | {"ca_file": ""}, file)
    assert "could not prove who it is" in error.message
    assert post.inbox.mails == []


# --- login


@pytest.mark.parametrize("without", ["LOGIN", "PLAIN"])
def test_login_inside_tls(start: Start, file: Path, without: str) -> None:
    post = start(settings={"user": USER, "password": "env:MAIL"}, auth_exclude_mechanism=[without], auth_required=True)
    assert deliver(post, file)[0].delivered
    assert post.inbox.logins == [LoginPassword(USER.encode(), PASSWORD.encode())]
    assert (post.inbox.encrypted, post.inbox.logged_in) == ([True], [True])


@pytest.mark.parametrize("without", ["LOGIN", "PLAIN"])
def test_a_login_that_is_refused_is_permanent(start: Start, file: Path, without: str) -> None:
    post = start(settings={"user": "somebody", "password": "env:MAIL"}, auth_exclude_mechanism=[without])
    error = refusal(post.settings, file)
    assert isinstance(error, PermanentError)
    assert error.message == "localhost did not accept user name and password: 535 5.7.8."
    assert post.inbox.encrypted == []


@pytest.mark.parametrize(
    ("answer", "kind", "shown"),
    [
        ("454 4.7.0 Temporary failure", TransientError, "454 4.7.0"),
        ("421 4.3.2 Closing", TransientError, "421 4.3.2"),
        ("535 5.7.8 {password} {encoded} {plain}", PermanentError, "535 5.7.8"),
        ("535 {password}", PermanentError, "535"),
        ("534-5.7.9 one|534 5.7.9 two", PermanentError, "534 5.7.9"),
        ("334 ", PermanentError, "334"),
        ("what?", TransientError, "no answer of a mail server"),
    ],
)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_answers_to_a_login(
    authority: Authority,
    good: ssl.SSLContext,
    file: Path,
    mechanism: str,
    answer: str,
    kind: type[Exception],
    shown: str,
) -> None:
    encoded = base64.b64encode(PASSWORD.encode()).decode()
    plain = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
    answer = answer.format(password=PASSWORD, encoded=encoded, plain=plain)

    def script(wire: Wire) -> None:
        secure(wire, good, f"250-mail.example.com|250 AUTH {mechanism}")
        wire.exchange(*(["334 VXNlcg==", "334 UGFzcw=="] if mechanism == "LOGIN" else []), answer)

    with played(script) as server:
        error = refusal(settings_for(server.port, authority.file, user=USER, password="env:MAIL"), file)
    assert type(error) is kind
    assert error.message.endswith(f": {shown}.")
    assert plain not in error.message


def test_a_password_that_is_repeated_later_is_not_shown(authority: Authority, good: ssl.SSLContext, file: Path) -> None:
    encoded = base64.b64encode(PASSWORD.encode()).decode()
    plain = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()

    def script(wire: Wire) -> None:
        secure(wire, good)
        wire.exchange("235 yes", f"550 nothing from {PASSWORD} or {encoded} or {plain}")

    with played(script) as server:
        error = refusal(settings_for(server.port, authority.file, user=USER, password="env:MAIL"), file)
    assert error.message.endswith("550 nothing from *** or *** or ***.")


def test_no_secret_and_no_connection_without_it(authority: Authority, file: Path) -> None:
    with played() as server:
        call = call_for(settings_for(server.port, authority.file, user=USER, password="env:OTHER"), file)
        with pytest.raises(ConfigurationError, match="There is no secret env:OTHER"):
            SINK.deliver_each(call)
    assert server.wires == []


@pytest.mark.parametrize("bad", ["\0", "\udcff"])
def test_a_password_that_cannot_be_said(authority: Authority, file: Path, bad: str) -> None:
    settings = settings_for(1, authority.file, user=USER, password="env:MAIL")
    with pytest.raises(ConfigurationError, match="no login can say") as caught:
        SINK.deliver_each(call_for(settings, file, secret=lambda _reference: f"a{bad}secret"))
    assert "secret" not in f"{caught.value.message}{caught.value.__cause__}{caught.value.__context__}"


# --- answers


def test_each_recipient_has_an_outcome_of_its_own(start: Start, file: Path) -> None:
    post = start(Inbox(rcpt={"busy@example.com": "450 4.2.0 Mailbox busy", "gone@example.com": "550 5.1.1 Gone"}))
    everybody = ("ann@example.com", "busy@example.com", "gone@example.com", "bob@example.com")
    receipts = deliver(post, file, *everybody)
    assert [(receipt.recipient, receipt.delivered, receipt.transient) for receipt in receipts] == [
        ("ann@example.com", True, False),
        ("busy@example.com", False, True),
        ("gone@example.com", False, False),
        ("bob@example.com", True, False),
    ]
    assert receipts[1].error == "localhost refused busy@example.com: 450 4.2.0 Mailbox busy."
    assert receipts[2].error == "localhost refused gone@example.com: 550 5.1.1 Gone."
    assert receipts[1].place == ""
    assert post.inbox.mails[0].rcpt_tos == ["ann@example.com", "bob@example.com"]

    # Only the one that was busy is tried again, with the same mail.
    post.inbox.rcpt.clear()
    call = call_for(post.settings, file, *everybody, recipients=("busy@example.com",))
    later = EmailSink(now=lambda: datetime(2026, 11, 24, tzinfo=UTC))
    assert [receipt.delivered for receipt in later.deliver_each(call)] == [True]
    assert post.inbox.mails[1].rcpt_tos == ["busy@example.com"]
    first, second = post.inbox.parsed(0), post.inbox.parsed(1)
    assert {name for name in HEADERS if first[name] != second[name]} == {"Date"}


def test_all_refused_sends_nothing(start: Start, file: Path) -> None:
    post = start(Inbox(rcpt={"ann@example.com": "550 no", "bob@example.com": "451 later"}))
    receipts = deliver(post, file, "ann@example.com", "bob@example.com")
    assert [(receipt.delivered, receipt.transient) for receipt in receipts] == [(False, False), (False, True)]
    assert post.inbox.mails == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("451 later", TransientError), ("421 closing", TransientError), ("550 never", PermanentError)],
)
def test_a_sender_that_is_refused(start: Start, file: Path, answer: str, kind: type[Exception]) -> None:
    post = start(Inbox(mail=answer))
    error = refusal(post.settings, file)
    assert type(error) is kind
    assert error.message == f"localhost takes no mail from exports@example.com: {answer}."


def test_a_mail_that_is_refused_for_now_and_taken_later_is_the_same(start: Start, file: Path) -> None:
    post = start(Inbox(data=["451 4.3.0 Try again", "250 OK"]))
    (receipt,) = deliver(post, file)
    assert (receipt.delivered, receipt.transient) == (False, True)
    assert receipt.error == "localhost refused the mail: 451 4.3.0 Try again."
    (receipt,) = deliver(post, file)
    assert receipt.delivered
    assert post.inbox.parsed(0)["Message-ID"] == post.inbox.parsed(1)["Message-ID"]
    deliver(post, file, delivery="delivery-2")
    assert post.inbox.parsed(2)["Message-ID"] != post.inbox.parsed(1)["Message-ID"]


@pytest.mark.parametrize(("answer", "transient"), [("554 5.7.1 Spam", False), ("421 closing", True)])
def test_a_mail_that_is_refused(start: Start, file: Path, answer: str, transient: bool) -> None:  # noqa: FBT001 - a parameter
    post = start(Inbox(data=[answer], rcpt={"bob@example.com": "550 gone"}))
    receipts = deliver(post, file, "ann@example.com", "bob@example.com")
    assert [(receipt.delivered, receipt.transient) for receipt in receipts] == [(False, transient), (False, False)]
    assert answer in receipts[0].error


@pytest.mark.parametrize(("answer", "transient"), [("450 no", True), ("503 no", False), ("250 strange", True)])
def test_data_that_is_refused_before_the_mail(
    authority: Authority, good: ssl.SSLContext, file: Path, *, answer: str, transient: bool
) -> None:
    def script(wire: Wire) -> None:
        secure(wire, good)
        wire.exchange("250 sender", "250 recipient", answer)

    with played(script) as server:
        (receipt,) = deliver(Post(Inbox(), settings_for(server.port, authority.file)), file)
    assert (receipt.delivered, receipt.transient) == (False, transient)
    assert server.heard.endswith(b"DATA\r\nQUIT\r\n")


def test_a_connection_lost_after_the_mail_is_tried_again_with_the_same_message_id(start: Start, file: Path) -> None:
    post = start(Inbox(data=["hang up"], rcpt={"bob@example.com": "550 gone"}))
    ann, bob = deliver(post, file, "ann@example.com", "bob@example.com")
    assert (ann.delivered, ann.transient) == (False, True)
    assert ann.error.startswith("The connection to localhost broke. The mail was sent by then, but localhost did not")
    assert "it may arrive twice, with the same Message-ID" in ann.error
    assert (bob.delivered, bob.transient) == (False, False)
    (receipt,) = deliver(post, file, "ann@example.com", "bob@example.com", recipients=("ann@example.com",))
    assert receipt.delivered
    assert post.inbox.parsed(0)["Message-ID"] == post.inbox.parsed(1)["Message-ID"]


@pytest.mark.parametrize("end", ["hang up", "421 4.3.2 Shutting down"])
def test_a_connection_that_ends_among_the_recipients(start: Start, file: Path, end: str) -> None:
    post = start(Inbox(rcpt={"ann@example.com": "550 gone", "carl@example.com": end}))
    everybody = ("ann@example.com", "bob@example.com", "carl@example.com", "dora@example.com")
    receipts = deliver(post, file, *everybody)
    assert [(receipt.delivered, receipt.transient) for receipt in receipts] == [
        (False, False),
        (False, True),
        (False, True),
        (False, True),
    ]
    assert "550 gone" in receipts[0].error
    assert post.inbox.mails == []


def test_a_connection_that_ends_in_the_middle_of_a_mail(
    authority: Authority, good: ssl.SSLContext, tmp_path: Path
) -> None:
    content = bytes(5_000_000)
    path = tmp_path / "large"
    path.write_bytes(content)

    def script(wire: Wire) -> None:
        secure(wire, good, "250 mail.example.com")
        wire.exchange("250 sender", "250 recipient", "354 go on")
        wire.connection.shutdown(socket.SHUT_RDWR)

    with played(script) as server:
        post = Post(Inbox(), settings_for(server.port, authority.file))
        (receipt,) = deliver(post, path, manifest=manifest_of(content))
    assert (receipt.delivered, receipt.transient) == (False, True)
    assert receipt.error == "The connection to localhost broke."


@pytest.mark.parametrize(
    ("greeting", "kind", "shown"),
    [
        ("421 4.3.2 Not now", TransientError, "421 4.3.2 Not now"),
        ("554 5.7.1 Go away", PermanentError, "554 5.7.1 Go away"),
        ("HTTP/1.1 400 Bad Request", TransientError, "no answer of a mail server"),
        ("5", TransientError, "no answer of a mail server"),
        ("554 \x1b[31mred\x07 \u202egnidda " + "x" * 1000, PermanentError, "[31mred gnidda xxx"),
    ],
)
def test_greetings_that_are_no_welcome(
    authority: Authority, file: Path, greeting: str, kind: type[Exception], shown: str
) -> None:
    with played(lambda wire: wire.say(greeting)) as server:
        error = refusal(settings_for(server.port, authority.file), file)
    assert type(error) is kind
    assert shown in error.message
    assert error.message.isprintable()
    assert len(error.message) < 300
    assert server.heard == b""


@pytest.mark.parametrize(("answer", "kind"), [("421 no", TransientError), ("550 no", PermanentError)])
def test_an_ehlo_that_is_refused(authority: Authority, file: Path, answer: str, kind: type[Exception]) -> None:
    def script(wire: Wire) -> None:
        wire.say("220 mail.example.com")
        wire.exchange(answer)

    with played(script) as server:
        error = refusal(settings_for(server.port, authority.file), file)
    assert type(error) is kind
    assert "did not accept the greeting" in error.message


@pytest.mark.parametrize("answer", ["250-more|" * 300, "250 " + "x" * 5000])
def test_answers_without_end_are_not_read(authority: Authority, file: Path, answer: str) -> None:
    def script(wire: Wire) -> None:
        wire.say("220 mail.example.com")
        with suppress(OSError):
            wire.exchange(answer.rstrip("|"))

    with played(script) as server:
        error = refusal(settings_for(server.port, authority.file), file)
    assert isinstance(error, TransientError)
    # Not that nothing came any more: it was enough.
    assert error.message == "The connection to localhost broke."


def test_a_server_that_is_not_there(authority: Authority, file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = refusal(settings_for(port, authority.file), file)
    assert isinstance(error, TransientError)
    assert error.message == f"The mail server localhost, port {port} cannot be reached: connection refused."


def test_a_host_without_an_address(authority: Authority, file: Path) -> None:
    # A number with a dot too many is never asked of a resolver.
    error = refusal(settings_for(1, authority.file, host="127.0.0.1.256"), file)
    assert isinstance(error, TransientError)
    assert "There is no address" in error.message


def test_goodbye_does_not_matter(authority: Authority, good: ssl.SSLContext, file: Path) -> None:
    def script(wire: Wire) -> None:
        secure(wire, good)
        wire.exchange("250 sender", "250 recipient", "354 go on")
        wire.line(b"\r\n.\r\n")
        wire.say("250 taken")
        wire.connection.close()

    with played(script) as server:
        (receipt,) = deliver(Post(Inbox(), settings_for(server.port, authority.file)), file)
    assert receipt.delivered


# --- time


@pytest.mark.parametrize("phase", ["greeting", "tls", "sender"])
def test_a_silent_server_is_given_up(authority: Authority, good: ssl.SSLContext, file: Path, phase: str) -> None:
    def script(wire: Wire) -> None:
        if phase == "tls":
            wire.say("220 mail.example.com")
            wire.exchange("250-mail.example.com|250 STARTTLS", "220 go ahead")
        if phase == "sender":
            secure(wire, good)

    began = time.monotonic()
    with played(script) as server:
        error = refusal(settings_for(server.port, authority.file, timeout=0.3), file)
    assert isinstance(error, TransientError)
    assert error.message == "The connection to localhost was given up: there was no answer for 0.3 seconds."
    assert time.monotonic() - began < 4


def test_the_answer_to_a_mail_is_waited_for_as_long_as_a_mail_may_take(
    authority: Authority, good: ssl.SSLContext, file: Path
) -> None:
    def script(wire: Wire, seconds: float) -> None:
        secure(wire, good)
        wire.exchange("250 sender", "250 recipient", "354 go on")
        wire.line(b"\r\n.\r\n")
        time.sleep(seconds)
        with suppress(OSError):
            wire.say("250 taken")

    for seconds, delivered in ((0.4, True), (1.1, False)):
        with played(partial(script, seconds=seconds)) as server:
            settings = settings_for(server.port, authority.file, timeout=0.2, total_timeout=1.0)
            (receipt,) = deliver(Post(Inbox(), settings), file)
        assert (receipt.delivered, receipt.transient) == (delivered, not delivered)
    assert receipt.error.startswith(
        "The connection to localhost was cut: the mail took longer than 1 seconds. The mail "
    )


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_that_sends_a_byte_now_and_then_is_cut(
    authority: Authority, good: ssl.SSLContext, file: Path, security: str
) -> None:
    def script(wire: Wire) -> None:
        if security == "tls":
            wire.start_tls(good)
        with suppress(OSError):
            for _number in range(100):
                wire.connection.sendall(b"2")
                time.sleep(0.05)

    began = time.monotonic()
    with played(script) as server:
        settings = settings_for(server.port, authority.file, security=security, total_timeout=0.4)
        error = refusal(settings, file)
    assert isinstance(error, TransientError)
    assert error.message == "The connection to localhost was cut: the mail took longer than 0.4 seconds."
    assert time.monotonic() - began < 4


class Countdown(Context):
    """A context that is cancelled at its n-th check."""

    left = 0

    def check(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.cancel()
        super().check()


@pytest.mark.parametrize(
    ("checks", "heard"),
    [
        (1, None),
        (2, b"ehlo [127.0.0.1]\r\n"),
        (3, b"RCPT TO:<ann@example.com>\r\n"),
        (4, b"DATA\r\n"),
        (5, f'; filename="{NAME}"\r\n\r\n'.encode()),
    ],
    ids=["connecting", "login", "data", "head", "file"],
)
def test_cancelled_in_time_nothing_is_delivered(
    authority: Authority, good: ssl.SSLContext, file: Path, checks: int, heard: bytes | None
) -> None:
    def script(wire: Wire) -> None:
        secure(wire, good)
        wire.exchange("250 sender", "250 recipient", "354 go on")

    context = Countdown()
    context.left = checks
    with played(script) as server:
        call = call_for(settings_for(server.port, authority.file), file, context=context)
        with pytest.raises(CancelledError):
            SINK.deliver_each(call)
    if heard is None:
        assert server.wires == []
        return
    assert server.heard.endswith(heard)


def waits_for_a_connection(stack: ExitStack, _certificate: ssl.SSLContext) -> int:
    """A port that takes no connection, and does not refuse any."""
    listener = stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    for _ in range(3):
        waiting = stack.enter_context(socket.socket())
        waiting.settimeout(0)
        waiting.connect_ex(listener.getsockname())
    port: int = listener.getsockname()[1]
    return port


def waits_for_a_greeting(stack: ExitStack, _certificate: ssl.SSLContext) -> int:
    return stack.enter_context(played(lambda _wire: None)).port


def waits_for_confirmation(stack: ExitStack, certificate: ssl.SSLContext) -> int:
    def script(wire: Wire) -> None:
        secure(wire, certificate)
        wire.exchange("250 sender", "250 recipient", "354 go on")

    return stack.enter_context(played(script)).port


@pytest.mark.flaky(reruns=1)  # a bound in time: what is slow by itself is slow twice
@pytest.mark.parametrize("timeout", [None, 0.3], ids=["cancelled", "deadline"])
@pytest.mark.parametrize("waits", [waits_for_a_connection, waits_for_a_greeting, waits_for_confirmation])
def test_it_ends_within_a_second_whatever_it_waits_for(
    authority: Authority,
    good: ssl.SSLContext,
    file: Path,
    waits: Callable[[ExitStack, ssl.SSLContext], int],
    timeout: float | None,
) -> None:
    with ExitStack() as stack:
        settings = settings_for(waits(stack, good), authority.file, host="127.0.0.1", unverified=["127.0.0.1"])
        context, began = Context(timeout=timeout), time.monotonic()
        timer = threading.Timer(0.3, context.cancel)
        if timeout is None:
            timer.start()
            stack.callback(timer.join)
        with pytest.raises(DeadlineError if timeout else CancelledError) as caught:
            SINK.deliver_each(call_for(settings, file, context=context))
        assert time.monotonic() - began < 1.3
    # What is on its way already cannot be called back.
    assert ("may arrive all the same" in caught.value.message) == (waits is waits_for_confirmation)


# --- size


@pytest.mark.parametrize(
    "size", [0, 1, 2, 3, 56, 57, 58, 113, 114, 115, 57 * 1024 - 1, 57 * 1024, 57 * 1024 + 1, 200_000]
)
def test_the_size_that_is_foreseen_is_the_one_that_arrives(start: Start, tmp_path: Path, size: int) -> None:
    content = bytes(number * 7 % 256 for number in range(size))
    path = tmp_path / "file"
    path.write_bytes(content)
    post = start()
    deliver(post, path, manifest=manifest_of(content))
    (envelope,) = post.inbox.mails
    arrived = envelope.original_content
    assert arrived is not None
    announced = next(option for option in envelope.mail_options if option.startswith("SIZE="))
    assert announced == f"SIZE={len(arrived)}"
    (attachment,) = attachments(post.inbox.parsed())
    assert attachment.get_content() == content
    assert len(str(attachment.get_payload())) == encoded_size(size)


@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_exactly_the_limit_fits_and_one_byte_more_does_not(start: Start, file: Path, whose: str) -> None:
    post = start()
    deliver(post, file)
    arrived = post.inbox.mails[0].original_content
    assert arrived is not None
    whole = len(arrived)
    for limit, attached in ((whole, True), (whole - 1, False)):
        own = {"limit": limit} if whose == "ours" else {}
        post = start(settings=own, **({} if whose == "ours" else {"data_size_limit": limit}))
        (receipt,) = deliver(post, file)
        assert receipt.delivered
        assert bool(attachments(post.inbox.parsed())) == attached
        content = post.inbox.mails[0].original_content
        assert content is not None
        assert (len(content) == whole) == attached
        who = "mails may have" if whose == "ours" else "localhost takes"
        expected = f"The file has 330 bytes, {whole:,} bytes as an attachment, and {who} {limit:,} bytes."
        assert receipt.note == ("" if attached else expected)
        if not attached:
            assert expected in " ".join(words(post.inbox.parsed()).split())


@pytest.mark.parametrize("announced", ["SIZE", "SIZE 0", "SIZE many", "SIZE 99999999999999999999999", "HELP"])
def test_sizes_that_say_nothing(authority: Authority, good: ssl.SSLContext, file: Path, announced: str) -> None:
    def script(wire: Wire) -> None:
        secure(wire, good, f"250-mail.example.com|250 {announced}")
        wire.exchange("250 sender", "250 recipient", "354 go on")
        wire.line(b"\r\n.\r\n")
        wire.say("250 taken")

    with played(script) as server:
        (receipt,) = deliver(Post(Inbox(), settings_for(server.port, authority.file)), file)
    assert (receipt.delivered, receipt.note) == (True, "")
    assert (b" SIZE=" in server.heard) == announced.startswith("SIZE")


@pytest.mark.parametrize(
    "link", ["", "https://exports.example.com/files/1?token=<a>&b", "javascript:alert(1)", 'https://x/"onclick="x()']
)
@pytest.mark.parametrize("why", ["too large", "asked"])
def test_what_is_not_attached_is_linked_and_not_read(start: Start, tmp_path: Path, link: str, why: str) -> None:
    manifest = manifest_of()
    manifest = attrs.evolve(manifest, file=attrs.evolve(manifest.file, size=31_000_000))
    post = start(data_size_limit=25_000_000)
    options = {"attach": "never"} if why == "asked" else {}
    (receipt,) = deliver(post, tmp_path / "nothing", manifest=manifest, link=link, options=options)
    reason = (
        "The file is not attached, because the request says so."
        if why == "asked"
        else "The file has 31.0 MB, 42.4 MB as an attachment, and mails may have 25.0 MB."
    )
    assert receipt.delivered
    assert receipt.note == reason
    message = post.inbox.parsed()
    assert message.get_content_type() == "multipart/alternative"
    flat = " ".join(words(message).split())
    reader = _Text()
    reader.feed(words(message, "html"))
    assert reason in flat
    assert reason in " ".join(reader.texts)
    if link.startswith("https"):
        assert link in flat
        assert reader.links == [link]
        assert "tailrace jobs download" not in flat
    else:
        assert reader.links == []
        assert "tailrace jobs download 0198c0de" in flat
        assert "javascript" not in flat


def test_a_mail_that_is_too_large_without_the_file_is_the_servers_to_refuse(start: Start, file: Path) -> None:
    error = refusal(start(data_size_limit=100).settings, file)
    assert isinstance(error, PermanentError)
    assert "552" in error.message


@pytest.mark.parametrize("found", [CONTENT[:-1], CONTENT + b"x", CONTENT.replace(b"1", b"2"), b""])
def test_a_file_that_is_not_what_its_manifest_says_is_not_sent(start: Start, tmp_path: Path, found: bytes) -> None:
    path = tmp_path / "changed"
    path.write_bytes(found)
    post = start()
    error = refusal(post.settings, path)
    assert isinstance(error, PermanentError)
    assert "is not what its manifest says" in error.message
    assert post.inbox.mails == []


def test_a_block_that_ends_where_the_file_should_have(start: Start, tmp_path: Path) -> None:
    content = bytes(57 * 1024)
    path = tmp_path / "longer"
    path.write_bytes(content + b"x")
    post = start()
    assert "is not what its manifest says" in refusal(post.settings, path, manifest=manifest_of(content)).message
    assert post.inbox.mails == []


def test_a_file_that_is_gone_is_not_sent(start: Start, tmp_path: Path) -> None:
    post = start()
    error = refusal(post.settings, tmp_path / "gone")
    assert isinstance(error, StorageError)
    assert str(tmp_path) not in error.message
    assert post.inbox.mails == []


# --- any input

HOSTILE = [
    "line\r\nBcc: evil@example.net\r\n\r\nbody",
    "line\nX-Evil: 1",
    "line\rX-Evil: 1",
    "a\x00b\x0b\x0c\x1b[31m\x7f\x85c",
    "a\u2028X-Evil: 1\u2029b",
    "a\u202egnp.exe\u2066\u200f\u061cb",
    "=?utf-8?q?a=0D=0ABcc:_evil@example.net?=",
    "=?utf-8?b?DQpCY2M6IGV2aWxAZXhhbXBsZS5uZXQ=?= =?utf-8?q?x?=",
    "x" * 3000,
    "ü" * 3000,
    "😀 👩\u200d👩\u200d👧 漢字 עברית " * 20,
    "\ud800 half \udfff",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)\' `--><!--',
    'a, b; c: d <e@example.net>, "f" (g) @h \\',
    ".\r\n.\r\nMAIL FROM:<evil@example.net>",
    "--=_boundary\r\nContent-Type: text/html\r\n\r\n",
    "@@@ Content-Transfer-Encoding: base64 @@@",
    "../../etc/passwd\\..\\x",
    "{source} {0} {}",
    "\ufeff\ufffe\uffff\U000e0041\xad",
    "",
    " \t ",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("attach", ["auto", "never"])
def test_any_input_makes_one_well_formed_mail(start: Start, file: Path, text: str, attach: str) -> None:
    manifest = manifest_of(
        name=text,
        user=text,
        export_id=text,
        parameters={"where": [text], "columns": [text]},
        notes=(text,) * 12,
        tables=tuple(TableRecord(text, (), RowCounts(1, 0, 1, 1)) for _number in range(50)),
        source=SourceRecord(PluginRecord(text, "", ""), text, text),
        format=PluginRecord(text, "", ""),
    )
    media = attrs.evolve(manifest.file, media_type=text, compression=None)
    post = start()
    pattern = text.replace("{", "{{").replace("}", "}}") + " {user} {source} {table}"
    (receipt,) = deliver(
        post,
        file,
        manifest=attrs.evolve(manifest, file=media),
        fields=dict.fromkeys(FIELDS, text),
        options={"subject": pattern, "message": text, "attach": attach},
        delivery=text or "delivery",
        link=f"https://{text}",
    )
    assert receipt.delivered
    (envelope,) = post.inbox.mails
    assert envelope.rcpt_tos == ["ann@example.com"]
    check_well_formed(envelope.original_content, HEADERS, attached=attach == "auto")


def check_well_formed(content: bytes | str | None, headers: Sequence[str], *, attached: bool) -> EmailMessage:
    """Parse what a server got: nothing was added to it, hidden in it, or broken."""
    assert isinstance(content, bytes)
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r")
    assert content.isascii()
    message = parsed(content)
    assert sorted(message.keys()) == sorted(headers)
    parts = list(message.walk())
    assert [part.defects for part in parts] == [[] for _part in parts]
    assert len(parts) == (5 if attached else 3)
    subject = str(message["Subject"])
    assert subject.isprintable() or "\u200d" in subject
    assert len(subject) <= 200
    for part in parts[1:]:
        assert set(part.keys()) <= {"Content-Type", "Content-Transfer-Encoding", "Content-Disposition"} | set(headers)
    document = words(message, "html")
    reader = _Text()
    reader.feed(document)
    assert set(reader.tags) <= {
        *("html", "head", "meta", "title", "style", "body", "div", "h1", "p", "br", "table", "tr", "td", "ul", "li"),
        *("code", "a"),
    }
    assert all(link.startswith("https://") for link in reader.links)
    for text in (words(message), document):
        assert {character for character in text if not character.isprintable()} <= {"\n", "\u200d"}
    if attached:
        (attachment,) = attachments(message)
        assert attachment.get_content() == CONTENT
        name = attachment.get_filename()
        assert name
        assert not set(name) & set('/\\"\r\n:')
        assert not name.startswith(".")
    return message


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_any_message_makes_one_well_formed_mail(start: Start, text: str) -> None:
    post = start()
    message = Message(text, text, text, {text: text, "b": text}, text, NOW)
    settings = build_options(EmailSettings, post.settings, owner="sink email")
    assert SINK.send(MessageCall(message, "ann@example.com", text, Context(), settings, secrets)).delivered
    check_well_formed(post.inbox.mails[0].original_content, HEADERS, attached=False)


@pytest.mark.parametrize(
    "name",
    [
        '"Doe, Jane"',
        "Zoë, Ω & Co: (Exports)",
        "漢字" * 30,
        "=?utf-8?q?x=0D=0Ay?=",
        "a\r\nBcc: evil@example.net",
        "x" * 300,
    ],
)
def test_any_name_of_the_sender(start: Start, file: Path, name: str) -> None:
    post = start(settings={"sender": f"{name} <exports@example.com>", "reply_to": f"{name} <ops@example.com>"})
    deliver(post, file)
    message = check_well_formed(post.inbox.mails[0].original_content, [*HEADERS, "Reply-To"], attached=True)
    for header, address in (("From", "exports@example.com"), ("Reply-To", "ops@example.com")):
        (found,) = message[header].addresses
        assert found.addr_spec == address
        assert found.display_name
    assert post.inbox.mails[0].mail_from == "exports@example.com"


@pytest.mark.parametrize(
    ("media_type", "method", "arrives"),
    [
        ("text/csv", None, "text/csv"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", None, None),
        ("text/csv", "gzip", "application/gzip"),
        ("text/csv", "zstd", "application/zstd"),
        ("text/csv", "other", "application/octet-stream"),
        ("multipart/mixed", None, "application/octet-stream"),
        ("message/rfc822", None, "application/octet-stream"),
        ("text/csv; x=\r\nX-Evil: 1", None, "application/octet-stream"),
    ],
)
def test_what_an_attachment_is_said_to_be(
    start: Start, file: Path, media_type: str, method: str | None, arrives: str | None
) -> None:
    manifest = manifest_of()
    compression = CompressionRecord(method, 6) if method else None
    record = attrs.evolve(manifest.file, media_type=media_type, compression=compression)
    post = start()
    deliver(post, file, manifest=attrs.evolve(manifest, file=record))
    (attachment,) = attachments(post.inbox.parsed())
    assert attachment.get_content_type() == (arrives or media_type)
    assert attachment.get_payload(decode=True) == CONTENT


@pytest.mark.parametrize(
    "name", ["größe, der; Dinge.csv", "漢字" * 60 + ".csv", 'a"b\\c.csv', "a%20b'c.csv", ".hidden"]
)
def test_names_of_attachments(start: Start, file: Path, name: str) -> None:
    post = start()
    deliver(post, file, manifest=manifest_of(name=name))
    message = check_well_formed(post.inbox.mails[0].original_content, HEADERS, attached=True)
    expected = name.replace('"', "_").replace("\\", "_").lstrip(".")
    assert attachments(message)[0].get_filename() == expected


def test_long_domains_of_the_sender(start: Start, file: Path) -> None:
    domain = ".".join(["a" * 60] * 3 + ["example"])
    post = start(settings={"sender": f"exports@{domain}"})
    deliver(post, file)
    message = check_well_formed(post.inbox.mails[0].original_content, HEADERS, attached=True)
    assert message["Message-ID"].endswith(f"@{domain}>")
    assert " " not in message["Message-ID"]


def test_lines_that_begin_with_a_dot_arrive(start: Start, file: Path) -> None:
    post = start()
    note = ". ".join(["word " * 14] * 5)
    deliver(post, file, manifest=manifest_of(notes=(note,)), options={"message": ".hidden"})
    flat = " ".join(words(post.inbox.parsed()).split())
    assert ".hidden" in flat
    assert " ".join(note.split()) in flat


def test_without_a_delivery_the_same_file_has_the_same_message_id(start: Start, file: Path) -> None:
    post = start()
    for name in ("a.csv", "a.csv", "b.csv"):
        deliver(post, file, manifest=manifest_of(name=name), delivery="")
    ids = [post.inbox.parsed(number)["Message-ID"] for number in range(3)]
    assert ids[0] == ids[1] != ids[2]


# --- international addresses


def test_a_domain_of_another_script_is_written_in_ascii(start: Start, file: Path) -> None:
    post = start(enable_SMTPUTF8=False)
    (address,) = SINK.recipients(StagingCall("ann@bücher.example", None, FIELDS))
    (receipt,) = deliver(post, file, address)
    assert receipt.place == "ann@xn--bcher-kva.example"
    assert post.inbox.parsed()["To"] == "ann@xn--bcher-kva.example"


@pytest.mark.parametrize("known", [True, False])
def test_a_name_of_another_script_needs_a_server_that_knows_it(start: Start, file: Path, *, known: bool) -> None:
    post = start(enable_SMTPUTF8=known)
    receipts = deliver(post, file, "ann@example.com", "zoë@example.com")
    assert [(receipt.delivered, receipt.transient) for receipt in receipts] == [(True, False), (known, False)]
    (envelope,) = post.inbox.mails
    assert envelope.rcpt_tos == ["ann@example.com", "zoë@example.com"][: 1 + known]
    assert ("SMTPUTF8" in envelope.mail_options) == known
    content = envelope.original_content
    assert content is not None
    to = b"To: ann@example.com, zo\xc3\xab@example.com\r\n" if known else b"To: ann@example.com\r\n"
    assert to in content
    if not known:
        assert receipts[1].error == "localhost cannot write to zoë@example.com: it takes ASCII addresses only."


def test_only_names_of_another_script_and_a_server_that_does_not_know_them(start: Start, file: Path) -> None:
    post = start(enable_SMTPUTF8=False)
    (receipt,) = deliver(post, file, "zoë@example.com")
    assert (receipt.delivered, receipt.transient) == (False, False)
    assert post.inbox.mails == []


@pytest.mark.parametrize(("name", "said"), [("", "[127.0.0.1]"), ("exports.example.com", "exports.example.com")])
def test_the_name_to_greet_with(start: Start, file: Path, name: str, said: str) -> None:
    post = start(settings={"local_hostname": name})
    deliver(post, file)
    assert post.inbox.greeting == said
