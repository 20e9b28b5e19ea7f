"""``tailrace audit``, as it is typed and as it answers."""

import io
import json
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from cyclopts import App

from tailrace import JobResult, User
from tailrace.cli.session import Common, Session
from tailrace.cli.terminal import Terminal
from tailrace.model.audit import AuditEntry
from tailrace.model.errors import NotAllowedError, RequestError
from tailrace.model.job import Timings
from tailrace.model.request import ExportRequest, SinkRequest
from tailrace.plugins.registry import Registry
from tailrace.settings import Settings
from tailrace.store.database import Store
from tailrace.work.access import Access
from tailrace.work.trail import AuditTrail

NOW = datetime(2026, 8, 15, 6, tzinfo=UTC)
ADMIN, ADA = User("root", is_admin=True), User("ada")

app = App(name="audit")
app.command("tailrace.cli.audit:list_entries", name="list")
app.command("tailrace.cli.audit:verify", name="verify")
app.command("tailrace.cli.audit:export", name="export")


@attrs.define
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


@attrs.define
class Shell:
    """Runs the command against a trail.

    Args:
        trail: The trail.
    """

    trail: AuditTrail
    requests: list[tuple[ExportRequest, User]] = attrs.field(factory=list)

    def run(self, words: str, user: User = ADMIN) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        out, err = io.StringIO(), io.StringIO()
        command, bound, _injected = app.parse_args(shlex.split(words), exit_on_error=False, print_error=False)
        common = bound.arguments.get("common", Common())
        session = Session(Terminal(out, err, json=common.json), common)
        engine = SimpleNamespace(audit=self.trail, export_audit=self._export, registry=Registry())
        vars(session).update(engine=engine, user=user, settings=Settings())
        return command(*bound.args, **bound.kwargs, session=session), out.getvalue(), err.getvalue()

    def _export(self, request: ExportRequest, *, user: User, context: Any) -> JobResult:
        context.check()
        self.requests.append((request, user))
        return JobResult("1", NOW, NOW + timedelta(seconds=1), (), Timings(0, 0, 0, 0, 0), notes=("made up",))


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("COLUMNS", "80")
    store = Store(f"sqlite:///{tmp_path}/home/tailrace.db", clock=Clock())
    shell = Shell(AuditTrail(store, Access(store)))
    record = shell.trail.record
    record(AuditEntry("ada", "export", "ok", job="1b9d6bcd-bbfd", source="pool", format="csv", rows=1234, size=45_000))
    record(
        AuditEntry("bob", "job.cancel", "refused", job="1b9d6bcd-bbfd", error="Only who created it, and admins, may.")
    )
    record(AuditEntry("a" * 300, "template.use", "failed", thing="template \x1b[2Jnightly\n", error="gone wrong " * 30))
    return shell


def test_entries_take_a_line_each_and_fit_the_screen(shell: Shell) -> None:
    code, out, err = shell.run("list")
    assert code == 0
    assert err == ""
    lines = out.splitlines()
    assert len(lines) == 4
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].split() == ["entry", "when", "(UTC)", "user", "operation", "what"]
    assert lines[1].startswith("    3  2026-08-15 06:03:00  aaaaaaaaaaa…  template.use  failed: gone wrong gon")
    assert lines[2].startswith("    2  2026-08-15 06:02:00  bob           job.cancel    refused: Only who creat…")
    assert lines[3].startswith("    1  2026-08-15 06:01:00  ada           export        pool → csv, 1,234 rows,")
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ("list --user ada", [1]),
        ("list --user none", []),
        ("list --operation job.cancel", [2]),
        ("list --outcome failed", [3]),
        ("list --job 1b9d6bcd-bbfd", [2, 1]),
        ("list --since 2026-08-15T06:02Z --until 2026-08-15T06:03Z", [2]),
        ("list --before 3 --limit 1", [2]),
        ("list --since 2026-08-15", [3, 2, 1]),
    ],
)
def test_what_is_listed_can_be_chosen(shell: Shell, words: str, numbers: list[int]) -> None:
    _code, out, _err = shell.run(f"{words} --json")
    assert [entry["number"] for entry in json.loads(out)["entries"]] == numbers


