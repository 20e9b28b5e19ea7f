"""The sink ``email`` with a report: what a mail takes out of an HTML file, and what it never takes."""

import asyncio
import email
import email.policy
import hashlib
import html
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import attrs
import pytest
import trustme
from aiosmtpd.smtp import SMTP, Envelope, Session
from tailrace_format_html import HtmlFormat, HtmlOptions
from tailrace_sink_email.report import InlineReport, inline_report
from tailrace_sink_email.sink import EmailSink

from tailrace import (
    Context,
    CredentialMode,
    DeliverCall,
    Figure,
    Manifest,
    Panel,
    Parcel,
    Report,
    ReportTable,
    Section,
    WriteCall,
)
from tailrace.model.manifest import CompressionRecord, FileRecord, PluginRecord, SourceRecord
from tailrace.model.options import build_options

SINK = EmailSink(now=lambda: datetime(2026, 11, 23, 10, 16, tzinfo=UTC))
BODY = """
<h2>Health of the pool</h2>
<p class="quiet">From a pool &amp; &lt;more&gt;</p>
<table class="figures"><tr><th>Proxies</th><td><b>29,055</b></td></tr>\
<tr><th>Availability</th><td><span class="warning">◆ warning</span> <b>61.2%</b> \
<span class="quiet">was 67.1 %</span></td></tr></table>
<h3>Problems</h3>
<table><tr><th>Proxy</th><th class="n">Checks</th></tr>\
<tr><td>http://192.0.2.1:80</td><td class="n">12</td></tr></table>
"""


def page(body: str = BODY, before: str = "<!DOCTYPE html>\n<html><body>\n", after: str = "</template>") -> bytes:
    return f'{before}<template id="tailrace-mail">{body}{after}</body></html>'.encode(errors="surrogatepass")


def manifest_for(content: bytes, media_type: str = "text/html") -> Manifest:
    digest = hashlib.sha256(content).hexdigest()
    return Manifest(
        schema_version=2,
        tailrace_version="0.1.0",
        export_id="0198c0de",
        created=datetime(2026, 11, 23, 10, 15, tzinfo=UTC),
        user="alice",
        source=SourceRecord(PluginRecord("health", "tailrace-source-health", "0.1.0"), "pool.db", "proxywhirl-sqlite"),
        format=PluginRecord("html", "tailrace-format-html", "0.1.0"),
        format_options={},
        parameters={},
        time_range=None,
        time_zone="UTC",
        credentials=CredentialMode.SANITIZED,
        tables=(),
        file=FileRecord("health.html", media_type, len(content), digest, len(content), digest, None),
        notes=(),
    )


