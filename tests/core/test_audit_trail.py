"""The audit trail for those who use it: who may look, and what manifests prove about it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest

from tailrace.files.publish import manifest_path
from tailrace.model.audit import BEGINNING, AuditEntry, AuditFilter
from tailrace.model.context import Context, Progress
from tailrace.model.errors import CancelledError, NotAllowedError
from tailrace.model.job import User
from tailrace.model.manifest import SCHEMA_VERSION, FileRecord, Manifest, PluginRecord, SourceRecord, encode_manifest
from tailrace.model.request import CredentialMode
from tailrace.store.database import Store
from tailrace.work.access import Access
from tailrace.work.trail import AuditTrail, TrailReport

NOW = datetime(2026, 8, 15, 6, tzinfo=UTC)
ADMIN = User("root", is_admin=True, address="192.0.2.1", agent="a test")
ADA, BOB = User("ada"), User("bob")


def fixed(now: datetime = NOW) -> Callable[[], datetime]:
    return lambda: now


@pytest.fixture
def trail(tmp_path: Path) -> AuditTrail:
    store = Store(f"sqlite:///{tmp_path}/home/tailrace.db", clock=fixed())
    return AuditTrail(store, Access(store))


def entry(user: str = "ada", operation: str = "export") -> AuditEntry:
    return AuditEntry(user, operation, "ok")


def exported(path: Path, audit: str | None, *, created: datetime = NOW) -> Path:
    """A file with a manifest that says after which entry it was made."""
    plugin = PluginRecord("memory", "made-up", "1")
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        tailrace_version="1",
        export_id="1",
        created=created,
        user="ada",
        source=SourceRecord(plugin, "memory://", ""),
        format=plugin,
        format_options={},
        parameters={},
        time_range=None,
        time_zone="UTC",
        credentials=CredentialMode.SANITIZED,
        tables=(),
        file=FileRecord(path.name, "text/plain", 1, "0" * 64, 1, "0" * 64, None),
        audit=audit,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    manifest_path(path).write_bytes(encode_manifest(manifest))
    return path


def tamper(trail: AuditTrail, *statements: str) -> None:
    with trail.store.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER IF EXISTS audit_kept")
        connection.exec_driver_sql("DROP TRIGGER IF EXISTS audit_unchanged")
        for statement in statements:
            connection.exec_driver_sql(statement)


def details(report: TrailReport) -> list[tuple[str, str, str]]:
    return [(check.path.name, check.verdict, check.detail) for check in report.manifests]


def test_an_admin_sees_everything_and_others_their_own(trail: AuditTrail) -> None:
    for user in ("ada", "bob", "ada"):
        trail.record(entry(user))
    assert [one.user for one in trail.list(ADMIN)] == ["ada", "bob", "ada"]
    assert [one.number for one in trail.list(ADMIN, AuditFilter(user="bob"))] == [2]
    assert [one.number for one in trail.list(ADA, AuditFilter(user="ada"), limit=1)] == [3]
    refused = ((ADA, AuditFilter()), (ADA, AuditFilter(user="bob")), (None, AuditFilter(user="")))
    for who, asked in refused:
        with pytest.raises(NotAllowedError):
            trail.list(who, asked)
    refusals = trail.list(ADMIN, AuditFilter(outcome="refused"))
    assert [(one.user, one.operation) for one in refusals] == [
        ("", "audit.list-all"),
        ("ada", "audit.list-all"),
        ("ada", "audit.list-all"),
    ]


def test_a_user_whose_name_does_not_print_finds_their_own_entries(trail: AuditTrail) -> None:
    trail.record(entry("a\u202eda"))
    trail.record(entry(r"a\u202eda"))
    assert [one.number for one in trail.list(User("a\u202eda"), AuditFilter(user="a\u202eda"))] == [1]


def test_verifying_is_for_admins_and_recorded(trail: AuditTrail) -> None:
    newest = trail.record(entry())
    with pytest.raises(NotAllowedError, match="ada may not check that the audit trail"):
        trail.verify(ADA)
    tamper(trail, "DELETE FROM audit WHERE number = 2")
    assert trail.verify(ADMIN).ok
    tamper(trail, "UPDATE audit SET thing = 'x' WHERE number = 1")
    assert not trail.verify(ADMIN).ok
    broken, sound, _first = trail.list(ADMIN)
    assert (sound.user, sound.operation, sound.outcome, sound.address) == ("root", "audit.verify", "ok", "192.0.2.1")
    assert sound.parameters == {"entries": 1, "newest": newest, "manifests": 0}
    assert (broken.outcome, broken.error) == ("failed", "the chain is broken from entry 1 on")


def test_manifests_fit_to_the_trail_that_they_were_made_with(trail: AuditTrail, tmp_path: Path) -> None:
    first = exported(tmp_path / "first.csv", BEGINNING)
    second = exported(tmp_path / "second.csv", trail.record(entry()))
    third = exported(tmp_path / "third.csv", trail.record(entry()))
    without = exported(tmp_path / "without.csv", None)
    report = trail.verify(ADMIN, manifests=[first, second, manifest_path(third), without])
    assert details(report) == [
        ("first.csv", "known", "made before any entry"),
        ("second.csv", "known", "made after entry 1"),
        ("third.csv", "known", "made after entry 2"),
        ("without.csv", "none", "made without an audit trail"),
    ]
    assert report.ok


def test_a_manifest_finds_out_a_trail_that_was_cut_at_its_end(trail: AuditTrail, tmp_path: Path) -> None:
    for _ in range(3):
        trail.record(entry())
    file = exported(tmp_path / "out.csv", trail.record(entry("mallory")), created=NOW + timedelta(seconds=1))
    tamper(trail, "DELETE FROM audit WHERE number = 4")
    report = trail.verify(ADMIN, manifests=[file])
    assert report.chain.ok
    assert not report.ok
    ((_name, verdict, detail),) = details(report)
    assert verdict == "unknown"
    assert detail.startswith("made on 2026-08-15 at 06:00:01 UTC, after the newest entry there is: the trail was cut")
    assert trail.list(ADMIN)[0].error == "1 of 1 manifests do not fit"


def test_a_manifest_finds_out_a_trail_that_was_written_anew(trail: AuditTrail, tmp_path: Path) -> None:
    trail.record(entry())
    file = exported(tmp_path / "out.csv", trail.record(entry("mallory")), created=NOW - timedelta(seconds=1))
    tamper(trail, "DELETE FROM audit")
    trail.record(entry())
    trail.record(entry("somebody else"))
    report = trail.verify(ADMIN, manifests=[file])
    assert report.chain.ok
    assert "the trail was rewritten" in report.manifests[0].detail
    assert not report.ok


def test_a_trail_that_was_emptied_is_found_out(trail: AuditTrail, tmp_path: Path) -> None:
    file = exported(tmp_path / "out.csv", trail.record(entry()))
    tamper(trail, "DELETE FROM audit")
    report = trail.verify(ADMIN, manifests=[file])
    assert (report.chain.entries, report.chain.ok, report.ok) == (0, True, False)
    assert "cut at its end" in report.manifests[0].detail


def test_a_folder_is_looked_through_and_what_cannot_be_read_is_told(trail: AuditTrail, tmp_path: Path) -> None:
    known = trail.record(entry())
    folder = tmp_path / "exports"
    exported(folder / "b.csv", known)
    exported(folder / "2026" / "a.csv", "f" * 64)
    manifest_path(exported(folder / "2026" / "c.csv", known)).write_text("{")
    (folder / "2026" / "round").symlink_to(folder, target_is_directory=True)
    (folder / "notes.txt").write_text("x")
    report = trail.verify(ADMIN, manifests=[folder, tmp_path / "missing.csv", folder / "notes.txt", tmp_path / "home"])
    assert [(name, verdict) for name, verdict, _detail in details(report)] == [
        ("b.csv", "known"),
        ("a.csv", "unknown"),
        ("c.csv.manifest.json", "unreadable"),
        ("missing.csv", "unreadable"),
        ("notes.txt", "unreadable"),
    ]
    assert "does not exist" in report.manifests[3].detail
    assert "has no manifest beside it" in report.manifests[4].detail


def test_verifying_tells_how_far_it_is_and_can_be_stopped(trail: AuditTrail) -> None:
    for _ in range(3):
        trail.record(entry())
    seen: list[Progress] = []
    trail.verify(ADMIN, context=Context(on_progress=seen.append))
    assert seen[0].total_rows == 3
    stopped = Context()
    stopped.cancel()
    with pytest.raises(CancelledError):
        trail.verify(ADMIN, context=stopped)
    assert [one.operation for one in trail.list(ADMIN, AuditFilter(operation="audit.verify"))] == ["audit.verify"]


def test_those_who_append_do_not_wait_for_a_verification(trail: AuditTrail) -> None:
    trail.record(entry())
    other = AuditTrail(Store(trail.store._url.render_as_string(), busy_seconds=0.2), trail.access)  # noqa: SLF001
    appended: list[str] = []

    def append(_progress: Progress) -> None:
        if not appended:
            appended.append(other.record(entry("bob")))

    assert trail.verify(ADMIN, context=Context(on_progress=append)).ok
    assert trail.list(ADMIN)[1].hash == appended[0]


def test_a_report_is_plain_values() -> None:
    from tailrace.model.audit import ChainReport
    from tailrace.model.convert import unstructure

    report = TrailReport(ChainReport(1, BEGINNING, NOW, gaps=((1, 2),), faults=1, first=1))
    assert unstructure(report)["chain"]["gaps"] in ([[1, 2]], [(1, 2)], ((1, 2),))
    assert unstructure(attrs.evolve(report))["chain"]["moment"] == "2026-08-15T06:00:00.000000Z"