def test_json_has_everything_of_an_entry(shell: Shell) -> None:
    _code, out, _err = shell.run("list --json --before 2")
    (entry,) = json.loads(out)["entries"]
    assert entry["moment"] == "2026-08-15T06:01:00.000000Z"
    assert (entry["previous"], len(entry["hash"])) == ("0" * 64, 64)
    assert entry["rows"] == 1234


def test_pages_are_turned_by_the_last_number(shell: Shell) -> None:
    _code, _out, err = shell.run("list --limit 2")
    assert err == "There may be more: --before 2\n"
    _code, out, err = shell.run("list --before 1")
    assert (out, err) == ("There is no such entry.\n", "")


def test_others_see_their_own_entries(shell: Shell) -> None:
    _code, out, _err = shell.run("list --json", ADA)
    assert [entry["user"] for entry in json.loads(out)["entries"]] == ["ada"]
    with pytest.raises(NotAllowedError, match="ada may not list the entries of everybody"):
        shell.run("list --user bob", ADA)


def test_times_that_are_none_are_refused(shell: Shell) -> None:
    with pytest.raises(RequestError, match="is not a time"):
        shell.run("list --since someday")


def test_a_sound_trail_is_verified(shell: Shell) -> None:
    newest = shell.trail.list(ADMIN)[0].hash
    code, out, _err = shell.run("verify")
    assert code == 0
    assert out.splitlines() == [
        "The audit trail has 3 entries.",
        f"  newest {newest}",
        "Verified: entry for entry as it was written.",
    ]


def test_a_trail_that_does_not_hold_says_where_and_ends_with_3(shell: Shell) -> None:
    for _ in range(10):
        shell.trail.record(AuditEntry("ada", "export", "ok"))
    with shell.trail.store.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_kept")
        connection.exec_driver_sql("DROP TRIGGER audit_unchanged")
        connection.exec_driver_sql("DELETE FROM audit WHERE number IN (3, 5, 6)")
        connection.exec_driver_sql("UPDATE audit SET rows = 5 WHERE number = 2 OR number = 8")
        connection.exec_driver_sql("UPDATE audit SET previous = 'x' WHERE number = 10")
    code, out, _err = shell.run("verify")
    assert code == 3
    assert [" ".join(line.split()) for line in out.splitlines()][1:-2] == [
        "missing entry 3",
        "missing entries 5 to 6",
        "changed entry 2 is not what it was when it was written",
        "changed entry 8 is not what it was when it was written",
        "changed entry 10 is not what it was when it was written",
        "replaced entry 10 does not go on from the one before",
    ]
    assert out.endswith("The audit trail was changed: it does not hold from entry 2 on.\n")
    code, out, _err = shell.run("verify --json")
    assert code == 3
    assert json.loads(out)["ok"] is False


def test_faults_beyond_the_first_ten_are_counted(shell: Shell) -> None:
    for _ in range(20):
        shell.trail.record(AuditEntry("ada", "export", "ok"))
    with shell.trail.store.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_unchanged")
        connection.exec_driver_sql("UPDATE audit SET rows = 5")
    _code, out, _err = shell.run("verify")
    assert "  … and 13 more; --json has the first hundred of each kind\n" in out


def test_a_file_without_manifest_does_not_hold(shell: Shell, tmp_path: Path) -> None:
    code, out, _err = shell.run(f"verify {tmp_path / 'none.csv'}")
    assert code == 3
    # A long path is cut where the line ends.
    told = "".join(out.split())
    assert f"{tmp_path / 'none.csv'}wrong{tmp_path / 'none.csv'}doesnotexist." in told
    assert out.endswith("not the one that these were made with: 1 of 1 do not fit.\n")


def test_an_export_is_asked_of_the_engine(shell: Shell) -> None:
    words = "export --format csv --to out --since 7d --until today --no-compress --option delimiter=;"
    code, out, _err = shell.run(words)
    assert code == 0
    ((request, user),) = shell.requests
    assert user is ADMIN
    assert (request.source, request.location, request.format) == ("audit", "store", "csv")
    assert request.sinks == (SinkRequest("disk", "out"),)
    assert (request.since, request.until, request.compress) == ("7d", "today", False)
    assert request.options == {"delimiter": ";"}
    assert out.startswith("Exported audit as 0 files in 1.0 s.\n")
    _code, out, _err = shell.run("export --format json --json")
    assert json.loads(out)["notes"] == ["made up"]
    assert shell.requests[1][0].compress is True