class Inbox:
    """Keeps the mails that come."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        assert envelope.original_content is not None
        mail = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


@attrs.frozen
class Post:
    """A mail server that runs, and settings for it."""

    inbox: Inbox
    settings: dict[str, Any]


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    authority, inbox = trustme.CA(), Inbox()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def listen() -> asyncio.Server:
        return await loop.create_server(
            lambda: SMTP(inbox, hostname="mail.example.com", tls_context=context, loop=loop), "127.0.0.1", 0
        )

    async def end() -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        loop.stop()

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    settings = {
        "host": "localhost",
        "port": server.sockets[0].getsockname()[1],
        "security": "starttls",
        "sender": "Exports <exports@example.com>",
        "ca_file": str(tmp_path / "ca.pem"),
        "timeout": 5.0,
    }
    yield Post(inbox, settings)
    asyncio.run_coroutine_threadsafe(end(), loop)
    thread.join(10)
    loop.close()


def taken(tmp_path: Path, content: bytes, **changes: Any) -> InlineReport | None:
    file = tmp_path / "report.html"
    file.write_bytes(content)
    return inline_report(file, manifest_for(content, **changes))


def test_a_mail_shows_the_report_that_it_carries(post: Post, tmp_path: Path) -> None:
    content = page()
    file = tmp_path / "report.html"
    file.write_bytes(content)
    call = DeliverCall(
        parcel=Parcel(file, manifest_for(content), {}),
        options=build_options(SINK.options_type, {}, owner="sink email"),
        context=Context(),
        target="ann@example.com",
        settings=build_options(SINK.settings_type, post.settings, owner="sink email"),
        recipients=("ann@example.com",),
        delivery="0198c0de",
    )
    (receipt,) = SINK.deliver_each(call)
    assert receipt.delivered
    (mail,) = post.inbox.mails
    words, attachment = list(mail.iter_parts())
    text, page_part = list(words.iter_parts())
    shown = page_part.get_content()
    assert '<table style="border-collapse:collapse;margin:14px 0"><tr><th style="' in shown
    assert ">http://192.0.2.1:80</td>" in shown
    assert "From a pool &amp; &lt;more&gt;</p>" in shown
    assert shown.index("is attached") < shown.index("Health of the pool") < shown.index("SHA-256")
    assert not [word for word in ("<template", "<script", "<svg") if word in shown]
    assert "class=" not in shown
    lines = text.get_content().splitlines()
    assert "Proxies       29,055" in lines
    assert "Availability  \N{BLACK DIAMOND} warning 61.2% was 67.1 %" in lines
    assert attachment.get_payload(decode=True) == content


def test_the_report_is_made_anew_of_its_texts(tmp_path: Path) -> None:
    report = taken(tmp_path, page("<p>a\u202e\n b &amp;lt;script&gt; =?utf-8?q?x?=</p><p><b>&quot;x&quot;</b> y</p>"))
    assert report is not None
    assert report.body == (
        '<p style="margin:0 0 8px">a b &amp;lt;script&gt; = ?utf-8?q?x?=</p>'
        '<p style="margin:0 0 8px"><b>&quot;x&quot;</b> y</p>'
    )
    assert report.figures == ()


@pytest.mark.parametrize(
    "body",
    [
        "<script>alert(1)</script>",
        "<p onclick=x>a</p>",
        '<p style="color:red">a</p>',
        '<p class="red">a</p>',
        '<p class="n">a</p>',
        '<p class="quiet" class="quiet">a</p>',
        "<p class>a</p>",
        '<a href="https://example.com/">a</a>',
        '<img src="data:,">',
        "<svg></svg>",
        "<p>a",
        "a</p>",
        "<p><b>a</p></b>",
        "<p/>",
        "<!-- a -->",
        "<!DOCTYPE html>",
        "<?php a?>",
        "<![CDATA[a]]>",
        "<style>p{}</style>",
        "<p>" * 7 + "a" + "</p>" * 7,
        "<p>" + "a" * 60_000 + "</p>",
        "<template>a",
        "<p>\ud800</p>",
    ],
)
def test_anything_unexpected_takes_nothing(tmp_path: Path, body: str) -> None:
    assert taken(tmp_path, page()) is not None
    assert taken(tmp_path, page(body)) is None


def test_other_files_are_not_looked_into(tmp_path: Path) -> None:
    assert taken(tmp_path, page(), media_type="text/csv") is None
    assert taken(tmp_path, page(before="<html><body>")) is None
    assert taken(tmp_path, page(after="")) is None
    assert taken(tmp_path, page(before="<!DOCTYPE html>" + " " * 300_000)) is None
    manifest = manifest_for(page())
    packed = attrs.evolve(manifest, file=attrs.evolve(manifest.file, compression=CompressionRecord("gzip", 6)))
    assert inline_report(tmp_path / "report.html", packed) is None
    assert inline_report(tmp_path / "none.html", manifest) is None


def test_a_page_of_the_format_html_is_taken(tmp_path: Path) -> None:
    sections = [
        Section("Part", [Panel("Proxies", Figure(5, "ms", "a < b", "bad")),
                         Panel("Days", ReportTable(["Day", "<Runs>"], [["Mon", 5]], ["good"]))])
    ]  # fmt: skip
    file = tmp_path / "report.html"
    with file.open("wb") as output:
        HtmlFormat().write(
            WriteCall([], output, HtmlOptions(), {}, print, Context(), report=Report("Title", sections=sections))
        )
    report = inline_report(file, manifest_for(file.read_bytes()))
    assert report is not None
    assert report.figures == (("Proxies", "\N{BLACK UP-POINTING TRIANGLE} bad 5 ms a < b"),)
    assert html.escape("<Runs>") in report.body
