"""The sink ``email`` without a server: addresses, settings, subjects, sizes, and what a mail says."""

import math
import re
import socket
import string
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tailrace_sink_email import tailrace_sink
from tailrace_sink_email.addresses import mailbox
from tailrace_sink_email.answers import read, spellings
from tailrace_sink_email.harmless import one_line
from tailrace_sink_email.letter import about_event, about_file
from tailrace_sink_email.rendering import as_html, as_text
from tailrace_sink_email.settings import EmailSettings, Server
from tailrace_sink_email.sink import EmailSink
from tailrace_sink_email.time_limit import TimeLimit

from tailrace import (
    Addressed,
    Configurable,
    ConfigurationError,
    Context,
    CredentialMode,
    DeliverCall,
    Fit,
    FitCall,
    Manifest,
    Message,
    Messenger,
    OptionError,
    Parcel,
    RequestError,
    Sink,
    SizeJudge,
    StagingCall,
    TargetChecker,
    UnknownNameError,
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
from tailrace.model.options import build_options, public_options

SINK = EmailSink()
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "email.md"
READY = {"host": "mail.example.com", "sender": "Exports <exports@example.com>"}
MANIFEST = Manifest(
    schema_version=2,
    tailrace_version="0.1.0",
    export_id="0198c0de",
    created=datetime(2026, 11, 23, 10, 15, tzinfo=UTC),
    user="alice",
    source=SourceRecord(PluginRecord("pool", "tailrace-source-pool", "0.1.0"), "proxywhirl:///pool.db", "1"),
    format=PluginRecord("csv", "tailrace-format-csv", "0.1.0"),
    format_options={},
    parameters={"where": ["country = 'DE'"], "limit": None},
    time_range=RangeRecord("last_seen", datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)),
    time_zone="UTC",
    credentials=CredentialMode.SANITIZED,
    tables=(TableRecord("proxies", (), RowCounts(412_345, 0, 412_345, 412_345)),),
    file=FileRecord(
        "pool_20261123T101500Z_alice.csv.gz",
        "text/csv",
        120_000_000,
        "0" * 64,
        31_000_000,
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        CompressionRecord("gzip", 6),
    ),
)


def settings(**changes: Any) -> EmailSettings:
    return build_options(EmailSettings, changes, owner="sink email")


def options(**changes: Any) -> Any:
    return build_options(SINK.options_type, changes, owner="sink email")


def staging(target: str | None, *, chosen: EmailSettings | None = None, **changes: Any) -> StagingCall:
    return StagingCall(target, options(**changes), {}, settings=chosen)


def recipients(target: str | None) -> list[str]:
    return list(SINK.recipients(staging(target)))


def test_it_is_a_sink_with_all_that_belongs_to_mail() -> None:
    sink = tailrace_sink()
    for contract in (Sink, TargetChecker, Configurable, Addressed, SizeJudge, Messenger):
        assert isinstance(sink, contract)
    assert sink.summary


def test_listing_it_loads_nothing_that_sends() -> None:
    heavy = {"smtplib", "ssl", "email.message", "httpx", "polars"}
    code = f"import sys, tailrace_sink_email; print({heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# --- addresses


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("ann@example.com", ["ann@example.com"]),
        (" Ann@EXAMPLE.Com ,\tbob@example.com,", ["Ann@example.com", "bob@example.com"]),
        ("ann@example.com,ann@EXAMPLE.COM", ["ann@example.com"]),
        ("ann@localhost", ["ann@localhost"]),
        ("o'hara+exports=x!#$%&*/?^_`{|}~-@a-b.example", ["o'hara+exports=x!#$%&*/?^_`{|}~-@a-b.example"]),
        ("ann@Bücher.example", ["ann@xn--bcher-kva.example"]),
        ("ann@例え。テスト", ["ann@xn--r8jz45g.xn--zckzah"]),
        ("zoë@example.com", ["zoë@example.com"]),
        ("a" * 64 + "@" + ".".join(["b" * 61] * 3) + ".abc", ["a" * 64 + "@" + ".".join(["b" * 61] * 3) + ".abc"]),
    ],
)
def test_addresses_that_are_taken(target: str, expected: list[str]) -> None:
    assert recipients(target) == expected
    assert recipients(",".join(expected)) == expected


