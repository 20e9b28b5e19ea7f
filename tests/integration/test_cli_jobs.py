"""Jobs on the command line: submitted, listed, shown, watched, cancelled, tried again, fetched, removed."""

import gzip
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
Submit = Callable[..., str]

WHO = "TAILRACE_USER"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers carry everything out in the process of the tests, which keeps its signal handlers."""
    monkeypatch.setenv("TAILRACE_JOBS_ISOLATE", "never")
    monkeypatch.setenv("TAILRACE_WORKER_POLL", "0.05")
    heard = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in heard.items():
        signal.signal(number, handler)


@pytest.fixture
def submit(cli: Cli, lines_file: Path) -> Submit:
    """Submits an export of three lines as CSV, into the folder out if nothing else is said; returns the job's id."""

    def submit(*words: object) -> str:
        to = () if "--to" in words else ("--to", "out")
        answer = cli(
            "export", "lines", "--from", lines_file, "--format", "csv", "--background", "--quiet", "--json", *to, *words
        )
        assert answer.code == 0, answer.out
        job: str = answer.document["job"]["id"]
        return job

    return submit


@pytest.fixture
def work(cli: Cli) -> Callable[[], None]:
    """Lets a worker do all that waits."""

    def work() -> None:
        answer = cli("worker", "--until-idle", "--quiet")
        assert (answer.code, answer.out) == (0, ""), answer.err

    return work


def in_one_line(text: str) -> str:
    return " ".join(text.split())


def fits(text: str) -> bool:
    """Whether it fits a terminal of 80 columns; paths are never cut, so that they can be copied."""
    return all(len(line) <= 80 or "/" in line for line in text.splitlines())


# --- from its submission to its file ---


def test_a_job_is_submitted_carried_out_and_shown(cli: Cli, submit: Submit, work: Any, elsewhere: Path) -> None:
    job = submit()
    waiting = cli("jobs", "list")
    heading, row = waiting.out.splitlines()
    assert heading.split()[:5] == ["job", "state", "export", "asked", "(UTC)"]
    assert row.split()[:5] == [job[:8], "pending", "lines", "→", "csv"]
    shown = cli("jobs", "show", job).out
    assert "completed" not in shown
    assert fits(shown)

    work()
    (file,) = (elsewhere / "out").glob("*.csv.gz")
    assert cli("jobs", "list").out.splitlines()[1].split()[:2] == [job[:8], "completed"]
    shown = cli("jobs", "show", job).out
    assert shown.startswith(f"Job {job}\n")
    facts = dict(
        line.split(maxsplit=1) for line in shown.splitlines()[1:] if line.startswith("  ") and " " in line.strip()
    )
    assert facts["state"] == "completed"
    assert facts["export"] == "lines → csv"
    assert facts["to"] == "disk:out"
    assert facts["by"] == "tester"
    assert facts["ended"].endswith("s)")
    assert f"  {file}\n    3 rows · " in shown
    assert "attempt" not in shown
    assert fits(shown)

    document = cli("jobs", "show", job, "--json").document
    assert (document["job"]["id"], document["job"]["state"], document["job"]["progress"]) == (job, "completed", 100)
    assert [(entry["path"], entry["rows"]) for entry in document["files"]] == [(str(file), 3)]
    assert [attempt["outcome"] for attempt in document["attempts"]] == ["completed"]
    listed = cli("jobs", "list", "--json").document
    assert [entry["id"] for entry in listed["jobs"]] == [job]
    assert listed["next"] is None


def test_an_export_here_is_listed_as_well(cli: Cli, lines_file: Path) -> None:
    answer = cli("export", "lines", "--from", lines_file, "--format", "csv", "--to", "out", "--json", "--quiet")
    shown = cli("jobs", "show", answer.document["export_id"]).out
    assert "tester (carries it out itself)" in shown
    assert answer.document["artifacts"][0]["path"] in shown


def test_no_jobs_are_said_to_be_none(cli: Cli) -> None:
    assert cli("jobs", "list").out == "There are no jobs yet.\n"
    assert cli("jobs", "list", "--json").document == {"jobs": [], "next": None}


def test_lists_turn_pages_and_are_narrowed(cli: Cli, submit: Submit) -> None:
    made = [submit() for _ in range(3)]
    assert cli("jobs", "cancel", made[0]).code == 0
    first = cli("jobs", "list", "--limit", 2)
    assert [line.split()[0] for line in first.out.splitlines()[1:3]] == [made[2][:8], made[1][:8]]
    assert first.out.splitlines()[-1] == f"More: --before {made[1][:8]}"
    second = cli("jobs", "list", "--limit", 2, "--before", made[1][:8], "--json").document
    assert [entry["id"] for entry in second["jobs"]] == [made[0]]
    cancelled = cli("jobs", "list", "--state", "cancelled", "--json").document
    assert [entry["id"] for entry in cancelled["jobs"]] == [made[0]]
    assert cli("jobs", "list", "--state", "lost").code == 2
    assert cli("jobs", "list", "--limit", 0).code == 2


