"""What users are told, by the real sinks: over TLS to a mail server, signed to a webhook."""

import asyncio
import base64
import ssl
import threading
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import attrs
import pytest
import trustme
from aiosmtpd.smtp import SMTP, Envelope, Session
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook

from tailrace import Engine, ExportRequest, Notify, SinkRequest, SourceError, User
from tailrace.model.audit import AuditRecord
from tailrace.settings import NotificationSettings, Settings, WorkerSettings

ADA = User("ada")
SECRET = "whsec_" + base64.b64encode(b"s" * 24).decode()


@attrs.define
class Inbox:
    """What a mail server took: recipients, and the mail."""

    port: int = 0
    mails: list[tuple[list[str], EmailMessage]] = attrs.field(factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a mail, once the line is encrypted."""
        assert server is not None
        assert session.ssl is not None
        mail = message_from_bytes(envelope.original_content or b"", policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append((list(envelope.rcpt_tos), mail))
        return "250 OK"


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, Path]:
    ca = trustme.CA()
    file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(file)
    return ca, file


@pytest.fixture
def inbox(authority: tuple[trustme.CA, Path]) -> Iterator[Inbox]:
    """A mail server that asks for TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority[0].issue_cert("localhost").configure_cert(context)
    inbox, loop = Inbox(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def listen() -> asyncio.Server:
        make = lambda: SMTP(inbox, tls_context=context, require_starttls=True, loop=loop)  # noqa: E731 - once
        return await loop.create_server(make, "127.0.0.1", 0)

    async def end() -> None:
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    inbox.port = server.sockets[0].getsockname()[1]
    yield inbox
    asyncio.run_coroutine_threadsafe(end(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def engine(
    tmp_path: Path, inbox: Inbox, authority: tuple[trustme.CA, Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    mail = {
        "host": "localhost",
        "port": inbox.port,
        "sender": "Exports <exports@example.com>",
        "ca_file": str(authority[1]),
    }
    settings = Settings(
        home=tmp_path / "home",
        user="ada",
        worker=WorkerSettings(poll=0.02),
        notifications=NotificationSettings(("ops@example.com",)),
        sinks={"email": mail, "webhook": {"secrets": ["env:HOOK_SECRET"], "allow": ["localhost"]}},
    )
    engine = Engine(settings)
    yield engine
    engine.store.close()


def request(tmp_path: Path, *wishes: Notify) -> ExportRequest:
    log = tmp_path / "requests.csv"
    log.write_text("timestamp,host\n2026-08-15T06:00:00Z,a.example\n2026-08-15T07:00:00Z,b.example\n")
    sinks = (SinkRequest("disk", str(tmp_path / "out")),)
    return ExportRequest("analytics", str(log), "csv", sinks=sinks, notify=wishes)


def test_an_export_is_told_by_mail_and_webhook(
    engine: Engine, inbox: Inbox, httpserver: HTTPServer, tmp_path: Path
) -> None:
    httpserver.expect_request("/hooks/4711").respond_with_data(status=204)
    hook = Notify("webhook", httpserver.url_for("/hooks/4711"))
    job = engine.submit(request(tmp_path, Notify("email", "ann@example.com"), hook), user=ADA)
    assert "4711" not in repr(engine.jobs.show(job.id, ADA))
    engine.worker().run(until_idle=True)
    ((recipients, mail),) = inbox.mails
    assert recipients == ["ann@example.com"]
    assert mail["Subject"] == "Tailrace: your export of analytics as csv is ready"
    body = mail.get_body(("plain",))
    assert body is not None
    assert f"tailrace jobs download {job.id}" in body.get_content()
    ((called, _answer),) = httpserver.log
    # The receiver's own library finds it genuine.
    said = Webhook(SECRET).verify(called.get_data(), dict(called.headers))
    assert job.id in str(said)
    told = {entry.thing.partition(" ")[0]: entry.outcome for entry in entries(engine, "notification")}
    assert told == {"email": "ok", "webhook": "ok"}
    assert "4711" not in repr(engine.audit.list(User("root", is_admin=True)))


def test_admins_get_a_mail_when_scheduled_work_fails(engine: Engine, inbox: Inbox, tmp_path: Path) -> None:
    broken = attrs.evolve(request(tmp_path), location=str(tmp_path / "gone.csv"))
    job = engine.submit(broken, user=ADA, schedule="nightly")
    engine.worker().run(until_idle=True)
    ((recipients, mail),) = inbox.mails
    assert recipients == ["ops@example.com"]
    assert mail["Subject"] == "Tailrace: the scheduled export nightly failed"
    body = mail.get_body(("plain",))
    assert body is not None
    assert f"tailrace jobs retry {job.id}" in body.get_content()
    assert [entry.thing for entry in entries(engine, "schedule.failed")] == ["nightly"]


def test_who_waits_gets_the_mail_before_the_export_returns(engine: Engine, inbox: Inbox, tmp_path: Path) -> None:
    engine.export(request(tmp_path, Notify("email", "ann@example.com")), user=ADA)
    assert [recipients for recipients, _mail in inbox.mails] == [["ann@example.com"]]
    broken = attrs.evolve(request(tmp_path, Notify("email", "ann@example.com")), location=str(tmp_path / "gone.csv"))
    with pytest.raises(SourceError):
        engine.export(broken, user=ADA)
    assert inbox.mails[1][1]["Subject"] == "Tailrace: your export of analytics as csv failed"


def entries(engine: Engine, operation: str) -> list[AuditRecord]:
    return [one for one in engine.audit.list(User("root", is_admin=True)) if one.operation == operation]