@pytest.mark.parametrize(
    "address",
    [
        "ann",
        "@example.com",
        "ann@",
        "ann@@example.com",
        "ann@bob@example.com",
        "ann @example.com",
        "ann@exa mple.com",
        "ann@example.com\r\nBcc: evil@example.net",
        "ann\r\n@example.com",
        "ann\n@example.com",
        "ann@example.com\n",
        "ann@example.com\x00",
        "a\x7fnn@example.com",
        "a\u202enn@example.com",
        "a\u200dnn@example.com",
        "a\u00a0nn@example.com",
        "a\ud800nn@example.com",
        "ann@example.com>",
        "<ann@example.com>",
        "Ann <ann@example.com>",
        '"ann"@example.com',
        "ann(comment)@example.com",
        "ann;bob@example.com",
        "@example.org:ann@example.com",
        "ann..bob@example.com",
        ".ann@example.com",
        "ann.@example.com",
        "=?utf-8?q?ann?=@example.com",
        "ann@example..com",
        "ann@.example.com",
        "ann@example.com.",
        "ann@-example.com",
        "ann@example-.com",
        "ann@exam_ple.com",
        "ann@[127.0.0.1]",
        "ann@straße.example",
        "ann@a\u200db.example",
        "ann@ü\u2024\u2024x.example",
        "ann@\u2488com",
        "ann@" + "a" * 64 + ".com",
        "ann@" + "ü" * 64 + ".com",
        "ann@" + ".".join(["a" * 60] * 5),
        "a" * 65 + "@example.com",
        "ä" * 33 + "@example.com",
        "a" * 64 + "@" + ".".join(["b" * 61] * 3) + ".abcde",
    ],
)
def test_addresses_that_are_refused(address: str) -> None:
    for target in (address, f"bob@example.com,{address}"):
        for ask in (recipients, lambda text: SINK.check_target(staging(text)), lambda text: SINK.addressee(text, None)):
            with pytest.raises(RequestError) as caught:
                ask(target)
            assert caught.value.hint
            assert f"{caught.value.message}{caught.value.hint}".isprintable()
            assert len(caught.value.message) < 250


@pytest.mark.parametrize("target", [None, "", " ", ",", " , ,"])
def test_nobody_is_refused(target: str | None) -> None:
    with pytest.raises(RequestError, match="nobody to send mail to") as caught:
        recipients(target)
    assert "email:ann@example.com" in caught.value.hint


def test_a_hundred_addresses_and_no_more() -> None:
    many = [f"n{number}@example.com" for number in range(101)]
    assert recipients(",".join(many[:100])) == many[:100]
    with pytest.raises(RequestError, match="these are 101"):
        recipients(",".join(many))


def test_a_message_has_one_addressee() -> None:
    assert SINK.addressee("Ann@EXAMPLE.com", settings()) == "Ann@example.com"
    with pytest.raises(RequestError, match="one address"):
        SINK.addressee("ann@example.com,bob@example.com", settings())


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_passes_is_one_word_for_the_wire(local: str, domain: str) -> None:
    try:
        found = recipients(f"{local}@{domain}")
    except RequestError:
        return
    for address in found:
        assert not set(address) & set(string.whitespace + '<>(),;:"\\')
        assert address.isprintable()
        assert address.rpartition("@")[2].isascii()
        assert recipients(address) == [address]


@pytest.mark.parametrize(
    ("text", "address", "name"),
    [
        ("exports@EXAMPLE.com", "exports@example.com", ""),
        ("Exports <exports@example.com>", "exports@example.com", "Exports"),
        ('"Doe, Jane" < exports@example.com >', "exports@example.com", "Doe, Jane"),
        ("<exports@example.com>", "exports@example.com", ""),
    ],
)
def test_senders(text: str, address: str, name: str) -> None:
    box = mailbox(text)
    assert (box.address, box.name, box.domain) == (address, name, "example.com")


# --- settings


def test_defaults() -> None:
    chosen = settings()
    assert (chosen.security, chosen.limit, chosen.timeout, chosen.unverified) == ("starttls", 25_000_000, 30.0, ())
    assert [Server(settings(**extra), mailbox("a@b"), None, None).port for extra in ({}, {"security": "tls"})] == [
        587,
        465,
    ]
    assert Server(settings(port=25), mailbox("a@b"), None, None).port == 25


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", "mail.example.com:25 x"),
        ("host", "https://mail.example.com"),
        ("host", "mail.example.com\r\n"),
        ("host", "a" * 64 + ".example"),
        ("host", "a." * 200),
        ("port", -1),
        ("port", 65536),
        ("security", "none"),
        ("sender", "exports"),
        ("sender", "zoë@example.com"),
        ("sender", "a <b <c@example.com>>"),
        ("reply_to", "ops@"),
        ("subject", "{nothing}"),
        ("subject", "{source"),
        ("limit", 0),
        ("timeout", 0.0),
        ("timeout", math.nan),
        ("total_timeout", -1.0),
        ("local_hostname", "a b"),
        ("local_hostname", "a\r\nRSET"),
    ],
)
def test_settings_that_can_never_work(name: str, value: Any) -> None:
    with pytest.raises(OptionError) as caught:
        settings(**{name: value})
    assert caught.value.option == name