# --- how it ended ---


def test_watching_says_by_its_exit_code_how_a_job_ended(
    cli: Cli, submit: Submit, work: Any, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILRACE_DELIVERY_ATTEMPTS", "1")
    done = submit()
    (elsewhere / "taken").write_text("")
    failing = submit("--to", "taken/x")
    partly = submit("--to", "out", "--to", "nowhere")
    work()
    answer = cli("jobs", "watch", done)
    assert answer.code == 0
    (file,) = [path for path in (elsewhere / "out").glob("*.csv.gz") if str(path) in answer.out]
    assert answer.out.splitlines() == [f"Job {done} is completed.", f"  {file}"]
    assert cli("jobs", "watch", done, "--json").document["job"]["state"] == "completed"

    answer = cli("jobs", "watch", failing)
    assert answer.code == 1
    assert in_one_line(answer.out) == (
        f"Job {failing} is failed. StorageError: {elsewhere / 'taken' / 'x'}, or something above it, is not a folder. "
        "plugin: sink disk cause: NotADirectoryError hint: Choose another folder."
    )
    answer = cli("jobs", "watch", failing, "--json")
    assert (answer.code, answer.document["job"]["error"]["transient"]) == (1, False)
    assert failing[:8] in cli("jobs", "list", "--state", "failed").out
    assert "StorageError:" in cli("jobs", "show", failing).out

    assert cli("jobs", "watch", partly).code == 4


def test_watching_ends_after_a_while_and_the_job_goes_on(cli: Cli, submit: Submit) -> None:
    job = submit()
    answer = cli("jobs", "watch", job, "--timeout", "0.2", "--quiet")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("error: ")
    assert cli("jobs", "show", job, "--json").document["job"]["state"] == "pending"


# --- stopped, and tried again ---


def test_a_job_is_cancelled_and_tried_again(cli: Cli, submit: Submit, work: Any) -> None:
    job = submit()
    assert cli("jobs", "cancel", job[:8]).out == f"Job {job} was cancelled.\n"
    answer = cli("jobs", "cancel", job)
    assert (answer.code, answer.out) == (2, "")
    assert in_one_line(answer.err) == f"error: Job {job} is cancelled: there is nothing to cancel."
    assert cli("jobs", "watch", job).code == 1

    assert cli("jobs", "retry", job).out == f"Job {job} waits for a worker again.\n"
    work()
    assert cli("jobs", "watch", job).code == 0
    answer = cli("jobs", "retry", job, "--json")
    assert answer.code == 2
    assert answer.document["error"]["hint"] == "Only jobs that failed or were cancelled can be tried again."
    assert cli("jobs", "cancel", submit(), "--json").document["job"]["state"] == "cancelled"


def test_attempts_are_shown_where_there_were_several(
    cli: Cli, submit: Submit, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILRACE_DELIVERY_ATTEMPTS", "2")
    monkeypatch.setenv("TAILRACE_DELIVERY_FIRST_DELAY", "0.1")
    job = submit("--to", "nowhere")
    work()
    shown = cli("jobs", "show", job).out
    facts = [line.split() for line in shown.splitlines()]
    assert f"  0 of 1 delivered, 1 given up\n  See: tailrace jobs deliveries {job[:8]}\n" in shown
    table = facts[facts.index(["attempt", "began", "(UTC)", "ended", "worker"]) + 1 :]
    assert [(row[0], row[3]) for row in table] == [("1", "waiting"), ("2", "completed")]
    assert fits(shown)


# --- its files ---


def test_files_are_fetched_and_nothing_is_overwritten(
    cli: Cli, submit: Submit, work: Any, elsewhere: Path, tmp_path: Path
) -> None:
    job = submit()
    answer = cli("jobs", "download", job)
    assert answer.code == 2
    assert in_one_line(answer.err) == f"error: Job {job} (pending) has no file 1: it has none on this machine."
    work()
    (file,) = (elsewhere / "out").glob("*.csv.gz")
    answer = cli("jobs", "download", job[:8], "--to", tmp_path / "copy.gz")
    assert answer.out.splitlines() == [f"Copied {file.stat().st_size} bytes to:", f"  {tmp_path / 'copy.gz'}"]
    assert gzip.decompress((tmp_path / "copy.gz").read_bytes()).decode().split() == ["line", "one", "two", "three"]
    assert (tmp_path / "copy.gz").stat().st_mode & 0o777 == 0o600
    answer = cli("jobs", "download", job, "--to", tmp_path / "copy.gz")
    assert answer.code == 1
    assert "copy.gz" in answer.err
    assert (tmp_path / "copy.gz").read_bytes() == file.read_bytes()
    # Into a folder, and into this one, under its own name.
    document = cli("jobs", "download", job, "--json").document
    assert document["size"] == file.stat().st_size
    assert (elsewhere / file.name).read_bytes() == file.read_bytes()
    assert cli("jobs", "download", job, "--to", tmp_path).code == 0
    assert (tmp_path / file.name).read_bytes() == file.read_bytes()
    assert cli("jobs", "download", job, "--number", 2).code == 2
    assert cli("jobs", "download", job, "--number", 0).code == 2


def test_what_is_pinned_is_kept(cli: Cli, submit: Submit, work: Any, elsewhere: Path) -> None:
    job = submit()
    work()
    assert cli("jobs", "pin", job[:8]).out == f"The files of job {job} are kept.\n"
    assert "its files are kept" in cli("jobs", "show", job).out
    cli("retention", "apply", "--days", "0.0000001", "--json")
    assert len(list((elsewhere / "out").iterdir())) == 2
    answer = cli("jobs", "unpin", job, "--json")
    assert answer.document["job"]["pinned"] is False
    assert cli("jobs", "unpin", job).out == f"The files of job {job} are left to the rules again.\n"
    assert "its files are kept" not in cli("jobs", "show", job).out


def test_a_job_is_removed_with_its_file(cli: Cli, submit: Submit, work: Any, elsewhere: Path) -> None:
    first, second = submit(), submit()
    answer = cli("jobs", "rm", first)
    assert answer.code == 2
    assert in_one_line(answer.err) == f"error: Job {first} is pending. hint: tailrace jobs cancel {first}"
    work()
    assert cli("jobs", "rm", first[:8]).out == f"Removed job {first}.\n"
    assert len(list((elsewhere / "out").iterdir())) == 2
    assert cli("jobs", "rm", second, "--json").document == {"job": second, "removed": True, "problems": []}
    assert list((elsewhere / "out").iterdir()) == []
    answer = cli("jobs", "show", first)
    assert answer.code == 2
    assert in_one_line(answer.err) == (
        f"error: There is no job '{first}'. hint: tailrace jobs list says which there are."
    )


# --- which one, and whose ---


def test_ids_may_be_cut_short_but_not_too_short(cli: Cli, submit: Submit) -> None:
    job = submit()
    assert cli("jobs", "show", job[:4]).code == 0
    for nothing in (job[:3], "0" * 8, "%", "../etc"):
        answer = cli("jobs", "show", nothing, "--json")
        assert answer.code == 2
        assert answer.document["error"]["message"] == f"There is no job {nothing!r}."


@pytest.mark.parametrize("command", ["show", "watch", "cancel", "retry", "rm", "pin", "unpin", "download"])
def test_jobs_of_others_are_nobodys_business(
    cli: Cli, submit: Submit, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit()
    monkeypatch.setenv(WHO, "mallory")
    # The beginning of an id would tell the rest of it.
    assert cli("jobs", command, job[:8]).code == 2
    answer = cli("jobs", command, job)
    assert (answer.code, answer.out) == (3, "")
    assert in_one_line(answer.err).startswith("error: mallory may not ")
    assert job in answer.err
    answer = cli("jobs", command, job, "--json")
    assert (answer.code, answer.document["error"]["type"]) == (3, "NotAllowedError")
    monkeypatch.setenv(WHO, "tester")
    assert cli("jobs", "show", job, "--json").document["job"]["state"] == "pending"


def test_lists_show_jobs_of_others_to_admins_only(cli: Cli, submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    job = submit()
    monkeypatch.setenv(WHO, "mallory")
    assert cli("jobs", "list").out == "There are no jobs yet.\n"
    assert cli("jobs", "list", "--all").code == 3
    monkeypatch.setenv("TAILRACE_ADMINS", "mallory")
    heading, row = cli("jobs", "list", "--all").out.splitlines()
    assert heading.split()[:4] == ["job", "state", "export", "user"]
    assert row.split()[5] == "tester"
    assert cli("jobs", "cancel", job).code == 0


# --- the store ---


def test_the_store_is_shown_and_made(cli: Cli, submit: Submit, tmp_path: Path) -> None:
    place = str(tmp_path / "home" / "tailrace.db")
    fresh = cli("store", "show", "--json").document
    known = fresh.pop("known")
    assert fresh == {"store": place, "kind": "SQLite", "revision": None}
    told = in_one_line(cli("store", "show").out)
    assert f"kind SQLite revision none yet known {known}" in told
    assert "pending" not in told
    answer = cli("store", "upgrade")
    assert answer.code == 0
    assert answer.out.splitlines() == [f"Made the tables (revision {known}) in:", f"  {place}"]
    assert cli("store", "upgrade").out == f"The store is up to date (revision {known}).\n"
    assert cli("store", "upgrade", "--json").document == {"store": place, "before": known, "revision": known}
    submit()
    document = cli("store", "show", "--json").document
    assert document["revision"] == known
    assert [int(document[name]) for name in ("pending", "processing", "workers")] == [1, 0, 0]
    assert "pending 1 processing 0 workers 0" in in_one_line(cli("store", "show").out)
    assert fits(cli("store", "show").out)


def test_what_is_in_the_store_is_json_through_and_through(cli: Cli, submit: Submit) -> None:
    document = json.loads(cli("jobs", "show", submit("--where", "line != 'two'"), "--json").out)
    assert document["job"]["request"]["where"] == ["line != 'two'"]
