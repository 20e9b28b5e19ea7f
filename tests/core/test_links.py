"""Download links: what a token says, that nobody can make one up, and what it is good for when it is used."""

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

from tailrace import (
    Engine,
    ExportRequest,
    IntegrityError,
    NotAllowedError,
    RequestError,
    SinkRequest,
    UnknownNameError,
    User,
)
from tailrace.model.audit import AuditRecord
from tailrace.settings import DeliverySettings, Settings
from tailrace.vault.link_tokens import InvalidTokenError, LinkClaim, LinkTokens

NOW = datetime(2026, 8, 20, 12, 0, 0, 750_000, tzinfo=UTC)
ADA, BOB, CY = User("ada", address="192.0.2.7", agent="browser"), User("bob"), User("cy", is_admin=True)
JOB = "12345678-1234-4678-9234-567812345678"
CLAIM = LinkClaim(JOB, 1, "ada", datetime(2026, 8, 20, 12, 15, tzinfo=UTC))
CONTENT = b'{"word":"pump"}\n'


@attrs.define
class Shed:
    """An engine with a clock that can be set, and one export of Ada's."""

    folder: Path
    now: datetime = NOW
    settings: dict[str, Any] = attrs.field(factory=dict)
    made: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine."""
        if self.made is None:
            source = MemorySource([memory_table("rows", {"word": ["pump"]})])
            settings = Settings(home=self.folder / "home", user="ada", **self.settings)
            plugins = [("memory", source), ("lines", LinesFormat()), ("folder", FolderSink())]
            self.made = Engine(settings, plugins=plugins, discover=False, clock=lambda: self.now)
        return self.made

    def export(self) -> str:
        """Export as Ada; returns the job."""
        sink = SinkRequest("folder", str(self.folder / "out"), {"overwrite": True})
        return self.engine.export(
            ExportRequest("memory", "", "lines", sinks=(sink,), compress=False), user=ADA
        ).export_id

    def read(self, token: str, user: User | None = None, **more: Any) -> bytes:
        """What a link leads to."""
        with self.engine.links.open(token, user, **more) as (_file, stream):
            return stream.read()

    def newest(self) -> AuditRecord:
        """The newest entry of the trail."""
        return self.engine.audit.list(CY, limit=1)[0]


@pytest.fixture
def shed(tmp_path: Path) -> Iterator[Shed]:
    made = Shed(tmp_path)
    yield made
    made.engine.store.close()


# --- tokens ---


@pytest.mark.parametrize(
    "user", ["ada", "", "käthe", "u" * 160, "ж" * 255], ids=["plain", "none", "ü", "long", "longest"]
)
def test_a_token_says_what_was_written_into_it(user: str) -> None:
    tokens = LinkTokens(b"k" * 32)
    claim = attrs.evolve(CLAIM, user=user, number=65_535)
    token = tokens.write(claim)
    assert tokens.read(token) == claim
    assert token.isascii()
    assert len(user) > 160 or len(token) < 300


def test_a_token_is_what_the_page_says_it_is() -> None:
    # Written down by hand: as long as this holds, links of yesterday work today.
    token = LinkTokens(bytes(range(32))).write(CLAIM)
    payload = base64.urlsafe_b64decode(token.partition(".")[0] + "==")
    expires = int(CLAIM.expires.timestamp()).to_bytes(8, "big")
    assert payload == b"\x01" + expires + b"\x00\x01" + bytes.fromhex(JOB.replace("-", "")) + b"ada"
    assert len(token) == 84


def test_a_token_of_which_any_character_is_another_one_is_none() -> None:
    tokens = LinkTokens(b"k" * 32)
    token = tokens.write(CLAIM)
    for place, character in enumerate(token):
        for other in "AZaz09-_.=+/ é":
            if other != character:
                with pytest.raises(InvalidTokenError):
                    tokens.read(token[:place] + other + token[place + 1 :])


def test_a_token_that_is_cut_or_longer_is_none() -> None:
    tokens = LinkTokens(b"k" * 32)
    token = tokens.write(CLAIM)
    variants = {token[:end] for end in range(len(token))} | {
        token + more for more in ("A", "=", "\n", ".", "é", "A" * 3000)
    }
    for variant in [*variants, f" {token}", f"\n{token}", token.replace(".", ".."), f"{token}.{token}"]:
        with pytest.raises(InvalidTokenError):
            tokens.read(variant)


def test_a_token_of_another_key_or_purpose_is_none() -> None:
    tokens = LinkTokens(b"k" * 32)
    with pytest.raises(InvalidTokenError):
        tokens.read(LinkTokens(b"l" * 32).write(CLAIM))
    payload, _dot, _mac = tokens.write(CLAIM).partition(".")
    # With the store's key itself, as something else of ours might use it.
    mac = hashlib.blake2b(base64.urlsafe_b64decode(payload + "=="), key=b"k" * 32, digest_size=32).digest()
    with pytest.raises(InvalidTokenError):
        tokens.read(f"{payload}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")


def test_a_token_of_a_newer_version_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = LinkTokens(b"k" * 32)
    with monkeypatch.context() as newer:
        newer.setattr("tailrace.vault.link_tokens._VERSION", 2)
        token = tokens.write(CLAIM)
    with pytest.raises(InvalidTokenError):
        tokens.read(token)


# --- minting ---


def test_a_link_leads_to_the_file_for_as_long_as_the_settings_say(shed: Shed) -> None:
    shed.settings = {"delivery": DeliverySettings(link="https://exports.example.com/", link_lifetime=60.0)}
    job = shed.export()
    link = shed.engine.links.mint(job, ADA)
    assert link.url == f"https://exports.example.com/api/v1/downloads/{link.token}"
    assert link.expires == NOW.replace(microsecond=0) + timedelta(seconds=60)
    entry = shed.newest()
    assert (entry.user, entry.operation, entry.outcome, entry.job) == ("ada", "link.mint", "ok", job)
    assert (entry.address, entry.agent) == ("192.0.2.7", "browser")
    assert entry.parameters == {"number": 1, "expires": "2026-08-20T12:01:00.000000Z"}
    assert shed.read(link.token) == CONTENT
    shed.now = link.expires - timedelta(microseconds=1)
    assert shed.read(link.token, ADA) == CONTENT


def test_a_link_shows_its_token_nowhere(shed: Shed, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    shed.settings = {"delivery": DeliverySettings(link="https://exports.example.com")}
    link = shed.engine.links.mint(shed.export(), ADA)
    shed.read(link.token)
    shown = [repr(link), repr(shed.engine.links), repr(shed.engine.audit.list(CY)), caplog.text]
    assert not [text for text in shown if link.token in text or link.token.partition(".")[2] in text]
    assert not [path for path in shed.folder.rglob("*") if path.is_file() and link.token.encode() in path.read_bytes()]


def test_without_an_address_a_link_is_its_token(shed: Shed) -> None:
    link = shed.engine.links.mint(shed.export(), ADA)
    assert link.url == ""
    assert link.expires == NOW.replace(microsecond=0) + timedelta(seconds=900)


@pytest.mark.parametrize("lifetime", [0.5, 0.0, -1.0, 86_401.0, float("inf"), float("nan")])
def test_a_link_lives_for_a_second_to_a_day(shed: Shed, lifetime: float) -> None:
    job = shed.export()
    with pytest.raises(RequestError, match="1 to 86400 seconds"):
        shed.engine.links.mint(job, ADA, lifetime=lifetime)
    assert shed.engine.links.mint(job, ADA, lifetime=86_400.0).expires == NOW.replace(microsecond=0) + timedelta(days=1)


def test_a_link_lives_longer_where_the_settings_say_so(shed: Shed) -> None:
    shed.settings = {"delivery": DeliverySettings(link_lifetime=200_000.0)}
    job = shed.export()
    assert shed.engine.links.mint(job, ADA).expires > NOW + timedelta(days=2)
    with pytest.raises(RequestError):
        shed.engine.links.mint(job, ADA, lifetime=200_001.0)


def test_what_there_is_not_gets_no_link(shed: Shed) -> None:
    job = shed.export()
    for number in (0, 2, -1):
        with pytest.raises(RequestError, match="has no file"):
            shed.engine.links.mint(job, ADA, number=number)
    for unknown in (JOB, job[:8], ""):
        with pytest.raises(UnknownNameError):
            shed.engine.links.mint(unknown, ADA)
    with pytest.raises(NotAllowedError):
        shed.engine.links.mint(job, BOB)
    assert (shed.newest().user, shed.newest().operation, shed.newest().outcome) == ("bob", "link.mint", "refused")
    shed.engine.retention.remove_files(job, ADA)
    with pytest.raises(RequestError, match="has no file 1"):
        shed.engine.links.mint(job, ADA)


# --- using ---


def test_each_use_is_audited_as_a_download_by_link(shed: Shed) -> None:
    job = shed.export()
    token = shed.engine.links.mint(job, ADA).token
    shed.read(token, address="198.51.100.4")
    entry = shed.newest()
    assert (entry.user, entry.operation, entry.outcome, entry.job) == ("ada", "file.download", "ok", job)
    assert (entry.address, entry.agent, entry.size) == ("198.51.100.4", "download link", len(CONTENT))
    shed.read(token, ADA)
    assert (shed.newest().address, shed.newest().agent) == ("192.0.2.7", "download link, browser")


@pytest.mark.parametrize("seconds", [0, 1, 10_000])
def test_a_link_whose_time_is_over_is_refused(shed: Shed, seconds: float) -> None:
    link = shed.engine.links.mint(shed.export(), ADA)
    shed.now = link.expires + timedelta(seconds=seconds)
    with pytest.raises(NotAllowedError, match="is over") as caught:
        shed.read(link.token, ADA)
    assert caught.value.hint == "Ask for a new one."
    entry = shed.newest()
    assert (entry.user, entry.outcome, entry.thing) == ("ada", "refused", "a link of ada")
    assert entry.error == "The time of this download link is over."
    assert link.token not in caught.value.message


def test_what_is_no_link_is_refused_and_audited(shed: Shed, tmp_path: Path) -> None:
    job = shed.export()
    other = Shed(tmp_path / "other")
    foreign = other.engine.links.mint(other.export(), ADA).token
    other.engine.store.close()
    for token in (foreign, "", "x", shed.engine.links.mint(job, ADA).token[:-1]):
        with pytest.raises(NotAllowedError, match="no download link of this store"):
            shed.read(token, address="198.51.100.4")
        entry = shed.newest()
        assert (entry.user, entry.operation, entry.outcome) == ("", "file.download", "refused")
        assert (entry.job, entry.address, entry.agent) == (None, "198.51.100.4", "download link")


def test_a_link_is_good_for_its_user_only_where_that_is_known(shed: Shed) -> None:
    job = shed.export()
    token = shed.engine.links.mint(job, ADA).token
    for somebody in (BOB, CY, User("")):
        with pytest.raises(NotAllowedError, match="somebody else's"):
            shed.read(token, somebody)
        entry = shed.newest()
        assert (entry.user, entry.outcome, entry.job, entry.thing) == (somebody.id, "refused", job, "a link of ada")


def test_the_link_of_an_admin_is_good_while_they_are_one(shed: Shed) -> None:
    job = shed.export()
    token = shed.engine.links.mint(job, CY).token
    assert shed.read(token, CY) == CONTENT
    assert shed.read(token, is_admin=True) == CONTENT
    with pytest.raises(NotAllowedError):
        shed.read(token, User("cy"))
    with pytest.raises(NotAllowedError):
        shed.read(token)
    entry = shed.newest()
    assert (entry.user, entry.operation, entry.outcome, entry.agent) == (
        "cy",
        "file.download",
        "refused",
        "download link",
    )
    # One entry for each refusal, though two had a hand in it.
    refused = [one for one in shed.engine.audit.list(CY) if one.outcome == "refused"]
    assert len(refused) == 2


def test_the_link_of_an_admin_is_good_where_the_settings_name_them(shed: Shed) -> None:
    shed.settings = {"admins": ("cy",)}
    token = shed.engine.links.mint(shed.export(), CY).token
    assert shed.read(token) == CONTENT


def test_what_is_gone_by_now_is_said_as_for_any_download(shed: Shed) -> None:
    job = shed.export()
    token = shed.engine.links.mint(job, ADA).token
    (file,) = shed.engine.jobs.files(job, ADA)
    file.path.write_bytes(b"something else")
    with pytest.raises(IntegrityError):
        shed.read(token)
    assert (shed.newest().outcome, shed.newest().job) == ("failed", job)
    assert "not the file that was exported" in shed.newest().error
    shed.export()
    second = shed.export()
    token = shed.engine.links.mint(second, ADA).token
    shed.engine.retention.remove_files(second, ADA)
    with pytest.raises(RequestError, match="was removed on"):
        shed.read(token)
    shed.engine.jobs.remove(second, ADA)
    with pytest.raises(UnknownNameError):
        shed.read(token)
    assert (shed.newest().user, shed.newest().outcome, shed.newest().thing) == ("ada", "failed", "a link of ada")