def test_the_password_is_never_shown() -> None:
    chosen = settings(password="hunter2 in clear")
    assert "hunter2" not in repr(chosen)
    assert public_options(chosen)["password"] == "***"
    server = Server(chosen, mailbox("a@b"), None, "revealed")
    assert "revealed" not in repr(server)


@pytest.mark.parametrize(
    ("given_settings", "missing"),
    [
        ({}, "sinks.email.host is not set"),
        ({"host": "mail.example.com"}, "sinks.email.sender is not set"),
        ({"user": "exporter", **READY}, "does not say where the password is"),
        ({"user": "exporter", "password": "hunter2", **READY}, "does not say where the password is"),
    ],
)
def test_what_is_missing_is_said_before_the_work(given_settings: dict[str, str], missing: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(missing)) as caught:
        SINK.staging(staging("ann@example.com", chosen=settings(**given_settings)))
    assert "hunter2" not in f"{caught.value.message}{caught.value.hint}"
    parcel = Parcel(Path("nothing"), MANIFEST, {})
    call = DeliverCall(parcel, "ann@example.com", options(), Context(), settings=settings(**given_settings))
    with pytest.raises(ConfigurationError, match=re.escape(missing)):
        SINK.deliver_each(call)


def test_without_settings_there_is_no_server() -> None:
    call = DeliverCall(Parcel(Path("nothing"), MANIFEST, {}), "ann@example.com", options(), Context())
    with pytest.raises(ConfigurationError, match=r"sinks\.email\.host"):
        SINK.deliver_each(call)


def test_files_may_be_made_anywhere() -> None:
    sink: Sink = SINK
    for chosen in (settings(**READY), None):
        assert sink.staging(staging("ann@example.com", chosen=chosen)) is None


# --- subjects


def subject_of(pattern: str, manifest: Manifest = MANIFEST, **fields: str) -> str:
    from tailrace_sink_email.subjects import subject

    return subject(pattern, fields, manifest)


def test_placeholders_are_filled_in() -> None:
    SINK.check_target(staging("ann@example.com", subject="{source} {user} {date} {rows} {{x}} {format} {table}"))
    assert subject_of("{source}: {rows} rows of {date} {{x}} {table}", source="pool") == (
        "pool: 412,345 rows of 2026-11-23 {x}"
    )
    assert subject_of("{user} {{}}", user="{rows} " + "x" * 200) == "{rows} " + "x" * 92 + "… {}"


@pytest.mark.parametrize("pattern", ["{source", "source}", "{source!r}", "{source:>9}", "{user:{id}}"])
def test_patterns_that_are_none(pattern: str) -> None:
    with pytest.raises(OptionError) as caught:
        SINK.check_target(staging("ann@example.com", subject=pattern))
    assert caught.value.option == "subject"


@pytest.mark.parametrize("name", ["", "0", "sorce", "source.__class__", "source[0]"])
def test_placeholders_that_do_not_exist(name: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        SINK.staging(staging("ann@example.com", subject=f"x {{{name}}}"))
    assert "source" in caught.value.hint


# --- harmless text


@given(st.text(max_size=200), st.integers(1, 50))
def test_any_text_becomes_one_line(text: str, most: int) -> None:
    line = one_line(text, most=most)
    assert len(line) <= most
    assert not {character for character in line if character in "\r\n\t\0\u2028\u2029\u202e"}
    assert "=?" not in line
    line.encode()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("  a \r\n\t b\u00a0c ", "a b c"),
        ("a\u202eb\u200bc\ufeff", "abc"),
        ("👩\u200d👧 \ud800", "👩\u200d👧 \ufffd"),
        ("=?x?=", "= ?x?="),
        ("abcdefghijkl", "abcdefghi…"),
    ],
)
def test_what_is_left_of_a_text(text: str, line: str) -> None:
    assert one_line(text, most=10) == line


def test_passwords_are_taken_out_of_answers() -> None:
    hidden = spellings("user", "se cret")
    assert read(250, b"a se cret, c2UgY3JldA== AHVzZXIAc2UgY3JldA==\nb", hidden).text == "a ***, *** *** b"
    assert spellings("user", "") == ("AHVzZXIA",)


# --- sizes


def fit(count: int, *, limit: int = 25_000_000, chosen: EmailSettings | None = None, **changes: Any) -> Fit:
    return SINK.fits(FitCall(count, "pool.csv", None, options(**changes), chosen or settings(limit=limit)))


