"""Schedules on the command line: made, looked at, carried out, tried, changed, removed, and refused."""

import gzip
import json
import re
import shlex
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import tailrace.engine

Cli = Callable[..., Any]

WHO = "TAILRACE_USER"
WINTER = datetime(2026, 12, 1, 0, 30, tzinfo=UTC)
BERLIN = ("--tz", "Europe/Berlin")
LOG = "timestamp,endpoint\n"


class Clock:
    """The clock of engines: it runs on from where it is put."""

    def __init__(self, moment: datetime) -> None:
        self.put(moment)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def put(self, moment: datetime) -> None:
        self.ahead = moment - datetime.now(UTC)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers carry everything out in the process of the tests, which keeps its signal handlers."""
    monkeypatch.setenv("TAILRACE_JOBS_ISOLATE", "never")
    monkeypatch.setenv("TAILRACE_WORKER_POLL", "0.05")
    heard = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in heard.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """It is half past one in Berlin, on the first of December 2026."""
    clock = Clock(WINTER)
    monkeypatch.setattr(tailrace.engine, "Engine", partial(tailrace.engine.Engine, clock=clock))
    return clock


@pytest.fixture
def work(cli: Cli) -> Callable[[], str]:
    """Lets a worker do all that waits, and gives what it says."""

    def work() -> str:
        answer = cli("worker", "--until-idle")
        assert (answer.code, answer.out) == (0, ""), answer.err
        said: str = answer.err
        return said

    return work


@pytest.fixture
def words(cli: Cli, lines_file: Path) -> None:
    """A template ``words``: lines.txt as CSV into the folder out."""
    answer = cli(
        "templates", "save", "words", "lines", "--from", lines_file, "--format", "csv", "--to", "out", "--no-compress"
    )
    assert answer.code == 0, answer.err


@pytest.fixture
def log(cli: Cli, elsewhere: Path) -> Path:
    """A request log of five requests, and a template ``log`` of it."""
    file = elsewhere / "log.csv"
    file.write_text(LOG + "".join(f"2026-12-01T00:{minute:02}:00Z,/{minute}\n" for minute in range(0, 25, 5)))
    answer = cli("templates", "save", "log", "analytics", "--from", file, "--format", "csv", "--to", "logs")
    assert answer.code == 0, answer.err
    return file


@pytest.fixture
def nightly(cli: Cli, words: None) -> None:  # noqa: ARG001 - made before it
    """A schedule ``nightly`` of the template ``words``: at two in the night, in Berlin."""
    answer = cli("schedules", "add", "nightly", "--template", "words", "--cron", "0 2 * * *", *BERLIN)
    assert answer.code == 0, answer.err


def in_one_line(text: str) -> str:
    return " ".join(text.split())


def fits(answer: Any) -> bool:
    """Whether it fits a terminal of 80 columns; paths are never cut, so that they can be copied."""
    return all(len(line) <= 80 or "/" in line for line in (answer.out + answer.err).splitlines())


def facts(answer: Any) -> dict[str, str]:
    """What is shown of a schedule, by its labels."""
    assert answer.code == 0, answer.err
    pairs = [line.split(maxsplit=1) for line in answer.out.splitlines() if line.startswith("  ")]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def shown(cli: Cli, name: str) -> Any:
    return cli("schedules", "show", name, "--json").document["schedule"]


# --- a whole life ---


@pytest.mark.usefixtures("words")
def test_a_schedule_is_made_and_carried_out(cli: Cli, work: Any, clock: Clock, elsewhere: Path) -> None:
    answer = cli("schedules", "add", "nightly", "--template", "words", "--cron", "0 2 * * *", *BERLIN)
    assert answer.code == 0
    assert answer.out.splitlines() == [
        "Made the schedule nightly:",
        '  cron "0 2 * * *" in Europe/Berlin',
        "  Due next on 2026-12-01T02:00+01:00, in 29 minutes.",
        "Try it: tailrace schedules test nightly",
    ]
    assert answer.err == "No worker is running to carry it out. Start one: tailrace worker\n"
    answer = cli("schedules", "history", "nightly")
    assert in_one_line(answer.out) == "Nothing came of it yet. When it is due: tailrace schedules next nightly"

    # Before its time nothing happens, and after it one thing, however often somebody looks.
    work()
    assert not (elsewhere / "out").exists()
    clock.put(datetime(2026, 12, 1, 1, 0, 3, tzinfo=UTC))
    assert "Due since 2026-12-01T02:00+01:00: the next worker that looks begins it." in cli(
        "schedules", "show", "nightly"
    ).out.replace("\n", " ")
    work()
    work()
    assert len(list((elsewhere / "out").glob("*.csv"))) == 1
    (slot,) = cli("schedules", "history", "nightly", "--json").document["slots"]
    assert (slot["name"], slot["moment"]) == ("2026-12-01T02:00+01:00", "2026-12-01T01:00:00.000000Z")
    assert (slot["state"], slot["outcome"], slot["stands_for"]) == ("entered", "completed", 1)
    answer = cli("schedules", "history", "nightly")
    line = answer.out.rstrip()
    assert line.startswith(f"2026-12-01T02:00+01:00  completed  job {slot['job'][:8]}  ")
    assert line.endswith(" s late")
    assert facts(cli("jobs", "show", slot["job"]))["schedule"] == "nightly"
    row = cli("schedules", "list").out.splitlines()[1]
    assert row.split()[0] == "nightly"
    assert row.split()[-2:] == ["2026-12-02T02:00+01:00", "completed"]

    # By hand, besides its slots.
    answer = cli("schedules", "run-now", "nightly")
    assert answer.out.startswith("Submitted as job ")
    assert "Follow it: tailrace jobs watch" in answer.out
    assert "No worker is running" in answer.err
    assert "under way, by hand" in cli("schedules", "history", "nightly").out
    work()
    newest = cli("schedules", "history", "nightly", "--limit", 1)
    assert "completed, by hand" in newest.out
    assert "late" not in newest.out
    assert shown(cli, "nightly")["next"] == "2026-12-02T01:00:00.000000Z"


@pytest.mark.usefixtures("nightly")
def test_a_schedule_is_changed_paused_resumed_and_removed(cli: Cli, work: Any, clock: Clock, elsewhere: Path) -> None:
    clock.put(datetime(2026, 12, 1, 1, 0, 3, tzinfo=UTC))
    work()
    answer = cli("schedules", "edit", "nightly", "--cron", "30 4 * * *", "--rename", "morning")
    assert answer.out.splitlines() == [
        "Changed the schedule morning:",
        '  cron "30 4 * * *" in Europe/Berlin',
        "  Due next on 2026-12-01T04:30+01:00, in 2 hours.",
    ]
    answer = cli("schedules", "pause", "morning")
    assert answer.out.splitlines() == [
        "Paused the schedule morning.",
        "Let it run again: tailrace schedules resume morning",
    ]
    assert "Paused. Let it run again: tailrace schedules resume morning" in cli("schedules", "show", "morning").out
    assert "paused" in cli("schedules", "list").out
    assert cli("schedules", "next", "morning", "--count", 1).out.splitlines() == [
        "It is paused. If it ran, it would be due:",
        "slot (Europe/Berlin)    UTC",
        "2026-12-01T04:30+01:00  2026-12-01 03:30",
    ]
    # Nights that pass while it is paused are not made up for.
    clock.put(datetime(2026, 12, 4, 12, tzinfo=UTC))
    work()
    answer = cli("schedules", "resume", "morning")
    assert answer.out.splitlines()[0] == "The schedule morning runs:"
    assert "Due next on 2026-12-05T04:30+01:00, in 15 hours." in answer.out
    assert "No worker is running" in answer.err
    work()
    assert len(cli("schedules", "history", "morning", "--json").document["slots"]) == 1

    answer = cli("schedules", "rm", "morning")
    assert answer.out.splitlines() == [
        "Removed the schedule morning and its history.",
        "What it exported stays: tailrace jobs list",
    ]
    assert len(list((elsewhere / "out").glob("*.csv"))) == 1
    assert cli("schedules", "rm", "morning").code == 2
    operations = {entry["operation"] for entry in cli("audit", "list", "--json", "--limit", "500").document["entries"]}
    asked = {f"schedule.{word}" for word in ("save", "edit", "pause", "resume", "remove")}
    assert asked <= operations


@pytest.mark.usefixtures("nightly")
def test_slots_that_came_while_nobody_was_there_are_told(cli: Cli, work: Any, clock: Clock, elsewhere: Path) -> None:
    assert cli("schedules", "edit", "nightly", "--misfire", "skip", "--rename", "skips").code == 0
    for name, misfire in (("stands", "latest"), ("each", "all")):
        add = ("schedules", "add", name, "--template", "words", "--cron", "0 2 * * *", "--misfire", misfire)
        assert cli(*add, *BERLIN).code == 0
    clock.put(datetime(2026, 12, 3, 9, tzinfo=UTC))
    work()
    skipped = cli("schedules", "history", "skips").out.splitlines()
    assert skipped == [
        "2026-12-03T02:00+01:00  missed",
        "  It stands for 3 slots since 2026-12-01 01:00 UTC.",
        "  Nobody was there to begin it in time.",
    ]
    stands = cli("schedules", "history", "stands").out.splitlines()
    assert stands[0].startswith("2026-12-03T02:00+01:00  completed  job ")
    assert stands[0].endswith("  8 h 00 min late")
    assert stands[1:] == ["  It stands for 3 slots since 2026-12-01 01:00 UTC."]
    # One after another, for as long as the one before is being made.
    work()
    work()
    each = cli("schedules", "history", "each", "--json").document["slots"]
    assert [slot["name"][:10] for slot in each] == ["2026-12-03", "2026-12-02", "2026-12-01"]
    assert {slot["outcome"] for slot in each} == {"completed"}
    assert len(list((elsewhere / "out").glob("*.csv"))) == 4
    assert "schedule.missed" in cli("audit", "list", "--operation", "schedule.missed").out


@pytest.mark.usefixtures("nightly")
def test_a_schedule_that_fails_is_told_paused_and_run_again(
    cli: Cli, work: Any, clock: Clock, lines_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILRACE_NOTIFICATIONS_ADMINS", "ops@example.com")
    assert cli("schedules", "edit", "nightly", "--pause-after", 2, "--notify-failure", "ann@example.com").code == 0
    lines = lines_file.read_text()
    lines_file.unlink()
    clock.put(datetime(2026, 12, 1, 1, 0, 2, tzinfo=UTC))
    work()
    answer = cli("schedules", "history", "nightly")
    (slot,) = cli("schedules", "history", "nightly", "--json").document["slots"]
    first, why, *_, again = answer.out.splitlines()
    assert first.startswith("2026-12-01T02:00+01:00  failed  job ")
    assert why == "  There is no file lines.txt."
    assert again == f"Run it again: tailrace jobs retry {slot['job'][:8]}"
    found = facts(cli("schedules", "show", "nightly"))
    assert found["failures"] == "1 in a row; paused after 2"
    assert found["told"] == "the admins, ann@example.com"
    clock.put(datetime(2026, 12, 2, 1, 0, 2, tzinfo=UTC))
    work()
    answer = cli("schedules", "show", "nightly")
    paused = "Paused: it failed 2 times in a row. Let it run again: tailrace schedules resume nightly"
    assert paused in in_one_line(answer.out)
    assert fits(answer)
    document = shown(cli, "nightly")
    assert (document["state"], document["enabled"], document["next"]) == ("paused", False, None)
    assert document["last_slot"]["outcome"] == "failed"
    assert "schedule.failed" in cli("audit", "list", "--operation", "schedule.failed").out
    lines_file.write_text(lines)
    assert cli("jobs", "retry", document["job"]).code == 0
    work()
    assert cli("schedules", "resume", "nightly").code == 0
    found = facts(cli("schedules", "show", "nightly"))
    assert found["failures"] == "paused after 2"
    assert "completed" in found["last"]


@pytest.mark.usefixtures("nightly")
def test_what_has_not_changed_is_not_sent(cli: Cli, work: Any, clock: Clock, lines_file: Path, elsewhere: Path) -> None:
    assert cli("schedules", "edit", "nightly", "--skip-unchanged").code == 0
    assert facts(cli("schedules", "show", "nightly"))["unchanged"] == "what is the same as before is not sent"
    for day in (1, 2, 3):
        if day == 3:
            lines_file.write_text("four\n")
        clock.put(datetime(2026, 12, day, 1, 0, 2, tzinfo=UTC))
        work()
    states = [line.split()[1] for line in cli("schedules", "history", "nightly").out.splitlines() if "job" in line]
    assert states == ["completed", "unchanged", "completed"]
    assert "Nothing changed since what was delivered for 2026-12-01 01:00 UTC" in in_one_line(
        cli("schedules", "history", "nightly").out
    )
    assert len(list((elsewhere / "out").glob("*.csv"))) == 2
    assert cli("schedules", "edit", "nightly", "--no-skip-unchanged").code == 0
    assert "unchanged" not in facts(cli("schedules", "show", "nightly"))


def test_increments_go_on_from_each_other(cli: Cli, log: Path, work: Any, clock: Clock, elsewhere: Path) -> None:
    add = ("schedules", "add", "parts", "--template", "log", "--every", "hour at :00", "--incremental", "--lag", "10m")
    assert cli(*add).code == 0
    assert facts(cli("schedules", "show", "parts"))["increments"] == "none yet; rows may come 10 min late"
    clock.put(datetime(2026, 12, 1, 1, 0, 1, tzinfo=UTC))
    work()
    with log.open("a") as file:
        file.write("2026-12-01T00:50:00Z,/50\n2026-12-01T01:55:00Z,/115\n")
    clock.put(datetime(2026, 12, 1, 2, 0, 1, tzinfo=UTC))
    work()
    parts = sorted((elsewhere / "logs").glob("*.csv.gz"))
    # Each begins where the one before ends, ten minutes before its slot.
    assert [gzip.decompress(part.read_bytes()).count(b"\n") - 1 for part in parts] == [5, 1]
    increments = "2, up to 2026-12-01 01:50 UTC; rows may come 10 min late"
    assert facts(cli("schedules", "show", "parts"))["increments"] == increments
    answer = cli("verify", "--chain", elsewhere / "logs")
    assert answer.code == 0, answer.out
    assert "Chain of 2 increments" in answer.out
    # Tried by hand: all of the data, for nobody else, and nothing is noted.
    answer = cli("schedules", "test", "parts", "--json", "--quiet")
    assert [table["rows"]["written"] for table in answer.document["artifacts"][0]["manifest"]["tables"]] == [7]
    assert facts(cli("schedules", "show", "parts"))["increments"] == increments


@pytest.mark.usefixtures("words")
def test_a_schedule_that_ends_says_so(cli: Cli, work: Any, clock: Clock) -> None:
    add = ("schedules", "add", "short", "--template", "words", "--every", "6h")
    assert cli(*add, "--start", "2026-12-01T06:00", "--until", "2026-12-01T12:00", *BERLIN).code == 0
    assert cli("schedules", "next", "short").out.splitlines() == [
        "slot (Europe/Berlin)    UTC",
        "2026-12-01T06:00+01:00  2026-12-01 05:00",
    ]
    clock.put(datetime(2026, 12, 1, 5, 0, 1, tzinfo=UTC))
    work()
    assert "Ended: it is not due any more." in cli("schedules", "show", "short").out
    assert cli("schedules", "list").out.splitlines()[1].split()[-2:] == ["ended", "completed"]
    assert cli("schedules", "next", "short").out == "It is not due any more.\n"
    assert shown(cli, "short")["state"] == "ended"
    assert "in 5 hours" in cli("schedules", "edit", "short", "--without", "until").out


@pytest.mark.usefixtures("nightly")
def test_a_slot_waits_for_the_job_before(cli: Cli, work: Any, clock: Clock) -> None:
    job = cli("schedules", "run-now", "nightly", "--json", "--quiet").document["job"]["id"]
    clock.put(datetime(2026, 12, 1, 1, 0, 2, tzinfo=UTC))
    answer = cli("schedules", "show", "nightly")
    waits = f"Waits: job {job[:8]} of the slot before 2026-12-01T02:00+01:00 is still being made."
    assert waits in in_one_line(answer.out)
    assert fits(answer)
    assert shown(cli, "nightly")["state"] == "waits"
    # Where it may run beside that one, or nobody knows of that job any more, it waits for a worker only.
    assert cli("schedules", "edit", "nightly", "--overlap", "beside").code == 0
    assert shown(cli, "nightly")["state"] == "due"
    assert cli("schedules", "edit", "nightly", "--overlap", "wait").code == 0
    work()
    assert cli("jobs", "rm", job).code == 0
    assert shown(cli, "nightly")["state"] == "due"


def test_a_drill_says_whether_the_newest_backup_can_be_restored(
    cli: Cli, work: Any, clock: Clock, elsewhere: Path
) -> None:
    pool = elsewhere / "proxies.txt"
    pool.write_text("http://192.0.2.1:8080\nsocks5://192.0.2.2:1080\n")
    assert cli("templates", "save", "pool", "pool", "--from", pool, "--format", "json", "--to", "backups").code == 0
    add = ("schedules", "add", "drill", "--drill", "--template", "pool", "--every", "day at 06:00")
    assert cli(*add).code == 0
    found = facts(cli("schedules", "show", "drill"))
    assert (found["does"], found["to"]) == ("checks that the newest backup can be restored", "disk:drills")
    clock.put(datetime(2026, 12, 1, 6, 0, 1, tzinfo=UTC))
    work()
    told = in_one_line(cli("schedules", "history", "drill").out)
    assert "There is no backup of tester by the template 'pool' on this machine." in told
    assert cli("export", "--template", "pool", "--quiet").code == 0
    # The report of a drill is no backup, though it is made by the same template.
    for day, proxies in ((2, "2 proxies"), (3, "2 proxies")):
        pool.write_text(pool.read_text() + f"http://192.0.2.{day + 1}:8080\n")
        clock.put(datetime(2026, 12, day, 6, 0, 1, tzinfo=UTC))
        work()
        told = in_one_line(cli("schedules", "history", "drill", "--limit", 1).out)
        assert re.search(rf"completed job \w{{8}} .*Restorable.*only in the pool\): {proxies} of backup pool_", told), (
            told
        )
    assert len(list((elsewhere / "drills").glob("drill_*.json.gz"))) == 2
    document = cli("schedules", "test", "drill", "--to", "tried", "--quiet", "--json").document
    assert document["notes"][0].startswith("Restorable")
    assert shown(cli, "drill")["kind"] == "drill"
    assert cli("schedules", "edit", "drill", "--no-drill", "--json").document["schedule"]["kind"] == "export"


# --- trying it ---


@pytest.mark.usefixtures("nightly")
def test_a_test_is_for_whoever_asks_and_leaves_no_trace_in_the_history(
    cli: Cli, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = elsewhere / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    answer = cli("schedules", "test", "nightly")
    assert answer.code == 0
    assert answer.out.startswith("Exported what the schedule nightly makes as 1 file in ")
    (file,) = here.glob("*.csv")
    assert file.read_text() == "line\none\ntwo\nthree\n"
    assert not (elsewhere / "out").exists()
    document = cli("schedules", "test", "nightly", "--to", "apart", "--to", "disk:again", "--json").document
    assert document["complete"]
    places = [Path(receipt["path"]).parent for receipt in document["artifacts"][0]["receipts"]]
    assert places == [here / "apart", here / "again"]
    assert cli("schedules", "history", "nightly", "--json").document["slots"] == []
    assert cli("schedules", "test", "nightly", "--to", "apart", "--to", "nowhere").code == 4
    assert cli("notifications", "list").out == "You were not told anything yet.\n"


# --- when it is due ---


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize(
    ("start", "row"),
    [
        ("2027-03-28", "2027-03-28T03:00+02:00 2027-03-28 01:00 clocks go forward this day: 02:30 does not exist, "),
        ("2027-10-31", "2027-10-31T02:30+02:00 2027-10-31 00:30 clocks go back this day: 02:30 comes twice, it runs"),
    ],
)
def test_days_on_which_the_clocks_are_changed_are_marked(start: str, row: str, cli: Cli) -> None:
    add = ("schedules", "add", "early", "--template", "words", "--cron", "30 2 * * *", "--start", start, *BERLIN)
    assert cli(*add).code == 0
    answer = cli("schedules", "next", "early", "--count", 2)
    assert fits(answer)
    assert row in in_one_line(answer.out)
    first, second = cli("schedules", "next", "early", "--count", 2, "--json").document["slots"]
    assert first["note"].startswith("clocks go ")
    assert first["moment"].startswith(f"{start}T0")
    assert second["note"] == ""
    (slot,) = cli("schedules", "next", "early", "--count", 1, "--json").document["slots"]
    assert slot == first


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize(
    ("timing", "runs", "due"),
    [
        (("--every", "6h"), "every 6 hours from 2026-12-01 06:30", "2026-12-01T06:30"),
        (("--every", "Day at 02:30"), "every day at 02:30", "2026-12-01T02:30"),
        (("--every", "monday 09:00"), "every monday at 09:00", "2026-12-07T09:00"),
        (("--every", "weekday at 09:00"), "every weekday at 09:00", "2026-12-01T09:00"),
        (("--every", "90m", "--start", "2026-12-24T18:00"), "every 90 minutes from 2026-12-24 18:00", "2026-12-24T18"),
        (("--cron", "@weekly"), 'cron "0 0 * * 0"', "2026-12-06T00:00"),
        (("--cron", "*/15 8-18 * * MON-FRI"), 'cron "*/15 8-18 * * MON-FRI"', "2026-12-01T08:00"),
    ],
)
def test_times_are_said_in_many_ways(timing: tuple[str, ...], runs: str, due: str, cli: Cli) -> None:
    # Between two seconds, intervals may begin on either.
    answer = cli("schedules", "add", "one", "--template", "words", *timing, "--tz", "UTC", "--json", "--quiet")
    document = answer.document["schedule"]
    assert document["words"].startswith(runs)
    assert document["next_slot"].startswith(due)
    assert (document["timing"]["zone"], document["state"], document["enabled"]) == ("UTC", "due", True)


@pytest.mark.usefixtures("words")
def test_without_a_zone_utc_is_meant(cli: Cli) -> None:
    assert cli("schedules", "add", "one", "--template", "words", "--every", "day at 02:30").code == 0
    assert cli("schedules", "next", "one", "--count", 1).out == "slot (UTC)\n2026-12-01T02:30+00:00\n"


# --- documents ---


@pytest.mark.usefixtures("words")
def test_every_command_gives_one_document(cli: Cli, elsewhere: Path) -> None:
    assert cli("schedules", "list", "--json").document == {"schedules": []}
    rules = (
        "--misfire", "all", "--overlap", "skip", "--jitter", "1h30m", "--pause-after", 0, "--to", "elsewhere",
        "--to", "disk:b", "--notify-failure", "ann@example.com", "--notify-failure", "ben@example.com",
    )  # fmt: skip
    add = ("schedules", "add", "one", "--template", "words", "--every", "day at 02:30", "--until", "2027-02-01")
    made = cli(*add, *rules, *BERLIN, "--json", "--quiet")
    assert (made.code, made.err) == (0, "")
    document = made.document["schedule"]
    assert document["rules"] == {
        "misfire": "all",
        "overlap": "skip",
        "jitter": 5400.0,
        "skip_unchanged": False,
        "incremental": False,
        "lag": 300.0,
        "most_failures": 0,
        "notify_failure": ["ann@example.com", "ben@example.com"],
    }
    assert [sink["target"] for sink in document["sinks"]] == ["elsewhere", "b"]
    assert document["timing"]["until"] == "2027-01-31T23:00:00.000000Z"
    assert (document["name"], document["owner"], document["kind"]) == ("one", "tester", "export")
    assert (document["template"], document["folder"]) == ("words", str(elsewhere))
    assert (document["next"], document["next_slot"]) == ("2026-12-01T01:30:00.000000Z", "2026-12-01T02:30+01:00")
    assert document["words"] == "every day at 02:30 in Europe/Berlin, until 2027-02-01 00:00"
    assert document["sentence"].startswith("Due next on 2026-12-01T02:30+01:00, in ")

    found = shown(cli, "one")
    assert found.pop("last_slot") is None
    volatile = {"sentence"}
    assert {key: found[key] for key in found.keys() - volatile} == {
        key: document[key] for key in document.keys() - volatile
    }
    (listed,) = cli("schedules", "list", "--json").document["schedules"]
    assert listed["id"] == document["id"]
    slots = cli("schedules", "next", "one", "--json").document
    assert (slots["schedule"]["id"], len(slots["slots"])) == (document["id"], 10)
    assert slots["slots"][0].keys() == {"moment", "name", "note"}
    job = cli("schedules", "run-now", "one", "--json", "--quiet").document["job"]
    assert (job["state"], job["schedule"], job["template"]) == ("pending", "one", "words")
    history = cli("schedules", "history", "one", "--json").document
    assert (history["slots"][0]["job"], history["slots"][0]["by_hand"]) == (job["id"], True)
    assert cli("schedules", "pause", "one", "--json").document["schedule"]["state"] == "paused"
    assert cli("schedules", "next", "one", "--json").document["schedule"]["enabled"] is False
    assert cli("schedules", "resume", "one", "--json", "--quiet").document["schedule"]["state"] == "due"
    changed = cli("schedules", "edit", "one", "--jitter", "0", "--json").document["schedule"]
    assert changed["rules"]["jitter"] == 0.0
    assert cli("schedules", "rm", "one", "--json").document == {"removed": "one"}


@pytest.mark.usefixtures("words")
def test_what_is_shown_says_all_rules(cli: Cli) -> None:
    add = ("schedules", "add", "one", "--template", "words", "--every", "day at 02:30", "--to", "a", "--jitter", "90s")
    assert cli(*add, "--overlap", "beside", "--misfire", "all", "--pause-after", 0).code == 0
    answer = cli("schedules", "show", "one")
    assert fits(answer)
    assert answer.out.startswith("tester/one\nevery day at 02:30 UTC\nDue next on 2026-12-01T02:30+00:00, in 1 hour.\n")
    found = facts(answer)
    assert found["does"] == "exports"
    assert (found["template"], found["to"]) == ("words", "disk:a")
    assert found["misfire"] == "all: each is made up for, one after another"
    assert found["overlap"] == "beside: it runs beside the slot before"
    assert found["jitter"] == "it begins up to 1 min 30 s later"
    assert (found["failures"], found["told"]) == ("never paused", "the admins")
    assert "changed" not in found
    assert cli("schedules", "edit", "one", "--without", "to").code == 0
    found = facts(cli("schedules", "show", "one"))
    assert found["to"] == "where the template says"
    assert "changed" in found


# --- changing it ---


@pytest.mark.usefixtures("nightly")
def test_what_is_not_given_stays(cli: Cli, log: Path) -> None:
    assert log.exists()

    def edited(*words: object) -> Any:
        answer = cli("schedules", "edit", "nightly", *words, "--json")
        assert answer.code == 0, answer.out
        return answer.document["schedule"]

    before = shown(cli, "nightly")
    document = edited("--jitter", "30s")
    assert document["timing"] == before["timing"]
    assert (document["rules"]["jitter"], document["rules"]["misfire"]) == (30.0, "latest")
    document = edited("--until", "2027-01-01")
    assert document["timing"] == before["timing"] | {"until": "2026-12-31T23:00:00.000000Z"}
    document = edited("--tz", "Asia/Tokyo")
    assert (document["timing"]["cron"], document["timing"]["zone"]) == ("0 2 * * *", "Asia/Tokyo")
    assert document["timing"]["until"] == "2026-12-31T23:00:00.000000Z"
    assert document["next"] == "2026-12-01T17:00:00.000000Z"
    document = edited("--every", "6h", "--without", "until", "--start", "2026-12-02")
    assert (document["timing"]["cron"], document["timing"]["every"]) == ("", "6 hours")
    assert (document["timing"]["start"], document["timing"]["until"]) == ("2026-12-01T15:00:00.000000Z", None)
    # An interval goes on from where it is counted.
    document = edited("--until", "2028-01-01", "--tz", "UTC")
    assert (document["timing"]["start"], document["next_slot"]) == (
        "2026-12-01T15:00:00.000000Z",
        "2026-12-01T15:00+00:00",
    )
    document = edited("--template", "log", "--incremental", "--lag", "0")
    assert (document["template"], document["rules"]["incremental"], document["rules"]["lag"]) == ("log", True, 0.0)
    assert edited("--lag", "2m")["rules"]["lag"] == 120.0
    document = edited("--no-incremental", "--overlap", "beside", "--notify-failure", "a@example.com")
    assert (document["rules"]["overlap"], document["rules"]["notify_failure"]) == ("beside", ["a@example.com"])
    document = edited("--without", "notify-failure", "--pause-after", 1)
    assert (document["rules"]["notify_failure"], document["rules"]["most_failures"]) == ([], 1)


@pytest.mark.usefixtures("nightly")
def test_others_see_nothing_and_admins_everything(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WHO, "bob")
    assert cli("schedules", "list", "--json").document == {"schedules": []}
    answer = cli("schedules", "list", "--all")
    assert (answer.code, answer.err.splitlines()[0]) == (3, "error: bob may not list the schedules of everybody.")
    assert cli("schedules", "show", "nightly").code == 2
    for command in ("show", "next", "history", "pause", "resume", "run-now", "test", "rm"):
        answer = cli("schedules", command, "tester/nightly")
        assert answer.code == 3, command
        assert answer.err.startswith("error: bob may not "), command
    assert cli("schedules", "edit", "tester/nightly", "--jitter", "5s").code == 3
    # Neither may he use a template that is not his.
    answer = cli("schedules", "add", "mine", "--template", "tester/words", "--every", "6h")
    assert answer.code == 3

    monkeypatch.setenv("TAILRACE_ADMINS", "bob")
    assert "tester/nightly" in cli("schedules", "list", "--all").out
    answer = cli("schedules", "pause", "tester/nightly")
    assert "Let it run again: tailrace schedules resume tester/nightly" in answer.out
    assert "tailrace schedules resume tester/nightly" in in_one_line(cli("schedules", "show", "tester/nightly").out)
    answer = cli("schedules", "edit", "tester/nightly", "--jitter", "5s")
    assert answer.out.startswith("Changed the schedule tester/nightly:\n")
    assert cli("schedules", "rm", "tester/nightly").code == 0


# --- refusals ---

ADD = "schedules add x --template words"


@pytest.mark.usefixtures("nightly")
@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("schedules add", "tailrace schedules add needs NAME.", "See: tailrace schedules add --help"),
        (
            "schedules add x --every 6h",
            "tailrace schedules add needs --template.",
            "See: tailrace schedules add --help",
        ),
        (ADD, "A schedule needs a time.", 'Write --cron "0 2 * * *", or --every 6h'),
        (
            f"{ADD} --every 6h --cron '0 2 * * *'",
            "A schedule has one time: --cron and --every are two.",
            "Write --cron",
        ),
        (f"{ADD} --cron '0 0 30 2 *'", "The cron expression '0 0 30 2 *' never fires.", "No such day comes:"),
        (f"{ADD} --cron '0 2 * *'", "The cron expression '0 2 * *' has 4 fields, not five.", "Five fields: minute,"),
        (f"{ADD} --cron '61 * * * *'", "The minute of the cron expression cannot be read: '61'.", "Five fields:"),
        (f"{ADD} --every 6h --tz Berlin", "There is no time zone 'Berlin'.", "Did you mean Europe/Berlin?"),
        (f"{ADD} --every 6h --tz Mars/Olympus", "There is no time zone 'Mars/Olympus'.", "Use an IANA name such as"),
        (
            f"{ADD} --every 'monady 09:00'",
            "'monady 09:00' is not a phrase for times: 'monady'.",
            "Did you mean monday?",
        ),
        (
            f"{ADD} --every 'now and then'",
            "'now and then' is not a phrase for times",
            "Write a duration (6h, 1h30m, 2d)",
        ),
        (
            f"{ADD} --every 'monday 25:00'",
            "'monday 25:00' is not a phrase for times: '25:00' is no time",
            "Write hours",
        ),
        (f"{ADD} --every 0h", "'0h' is not an interval: it is no time at all.", "The shortest is 1s"),
        (f"{ADD} --every 6h --until 2020-01-01", "The end lies in the past: '2020-01-01'.", "Write a date or time to"),
        (f"{ADD} --every 6h --start soon", "The start is not a time: 'soon'.", "Write a date (2026-12-01)"),
        (
            f"{ADD} --cron '0 0 29 2 *' --until 2027-12-01",
            'It would never be due: cron "0 0 29 2 *" in UTC',
            "Let it end",
        ),
        (f"{ADD} --every 6h --jitter soon", "Option '--jitter': 'soon' is no span of time.", "Write a span of time:"),
        (
            f"{ADD} --every 6h --jitter 'day at 02:30'",
            "Option '--jitter': 'day at 02:30' is no span of time.",
            "Write a",
        ),
        (f"{ADD} --every 6h --jitter monday", "Option '--jitter': 'monday' is no span of time.", "Write a span of"),
        (f"{ADD} --every 6h --jitter 60d", "The jitter of a schedule is 0 to 31 days.", "Write 30s, 5m or 2h."),
        (f"{ADD} --every 6h --lag 5m", "--lag is how late rows may come to an increment, and", "Add --incremental."),
        (
            f"{ADD} --every 6h --incremental --overlap beside",
            "Increments follow one another: they cannot be made beside each other.",
            "Let them wait (--overlap wait), or leave them out",
        ),
        (f"{ADD} --every 6h --misfire never", 'Invalid value "never" for --misfire. Choose from: "latest",', "See: "),
        (f"{ADD} --every 6h --overlap maybe", 'Invalid value "maybe" for --overlap. Choose from: "wait", ', "See: "),
        (f"{ADD} --every 6h --pause-after -1", 'Invalid value "-1" for --pause-after. Must be >= 0.', "See: "),
        (f"{ADD} --every 6h --notify-failure ann", "'ann' is no mail address:", "Write it as ann@example.com."),
        (f"{ADD} --every 6h --to nowhre:x", "There is no sink 'nowhre'.", "Did you mean 'nowhere'?"),
        (
            f"{ADD} --every 6h --drill",
            "A restore drill is for backups of a pool, and 'words' exports lines.",
            "Name the",
        ),
        ("schedules add x --template word --every 6h", "There is no template 'word'.", "Did you mean 'words'?"),
        (
            "schedules add .x --template words --every 6h",
            "The name of a schedule is 1 to 100 letters, digits, dots, hyphens and underscores.",
            "It begins with a letter",
        ),
        ("schedules edit nightly", "There is nothing to change.", "See: tailrace schedules edit --help"),
        ("schedules edit nightly --without cron", 'Invalid value "cron" for --without. Choose from: "until",', "See: "),
        ("schedules edit nightly --cron '0 0 30 2 *'", "The cron expression '0 0 30 2 *' never fires.", "No such day"),
        ("schedules edit nightly --rename=-x", "The name of a schedule is 1 to 100 letters,", "It begins with a"),
        ("schedules edit nightly --lag 5m", "--lag is how late rows may come to an increment", "Add --incremental."),
        ("schedules show nigthly", "There is no schedule 'nigthly'.", "Did you mean 'nightly'? There is: nightly."),
        ("schedules rm bob/nightly", "There is no schedule 'bob/nightly'.", "Did you mean 'nightly'?"),
        ("schedules next nightly --count 0", 'Invalid value "0" for --count. Must be >= 1.', "See: "),
        ("schedules history nightly --limit 0", 'Invalid value "0" for --limit. Must be >= 1.', "See: "),
        ("schedules lst", 'Unknown command "lst". Did you mean "list"?', "See: tailrace schedules --help"),
    ],
)
def test_wrong_words_are_two_and_say_what_would_be_right(line: str, message: str, hint: str, cli: Cli) -> None:
    answer = cli(*shlex.split(line))
    assert (answer.code, answer.out) == (2, ""), answer.err
    said, _, hinted = in_one_line(answer.err).removeprefix("error: ").partition(" hint: ")
    assert said.startswith(message)
    assert hinted.startswith(hint)
    assert fits(answer)
    error = cli(*shlex.split(line), "--json").document["error"]
    assert in_one_line(error["message"]).startswith(message)
    assert cli("schedules", "list", "--json").document["schedules"][0]["name"] == "nightly"


@pytest.mark.usefixtures("nightly")
def test_a_name_is_taken_once(cli: Cli) -> None:
    add = ("schedules", "add", "other", "--template", "words", "--every", "6h")
    assert cli(*add).code == 0
    answer = cli(*add)
    assert (answer.code, answer.err.splitlines()[0]) == (1, "error: tester has a schedule 'other' already.")
    assert cli("schedules", "edit", "other", "--rename", "nightly").code == 1


def test_where_there_is_none_it_says_how_to_make_one(cli: Cli) -> None:
    answer = cli("schedules", "list")
    assert answer.code == 0
    assert in_one_line(answer.out) == (
        "There is no schedule. Make one: tailrace schedules add NAME --template T --every …"
    )
    answer = cli("schedules", "show", "x")
    assert answer.code == 2
    assert "There is none yet. Make one: tailrace schedules add NAME" in in_one_line(answer.err)


@pytest.mark.usefixtures("words")
def test_a_folder_that_leads_out_is_refused_when_it_is_saved(cli: Cli) -> None:
    answer = cli(*ADD.split(), "--every", "6h", "--to", "../x")
    assert (answer.code, answer.err.splitlines()[0]) == (3, "error: The target of the sink disk has '..' in it.")


@pytest.mark.usefixtures("nightly")
def test_a_template_that_a_schedule_uses_stays(cli: Cli) -> None:
    answer = cli("templates", "delete", "words")
    assert answer.code != 0
    assert "nightly" in in_one_line(answer.err) or "schedule" in answer.err
    assert cli("schedules", "rm", "nightly").code == 0
    assert cli("templates", "delete", "words").code == 0


def test_increments_and_a_template_that_says_an_end_do_not_go_together(cli: Cli, log: Path) -> None:
    save = ("templates", "save", "old", "analytics", "--from", log, "--format", "csv", "--until", "2026-11-01")
    assert cli(*save).code == 0
    answer = cli("schedules", "add", "x", "--template", "old", "--every", "6h", "--incremental")
    assert answer.code == 2
    assert "Increments end where their slot says" in in_one_line(answer.err)
    assert json.loads(cli("schedules", "list", "--json").out) == {"schedules": []}


@pytest.mark.parametrize(
    "command",
    "add edit list show next pause resume run-now test rm history".split(),  # noqa: SIM905 - it is read so
)
def test_help_pages_fit_eighty_columns(command: str, cli: Cli) -> None:
    answer = cli("schedules", command, "--help")
    assert answer.code == 0
    assert answer.out.startswith(f"Usage: tailrace schedules {command}")
    assert max(map(len, answer.out.splitlines())) <= 80
    if command in {"add", "edit"}:
        for option in (
            "--cron",
            "--every",
            "--tz",
            "--misfire",
            "--overlap",
            "--jitter",
            "--notify-failure",
            "--drill",
        ):
            assert option in answer.out


def test_the_span_until_a_slot_is_told_roughly() -> None:
    from tailrace.cli.quantities import roughly

    spans = [timedelta(seconds=59), timedelta(minutes=1), timedelta(hours=23, minutes=59), timedelta(days=40)]
    assert [roughly(span.total_seconds()) for span in spans] == [
        "less than a minute",
        "1 minute",
        "23 hours",
        "40 days",
    ]
