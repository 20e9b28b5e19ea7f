"""The servers for tests of sinks: what they keep, and every fault that they can have."""

import http.client
import json
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Literal

import pytest
from tailrace_sdk.servers import Fault, SmtpServer, WebhookServer

LETTER = b"From: a@example.com\r\nSubject: Hello\r\nMessage-ID: <1@example.com>\r\n\r\nSome words.\r\n"
TO = ["ann@example.com", "bob@example.com"]
BOUND = 5.0


def send_mail(server: SmtpServer, *, user: str = "", password: str = "", content: bytes = LETTER) -> None:
    tls = ssl.create_default_context(cafile=str(server.ca_file)) if server.security != "none" else None
    client: smtplib.SMTP
    if server.security == "tls":
        client = smtplib.SMTP_SSL(server.host, server.port, timeout=BOUND, context=tls)
    else:
        client = smtplib.SMTP(server.host, server.port, timeout=BOUND)
    with client:
        if server.security == "starttls":
            client.starttls(context=tls)
        if user:
            client.login(user, password)
        client.sendmail("exports@example.com", TO, content)


def ask(server: WebhookServer, method: str = "POST", body: bytes = b"{}", **headers: str) -> tuple[int, dict[str, str]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=BOUND)) as connection:
        connection.request(method, "/hooks/1", body=body, headers=named)
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}


@contextmanager
def quickly() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < BOUND


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
def test_a_mail_arrives_and_is_taken_apart(security: Literal["starttls", "tls", "none"]) -> None:
    with SmtpServer(security=security) as server:
        send_mail(server)
        (mail,) = server.mails
    assert (mail.sender, mail.recipients) == ("exports@example.com", tuple(TO))
    assert mail.message_id == "<1@example.com>"
    assert mail.message["Subject"] == "Hello"
    assert "Some words." in mail.text
    assert mail.attachments == {}
    assert server.contacts == 1


def test_attachments_come_with_their_names(smtp_server: SmtpServer) -> None:
    content = (
        b'Content-Type: multipart/mixed; boundary="x"\r\nMIME-Version: 1.0\r\n\r\n--x\r\n\r\nWords.\r\n--x\r\n'
        b'Content-Disposition: attachment; filename="a.bin"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        b"AAEC\r\n--x--\r\n"
    )
    send_mail(smtp_server, content=content)
    assert smtp_server.mails[0].attachments == {"a.bin": b"\x00\x01\x02"}
    assert "Words." in smtp_server.mails[0].text


def test_only_who_knows_the_password_sends_mail() -> None:
    with SmtpServer(user="ada", password="pump and wheel") as server:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            send_mail(server, user="ada", password="guessed")
        with pytest.raises(smtplib.SMTPException, match="530"):
            send_mail(server)
        send_mail(server, user="ada", password="pump and wheel")
        assert len(server.mails) == 1
        assert set(server.logins) == {"ada"}


def test_nobody_trusts_it_who_does_not_know_its_authority(smtp_server: SmtpServer) -> None:
    with smtplib.SMTP(smtp_server.host, smtp_server.port, timeout=BOUND) as client, pytest.raises(ssl.SSLError):
        client.starttls(context=ssl.create_default_context())


@pytest.mark.parametrize(
    ("fault", "error", "arrives"),
    [
        (Fault.BUSY, smtplib.SMTPSenderRefused, 0),
        (Fault.REFUSING, smtplib.SMTPSenderRefused, 0),
        (Fault.DROPPING, smtplib.SMTPServerDisconnected, 0),
        (Fault.MUTE, smtplib.SMTPServerDisconnected, 1),
        (Fault.BABBLING, smtplib.SMTPException, 0),
        (Fault.AWAY, OSError, 0),
        (Fault.LYING, None, 0),
        (Fault.DOUBLING, None, 2),
    ],
)
def test_a_mail_server_that_is(
    smtp_server: SmtpServer, fault: Fault, error: type[Exception] | None, arrives: int
) -> None:
    smtp_server.be(fault)
    if error is None:
        send_mail(smtp_server)
    else:
        with quickly(), pytest.raises(error) as raised:
            send_mail(smtp_server)
        if isinstance(raised.value, smtplib.SMTPSenderRefused):
            assert raised.value.smtp_code == {Fault.BUSY: 451, Fault.REFUSING: 550}.get(fault, -1)
    assert len(smtp_server.mails) == arrives
    smtp_server.recover()
    send_mail(smtp_server)
    assert len(smtp_server.mails) == arrives + 1


def test_one_address_is_refused_and_the_others_are_not(smtp_server: SmtpServer) -> None:
    smtp_server.refuse("ann@example.com")
    send_mail(smtp_server)
    assert [mail.recipients for mail in smtp_server.mails] == [("bob@example.com",)]


def test_it_is_well_again_after_so_many_mails(smtp_server: SmtpServer) -> None:
    smtp_server.be(Fault.BUSY, times=2)
    for _ in range(2):
        with pytest.raises(smtplib.SMTPSenderRefused):
            send_mail(smtp_server)
    send_mail(smtp_server)
    assert len(smtp_server.mails) == 1