def test_a_file_fits_once_encoded() -> None:
    assert fit(2_500_000) == Fit(
        "e-mail", fits=True, text="As an attachment it has 3.43 MB, and mails may have 25.0 MB."
    )
    assert fit(25_000_000) == Fit(
        "e-mail",
        fits=False,
        text="As an attachment it would have 34.2 MB, and mails may have 25.0 MB: it goes as a link.",
    )
    assert fit(10**12, attach="never").fits
    assert SINK.fits(FitCall(10**9, "pool.csv", None, options())).fits is False


def test_close_to_the_limit_the_figures_differ() -> None:
    whole = 4 * 1_000_000 + 2 * 52632 + 12_000
    assert fit(3_000_000, limit=whole).fits
    refused = fit(3_000_000, limit=whole - 1)
    assert not refused.fits
    assert refused.text == (
        f"As an attachment it would have {whole:,} bytes, and mails may have {whole - 1:,} bytes: it goes as a link."
    )


# --- what a mail says


def letter_of(manifest: Manifest = MANIFEST, *, link: str = "", why: str = "") -> Any:
    call = DeliverCall(
        Parcel(Path("nothing"), manifest, {}),
        "ann@example.com",
        options(message="The proxies you asked for."),
        Context(),
        link=link,
    )
    return about_file(call, "Export of pool, 2026-11-23", why_not_attached=why)


def test_the_page_shows_a_mail_as_it_is() -> None:
    letter = letter_of(
        link="https://exports.example.com/files/0198c0de",
        why="The file has 31.0 MB, 42.4 MB as an attachment, and mail.example.com takes 25.0 MB.",
    )
    assert f"```text\n{as_text(letter)}```\n" in PAGE.read_text()


def test_what_there_is_not_is_not_said() -> None:
    manifest = attrs.evolve(MANIFEST, time_range=None, parameters={}, tables=())
    text = as_text(letter_of(attrs.evolve(manifest, file=attrs.evolve(MANIFEST.file, compression=None))))
    for word in ("Range", "Filter", "Columns", "Rows", "gzip", "Download", "*"):
        assert word not in text
    assert "Format       csv\n" in text


def test_many_tables_and_notes_are_cut() -> None:
    tables = tuple(TableRecord(f"t{number}", (), RowCounts(1, 0, 1, 1)) for number in range(45))
    letter = letter_of(attrs.evolve(MANIFEST, tables=tables, notes=tuple(f"note {number}" for number in range(20))))
    assert ("Rows of t39", "1") in letter.facts
    assert ("More tables", "5") in letter.facts
    assert letter.notes == (*(f"note {number}" for number in range(10)), "…")


def test_commands_in_messages_are_not_broken() -> None:
    job = "0198c0de-0000-7000-8000-000000000000"
    text = f"It could not be delivered everywhere.\nSend what did not arrive: tailrace jobs resend {job} --failed"
    message = Message("failed", "An export", text, {}, "", datetime(2026, 11, 23, 10, 15, tzinfo=UTC))
    shown = as_text(about_event(message))
    assert f"Send what did not arrive:\n  tailrace jobs resend {job} --failed\n" in shown
    assert shown.count("tailrace jobs resend") == 1


def test_a_message_without_facts_or_link() -> None:
    message = Message(
        "completed", "Done", "One.\nTwo.", {"job": "1", "SHA-256": "x"}, "", datetime(2026, 11, 23, tzinfo=UTC)
    )
    letter = about_event(message)
    assert letter.link is None
    assert letter.facts == (("Job", "1"), ("SHA-256", "x"), ("When", "2026-11-23 00:00 UTC"))
    bare = attrs.evolve(letter, facts=())
    assert as_text(bare) == "Done\n\nOne.\n\nTwo.\n\n-- \nSent by Tailrace, automatically: completed.\n"
    assert "<table" not in as_html(bare)


# --- time


def test_a_connection_is_cut_when_the_time_is_up() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, TimeLimit(0.05) as limit:
        limit.guard(ours)
        theirs.settimeout(5)
        assert theirs.recv(1) == b""
        assert limit.is_up


def test_a_connection_that_comes_too_late_is_cut_at_once() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, TimeLimit(0.01) as limit:
        while not limit.is_up:
            time.sleep(0.005)
        limit.guard(ours)
        theirs.settimeout(5)
        assert theirs.recv(1) == b""


def test_a_connection_in_time_is_left_alone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with TimeLimit(60) as limit:
            limit.guard(ours)
        assert not limit.is_up
        ours.sendall(b"x")
        assert theirs.recv(1) == b"x"