def test_a_slow_mail_server_waits_until_it_is_well(smtp_server: SmtpServer) -> None:
    smtp_server.be(Fault.SLOW)
    failures: list[Exception] = []

    def send() -> None:
        try:
            send_mail(smtp_server)
        except (OSError, smtplib.SMTPException) as error:
            failures.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    assert smtp_server.wait_until_stalled()
    thread.join(0.1)
    assert thread.is_alive()
    smtp_server.recover()
    thread.join(BOUND)
    assert len(failures) == 1
    assert smtp_server.mails == []
    send_mail(smtp_server)
    assert len(smtp_server.mails) == 1


def test_a_request_arrives_and_is_taken_apart(webhook_server: WebhookServer) -> None:
    assert ask(webhook_server, body=json.dumps({"rows": 3}).encode(), Webhook_Id="msg_1")[0] == 204
    assert ask(webhook_server, "PUT", b"\x00\xff")[0] == 201
    first, second = webhook_server.requests
    assert (first.method, first.path, first.json) == ("POST", "/hooks/1", {"rows": 3})
    assert first.headers["webhook-id"] == "msg_1"
    assert (second.method, second.body, second.parts) == ("PUT", b"\x00\xff", {})
    assert webhook_server.contacts == 2


def test_a_connection_serves_several_requests(webhook_server: WebhookServer) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", webhook_server.port, timeout=BOUND)) as connection:
        for _ in range(3):
            connection.request("POST", "/", body=b"1")
            connection.getresponse().read()
    assert len(webhook_server.requests) == 3
    assert webhook_server.contacts == 1


def test_a_form_is_taken_apart(webhook_server: WebhookServer) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="notice"\r\n\r\n{}\r\n'
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.gz"\r\n\r\n\x00\xff\r\n\n\r\n--x--\r\n'
    )
    ask(webhook_server, body=body, Content_Type="multipart/form-data; boundary=x")
    assert webhook_server.requests[0].parts == {"notice": ("", b"{}"), "file": ("a.gz", b"\x00\xff\r\n\n")}


def test_a_body_in_chunks_arrives_whole(webhook_server: WebhookServer) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", webhook_server.port, timeout=BOUND)) as connection:
        connection.request("POST", "/", body=iter([b"ab", b"c" * 100_000]), encode_chunked=True)
        assert connection.getresponse().status == 204
    assert webhook_server.requests[0].body == b"ab" + b"c" * 100_000


def test_a_request_that_breaks_off_has_not_arrived(webhook_server: WebhookServer) -> None:
    with socket.create_connection(("127.0.0.1", webhook_server.port), BOUND) as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf of it")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000) == b""
    assert webhook_server.requests == []


@pytest.mark.parametrize(
    ("fault", "status", "arrives"),
    [
        (Fault.BUSY, 503, 0),
        (Fault.REFUSING, 403, 0),
        (Fault.DROPPING, None, 0),
        (Fault.MUTE, None, 1),
        (Fault.BABBLING, None, 0),
        (Fault.AWAY, None, 0),
        (Fault.LYING, 204, 0),
        (Fault.DOUBLING, 204, 2),
    ],
)
def test_a_webhook_server_that_is(
    webhook_server: WebhookServer, fault: Fault, status: int | None, arrives: int
) -> None:
    webhook_server.be(fault, retry_after=7)
    if status is None:
        with quickly(), pytest.raises((OSError, http.client.HTTPException)):
            ask(webhook_server)
    else:
        answered, headers = ask(webhook_server)
        assert answered == status
        assert headers.get("retry-after") == ("7" if fault is Fault.BUSY else None)
    assert len(webhook_server.requests) == arrives
    webhook_server.recover()
    assert ask(webhook_server)[0] == 204
    assert len(webhook_server.requests) == arrives + 1


def test_a_slow_webhook_server_waits_until_it_is_well(webhook_server: WebhookServer) -> None:
    webhook_server.be(Fault.SLOW)
    with socket.create_connection(("127.0.0.1", webhook_server.port), BOUND) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        assert webhook_server.wait_until_stalled()
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        webhook_server.recover()
        connection.settimeout(BOUND)
        # What it had not read is thrown away with a reset.
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    assert webhook_server.requests == []


def test_an_upload_that_broke_off_can_be_resumed() -> None:
    content = bytes(range(256)) * 100
    with WebhookServer(resumable=True) as server:
        server.be(Fault.DROPPING)
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(server, "PUT", content)
        server.recover()
        status, headers = ask(server, "PUT", b"", Content_Range=f"bytes */{len(content)}")
        assert (status, headers["range"]) == (308, f"bytes=0-{len(content) // 2 - 1}")
        rest = len(content) // 2
        named = f"bytes {rest}-{len(content) - 1}/{len(content)}"
        assert ask(server, "PUT", content[rest:], Content_Range=named)[0] == 201
        assert server.requests[0].body == content
        assert ask(server, "PUT", b"", Content_Range=f"bytes */{len(content)}")[0] == 200


def test_they_leave_no_thread_and_free_their_port() -> None:
    before = set(threading.enumerate())
    with SmtpServer() as mail, WebhookServer() as hooks:
        mail.be(Fault.SLOW)
        ports = (mail.port, hooks.port)
        idle = [socket.create_connection(("127.0.0.1", port), BOUND) for port in ports]
        ask(hooks)
    for connection in idle:
        connection.close()
    assert set(threading.enumerate()) == before
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), BOUND)
