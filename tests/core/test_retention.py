"""Retention: removing files for real, whatever lies in their place, and wherever it is killed."""

import errno
import fcntl
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
import sqlalchemy as sa

from tailrace.model.audit import AuditFilter
from tailrace.model.context import Context
from tailrace.model.errors import CancelledError, ConfigurationError, NotAllowedError, RequestError, UnknownNameError
from tailrace.model.job import User
from tailrace.model.states import JobState
from tailrace.model.work import OutputFile, RetryPolicy
from tailrace.settings import RetentionSettings
from tailrace.store import artifacts, audit, jobs, tables
from tailrace.store.database import Store
from tailrace.work.access import Access
from tailrace.work.disposal import Found, holding
from tailrace.work.retention import Retention

ADMIN = User("root", is_admin=True, agent="test")
KIM = User("kim")
CONTENT = b"a,b\n1,2\n"


@attrs.define
class World:
    """A store, a root with files, and a clock that can be put on.

    Args:
        store: The store.
        url: Where it is.
        root: The folder of the files.
    """

    store: Store
    url: str
    root: Path
    ahead: timedelta = timedelta(0)

    def retention(self, **rules: Any) -> Retention:
        return Retention(self.store, Access(self.store), RetentionSettings(**rules), "here")

    def apply(self, **rules: Any) -> Any:
        return self.retention(**rules).apply(ADMIN)

    def pass_days(self, days: float) -> None:
        """Put the clock on."""
        self.ahead += timedelta(days=days)

    def finish(
        self, *paths: Path, root: Path | None = None, creator: str = "kim", **more: Any
    ) -> tuple[OutputFile, ...]:
        """Complete a job that has these files, as they are now."""
        job = more.pop("job", None) or str(uuid.uuid4())
        with self.store.writing() as connection:
            now = self.store.now(connection)
            new = jobs.NewJob(
                id=job,
                creator=creator,
                source="pool",
                format="csv",
                template=more.pop("template", None),
                request={"location": "pool.db"},
                sealed=b"",
                folder="/",
                timeout=None,
                retry=RetryPolicy(),
            )
            jobs.enter(connection, new, now=now, holder="me", lease=60)
            files = tuple(_file(job, path, root or self.root, now) for path in paths)
            jobs.complete(connection, job, 1, now=now, result={"complete": True}, files=files)
        return files

    def make(self, name: str = "a.csv", content: bytes = CONTENT, *, manifest: bool = True, **more: Any) -> OutputFile:
        """Complete a job with one file below the root."""
        job = str(uuid.uuid4())
        path = self.root / name
        write(path, content, job if manifest else None)
        (file,) = self.finish(path, job=job, **more)
        return file

    def state(self, job: str) -> JobState:
        with self.store.reading() as connection:
            found = jobs.get(connection, job)
        assert found is not None
        return found.state

    def noted(self, file: OutputFile) -> OutputFile:
        """The file as the store has it now."""
        with self.store.reading() as connection:
            return next(other for other in artifacts.of_job(connection, file.job) if other.id == file.id)

    def trail(self) -> list[tuple[str, str, str | None]]:
        """The audit trail: operation, outcome, job; the oldest first."""
        with self.store.reading() as connection:
            records = audit.listing(connection, AuditFilter(), limit=1000)
        return [(record.operation, record.outcome, record.job) for record in reversed(records)]

    def names(self) -> list[str]:
        """Everything below the root."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*"))


def _file(job: str, path: Path, root: Path, now: datetime) -> OutputFile:
    content = path.read_bytes() if path.is_file() else CONTENT
    return OutputFile(
        place="here",
        id=str(uuid.uuid4()),
        job=job,
        sink="disk",
        path=path,
        root=root,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        rows=1,
        created=now,
    )


def write(path: Path, content: bytes, job: str | None) -> None:
    """Write a file, and its manifest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if job is not None:
        described = {"name": path.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        beside = path.with_name(path.name + ".manifest.json")
        beside.write_text(json.dumps({"export_id": job, "file": described}))


def world_at(url: str, folder: Path) -> Iterator[World]:
    root = folder / "exports"
    root.mkdir()
    world: World
    store = Store(url, clock=lambda: datetime.now(UTC) + world.ahead)
    world = World(store, url, root)
    store.upgrade()
    yield world
    store.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield from world_at(f"sqlite:///{tmp_path}/home/store.db", tmp_path)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A world on either database."""
    url = f"sqlite:///{tmp_path}/home/store.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_store_url")
    yield from world_at(url, tmp_path)


# What goes, and what is written down about it.


def test_old_files_go_with_their_manifests_and_the_job_has_expired(anywhere: World) -> None:
    old = anywhere.make("2026/10/a.csv", root=anywhere.root)
    anywhere.pass_days(31)
    young = anywhere.make("2026/11/b.csv")
    done = anywhere.apply()
    assert anywhere.names() == ["2026", "2026/11", "2026/11/b.csv", "2026/11/b.csv.manifest.json"]
    assert [file.path for file in done.removed] == [old.path]
    assert (done.size, done.kept, done.problems, done.skipped) == (len(CONTENT), 1, (), ())
    assert (anywhere.state(old.job), anywhere.state(young.job)) == (JobState.EXPIRED, JobState.COMPLETED)
    assert anywhere.noted(old).removed is not None
    assert anywhere.noted(young).removed is None
    assert anywhere.trail() == [("retention.apply", "ok", old.job)]
    assert anywhere.apply().removed == ()
    assert len(anywhere.trail()) == 1


def test_the_audit_trail_says_what_was_removed_and_why(world: World) -> None:
    file = world.make()
    world.pass_days(31)
    world.apply()
    with world.store.reading() as connection:
        (record,) = audit.listing(connection, AuditFilter())
    assert (record.user, record.agent, record.file, record.size) == ("root", "test", str(file.path), len(CONTENT))
    assert (record.source, record.format, record.parameters) == ("pool", "csv", {"why": "older than 30 days"})


def test_a_plan_changes_nothing(anywhere: World) -> None:
    file = anywhere.make()
    anywhere.pass_days(31)
    plan = anywhere.retention().plan(ADMIN)
    assert [decision.export.files for decision in plan.removed] == [(file,)]
    assert plan.removed[0].export.location == "pool.db"
    assert plan.removed[0].why == "older than 30 days"
    assert file.path.exists()
    assert anywhere.state(file.job) is JobState.COMPLETED
    assert anywhere.trail() == []


def test_rules_for_one_run(world: World) -> None:
    files = [world.make(f"{number}.csv", template="nightly") for number in range(3)]
    world.pass_days(1)
    rules = RetentionSettings(days=0.5, keep_last=1)
    assert len(world.retention().plan(ADMIN, rules=rules).removed) == 2
    world.retention().apply(ADMIN, rules=rules)
    assert [file.path.exists() for file in files] == [False, False, True]


def test_rules_that_make_no_sense_remove_nothing(world: World) -> None:
    file = world.make()
    with pytest.raises(ConfigurationError):
        world.apply(days=-1)
    assert file.path.exists()


def test_too_much_goes_the_oldest_first(anywhere: World) -> None:
    files = [anywhere.make(f"{number}.csv", b"x" * 100) for number in range(5)]
    done = anywhere.apply(total_size=250)
    assert [file.path.exists() for file in files] == [False, False, False, True, True]
    assert [file.path for file in done.removed] == [file.path for file in files[:3]]
    assert done.size == 300


def test_all_files_of_a_job_go_together(anywhere: World) -> None:
    job = str(uuid.uuid4())
    paths = [anywhere.root / "a.csv", anywhere.root / "b" / "b.csv"]
    for path in paths:
        write(path, CONTENT, job)
    anywhere.finish(*paths, job=job)
    anywhere.pass_days(31)
    assert len(anywhere.apply().removed) == 2
    assert anywhere.names() == []
    assert anywhere.root.is_dir()


def test_jobs_that_are_not_completed_are_never_touched(anywhere: World) -> None:
    with anywhere.store.writing() as connection:
        now = anywhere.store.now(connection)
        new = jobs.NewJob("j", "kim", "pool", "csv", None, {}, b"", "/", None, RetryPolicy())
        jobs.enter(connection, new, now=now, holder="me", lease=60)
        file = _file("j", anywhere.root / "a.csv", anywhere.root, now)
        row = attrs.asdict(file) | {"path": str(file.path), "root": str(file.root), "problem": None}
        connection.execute(sa.insert(tables.artifacts), [row])
    write(file.path, CONTENT, "j")
    anywhere.pass_days(400)
    assert anywhere.apply(total_size=1).plan.decisions == ()
    assert file.path.exists()


def test_a_cancelled_run_stops_between_two_jobs(world: World) -> None:
    files = [world.make("a.csv"), world.make("b.csv")]
    world.pass_days(31)
    context = Context()
    context.cancel()
    with pytest.raises(CancelledError) as caught:
        world.retention().apply(ADMIN, context=context)
    assert caught.value.message == "It was stopped; 0 files had been removed."
    assert all(file.path.exists() for file in files)


# Who may.


def test_only_admins_plan_and_apply(world: World) -> None:
    file = world.make()
    world.pass_days(31)
    for act in (world.retention().plan, world.retention().apply, world.retention().show):
        with pytest.raises(NotAllowedError):
            act(KIM)
    assert file.path.exists()
    assert [outcome for _operation, outcome, _job in world.trail()] == ["refused"] * 3
    assert world.retention(days=3).show(ADMIN).days == 3


# Pins.


def test_what_is_pinned_stays_until_it_is_no_longer(anywhere: World) -> None:
    file = anywhere.make()
    retention = anywhere.retention(total_size=1)
    retention.set_pinned(file.job, KIM, pinned=True)
    anywhere.pass_days(400)
    done = retention.apply(ADMIN)
    assert (done.removed, done.plan.excess) == ((), len(CONTENT) - 1)
    assert file.path.exists()
    retention.set_pinned(file.job, KIM, pinned=False)
    retention.apply(ADMIN)
    assert not file.path.exists()
    assert [entry[0] for entry in anywhere.trail()] == ["job.pin", "job.unpin", "retention.apply"]


def test_a_pin_that_comes_behind_the_plan_holds(anywhere: World, monkeypatch: pytest.MonkeyPatch) -> None:
    file = anywhere.make()
    anywhere.pass_days(31)
    retention = anywhere.retention()
    plan = retention.plan(ADMIN)
    assert plan.removed
    retention.set_pinned(file.job, KIM, pinned=True)
    monkeypatch.setattr(Retention, "_plan", lambda *_arguments: plan)
    done = retention.apply(ADMIN)
    assert (done.removed, done.problems) == ((), ())
    assert file.path.exists()
    assert anywhere.state(file.job) is JobState.COMPLETED


def test_pinning_is_for_the_creator_and_admins(world: World) -> None:
    file = world.make()
    with pytest.raises(NotAllowedError):
        world.retention().set_pinned(file.job, User("eve"), pinned=True)
    world.retention().set_pinned(file.job, ADMIN, pinned=True)
    with pytest.raises(UnknownNameError):
        world.retention().set_pinned("nothing", ADMIN, pinned=True)


def test_what_has_expired_cannot_be_pinned(world: World) -> None:
    file = world.make()
    world.pass_days(31)
    world.apply()
    with pytest.raises(RequestError) as caught:
        world.retention().set_pinned(file.job, KIM, pinned=True)
    assert caught.value.message == f"Job {file.job} has expired: its files were removed."


# Where it must not go.


def test_a_link_in_the_place_of_a_folder_is_not_followed(world: World, tmp_path: Path) -> None:
    file = world.make("sub/a.csv")
    world.pass_days(31)
    # The same tree elsewhere, down to the manifest.
    (world.root / "sub").rename(tmp_path / "elsewhere")
    (world.root / "sub").symlink_to(tmp_path / "elsewhere")
    (found,) = world.apply().problems
    assert found.problem == f"cannot be reached: {world.root}/sub is no folder by now, or a link, which is not followed"
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == ["a.csv", "a.csv.manifest.json"]
    # Nothing of it could be removed: the job is what it was, and it is tried again.
    assert world.state(file.job) is JobState.COMPLETED
    assert world.noted(file).problem == found.problem
    (world.root / "sub").unlink()
    (tmp_path / "elsewhere").rename(world.root / "sub")
    assert len(world.apply().removed) == 1
    assert world.names() == []


def test_the_root_itself_may_be_a_link(world: World, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(world.root)
    write(world.root / "a.csv", CONTENT, None)
    world.finish(tmp_path / "link" / "a.csv", root=tmp_path / "link")
    world.pass_days(31)
    assert len(world.apply().removed) == 1
    assert world.names() == []


@pytest.mark.parametrize("form", ["dots", "other root", "relative", "the root", "dots inside"])
def test_a_path_that_leads_out_of_its_root_is_not_touched(world: World, tmp_path: Path, form: str) -> None:
    victim = tmp_path / "victim.csv"
    (world.root / "sub").mkdir()
    # With everything that would make it ours.
    file = world.make("a.csv")
    write(victim, CONTENT, file.job)
    path, root = {
        "dots": (f"{world.root}/../victim.csv", str(world.root)),
        "other root": (str(victim), str(world.root)),
        "relative": ("victim.csv", ""),
        "the root": (str(world.root), str(world.root)),
        "dots inside": (f"{world.root}/sub/../a.csv", str(world.root)),
    }[form]
    with world.store.writing() as connection:
        connection.execute(sa.update(tables.artifacts).values(path=path, root=root))
    world.pass_days(31)
    (found,) = world.apply().problems
    assert "is outside of its root" in found.problem
    assert victim.read_bytes() == CONTENT
    assert file.path.read_bytes() == CONTENT
    # It is reported for as long as it is there.
    assert len(world.apply().problems) == 1
    assert world.trail() == [("retention.apply", "failed", file.job)] * 2


def test_one_file_that_is_out_of_reach_does_not_keep_the_others_of_its_job(world: World, tmp_path: Path) -> None:
    job = str(uuid.uuid4())
    inside, outside = world.root / "a.csv", tmp_path / "b.csv"
    for path in (inside, outside):
        write(path, CONTENT, job)
    world.finish(inside, outside, job=job)
    world.pass_days(31)
    done = world.apply()
    assert [file.path for file in done.removed] == [inside]
    assert [file.path for file in done.problems] == [outside]
    assert world.state(job) is JobState.EXPIRED
    assert [file.path for file in world.apply().problems] == [outside]
    assert outside.exists()


def test_files_on_a_disk_that_is_not_mounted_are_not_forgotten(world: World) -> None:
    file = world.make()
    world.pass_days(31)
    world.root.rename(world.root.with_name("away"))
    (found,) = world.apply().problems
    assert "mount it" in found.problem
    assert world.state(file.job) is JobState.COMPLETED
    world.root.with_name("away").rename(world.root)
    assert len(world.apply().removed) == 1
    assert world.names() == []


# What is there instead.


def only_reported_once(world: World, file: OutputFile, words: str) -> None:
    done = world.apply()
    (found,) = done.problems
    assert found.problem == f"{words}, and is left alone"
    assert done.removed == ()
    noted = world.noted(file)
    assert noted.removed is not None
    assert noted.problem == found.problem
    assert world.state(file.job) is JobState.EXPIRED
    assert world.apply().problems == ()


def test_another_file_with_our_manifest_is_left_alone(world: World) -> None:
    file = world.make()
    # Of the same size, and old.
    other = world.root / "other"
    other.write_bytes(CONTENT.replace(b"1", b"3"))
    os.utime(other, (0, 0))
    other.replace(file.path)
    world.ahead = timedelta(days=31)
    with world.store.writing() as connection:
        # Recorded an hour before it was put there.
        moment = datetime.now(UTC) - timedelta(hours=1)
        connection.execute(sa.update(tables.artifacts).values(created=moment))
    only_reported_once(world, file, "is another file by now, by its content")
    assert b"3" in file.path.read_bytes()


def test_another_file_without_a_manifest_is_left_alone(world: World) -> None:
    file = world.make(manifest=False)
    world.pass_days(31)
    file.path.write_bytes(CONTENT + b"more")
    only_reported_once(world, file, "is another file by now, by its content")
    assert file.path.exists()


def test_a_file_of_another_export_is_left_alone(world: World) -> None:
    file = world.make()
    world.pass_days(31)
    write(file.path, CONTENT, str(uuid.uuid4()))
    only_reported_once(world, file, "is another file by now, by its manifest")
    assert world.names() == ["a.csv", "a.csv.manifest.json"]


def test_what_a_later_export_overwrote_is_nothing_to_worry_about(anywhere: World) -> None:
    old = anywhere.make("report.csv", b"old")
    anywhere.pass_days(31)
    new = anywhere.make("report.csv", b"new!")
    plan = anywhere.retention().plan(ADMIN)
    assert (plan.kept_size, plan.removed_size) == (4, 0)
    done = anywhere.apply()
    assert (done.removed, done.problems, done.size) == ((), (), 0)
    assert [file.id for file in done.replaced] == [old.id]
    assert new.path.read_bytes() == b"new!"
    assert anywhere.state(old.job) is JobState.EXPIRED
    assert anywhere.state(new.job) is JobState.COMPLETED


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_is_no_file_is_left_alone(world: World, kind: str, tmp_path: Path) -> None:
    file = world.make()
    world.pass_days(31)
    file.path.rename(tmp_path / "victim.csv")
    if kind == "pipe":
        os.mkfifo(file.path)
    elif kind == "link":
        file.path.symlink_to(tmp_path / "victim.csv")
    else:
        file.path.mkdir()
    what = {"pipe": "no regular file", "link": "a symbolic link", "folder": "a folder"}[kind]
    only_reported_once(world, file, f"is {what} by now")
    assert os.path.lexists(file.path)
    assert (tmp_path / "victim.csv").read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["pipe", "link", "text", "list", "deep", "no id"])
def test_a_manifest_that_is_none_does_not_count_and_stays(world: World, kind: str, tmp_path: Path) -> None:
    file = world.make(manifest=False)
    beside = world.root / "a.csv.manifest.json"
    (tmp_path / "real.json").write_text(json.dumps({"export_id": file.job, "file": {}}))
    if kind == "pipe":
        os.mkfifo(beside)
    elif kind == "link":
        beside.symlink_to(tmp_path / "real.json")
    else:
        beside.write_text({"text": "nothing", "list": "[]", "deep": "[" * 100_000, "no id": "{}"}[kind])
    world.pass_days(31)
    assert [one.path for one in world.apply().removed] == [file.path]
    assert world.names() == ["a.csv.manifest.json"]
    assert (tmp_path / "real.json").exists()


def test_a_file_without_a_manifest_goes_by_its_digest(world: World) -> None:
    world.make(manifest=False)
    world.pass_days(31)
    assert len(world.apply().removed) == 1
    assert world.names() == []


def test_a_file_that_was_sealed_for_other_keys_since_goes_by_its_manifest(world: World) -> None:
    file = world.make()
    world.pass_days(31)
    write(file.path, b"sealed anew", file.job)
    assert len(world.apply().removed) == 1
    assert world.names() == []


def test_a_file_that_nobody_touched_is_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.make()
    world.pass_days(31)
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert len(world.apply().removed) == 1


def test_a_file_that_is_gone_counts_as_removed(anywhere: World) -> None:
    files = [anywhere.make("a.csv"), anywhere.make("sub/b.csv"), anywhere.make("sub/c.csv")]
    anywhere.pass_days(31)
    # Only the file; and everything with its folder.
    files[0].path.unlink()
    for path in (anywhere.root / "sub").iterdir():
        path.unlink()
    (anywhere.root / "sub").rmdir()
    done = anywhere.apply()
    assert {file.id for file in done.removed} == {file.id for file in files}
    assert done.size == 0
    assert anywhere.names() == []


def test_a_file_that_is_exchanged_in_the_last_moment_is_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = world.make()
    world.pass_days(31)
    expire = artifacts.expire

    def exchange(connection: sa.Connection, job: str, **given: bool) -> bool:
        # Between the look and the deletion.
        write(world.root / "new", b"somebody else's", None)
        (world.root / "new").replace(file.path)
        return expire(connection, job, **given)

    monkeypatch.setattr(artifacts, "expire", exchange)
    (found,) = world.apply().problems
    assert found.problem == "is another file by now, and is left alone"
    assert file.path.read_bytes() == b"somebody else's"


# Folders.


def test_folders_stay_as_long_as_something_is_in_them(world: World) -> None:
    world.make("2026/10/a.csv")
    (world.root / "2026" / "note").write_text("mine")
    world.pass_days(31)
    world.apply()
    assert world.names() == ["2026", "2026/note"]


def test_a_folder_in_which_a_job_makes_files_stays(anywhere: World) -> None:
    anywhere.make("pool/a.csv")
    anywhere.make("pool/deeper/b.csv")
    anywhere.pass_days(31)
    with anywhere.store.writing() as connection:
        now = anywhere.store.now(connection)
        new = jobs.NewJob("j", "kim", "pool", "csv", None, {}, b"", "/", None, RetryPolicy())
        jobs.enter(connection, new, now=now, holder="me", lease=60)
        jobs.note_folders(connection, "j", 1, [anywhere.root / "pool"])
    assert len(anywhere.apply().removed) == 2
    assert anywhere.names() == ["pool"]


# What is in use.


@contextmanager
def elsewhere_locked(path: Path, kind: str) -> Iterator[None]:
    """Locks a file, or folder, in another process."""
    script = (
        "import fcntl, os, sys; descriptor = os.open(sys.argv[1], os.O_RDONLY);"
        "fcntl.flock(descriptor, getattr(fcntl, sys.argv[2])); print('locked', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", script, str(path), kind]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"locked\n"
        yield
        process.stdin.close()


@pytest.mark.parametrize("kind", ["LOCK_SH", "LOCK_EX"])
def test_a_file_that_is_downloaded_or_written_is_left_for_the_next_time(anywhere: World, kind: str) -> None:
    job = str(uuid.uuid4())
    paths = [anywhere.root / "a.csv", anywhere.root / "b.csv"]
    for path in paths:
        write(path, CONTENT, job)
    anywhere.finish(*paths, job=job)
    anywhere.pass_days(31)
    with elsewhere_locked(paths[1], kind):
        done = anywhere.apply()
        assert (done.removed, done.problems) == ((), ())
        assert [(file.path, file.problem) for file in done.skipped] == [(paths[1], "is being downloaded or written")]
        assert all(path.exists() for path in paths)
        assert anywhere.state(job) is JobState.COMPLETED
        assert anywhere.trail() == []
    assert len(anywhere.apply().removed) == 2


def test_our_locks_end_with_the_run(world: World) -> None:
    file = world.make()
    world.retention(days=1).apply(ADMIN)
    with file.path.open("rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_a_folder_in_which_somebody_replaces_a_file_is_left_for_the_next_time(world: World) -> None:
    file = world.make()
    world.pass_days(31)
    with elsewhere_locked(world.root, "LOCK_EX"):
        done = world.apply()
    assert done.problems == ()
    assert [one.problem for one in done.skipped] == ["lies in a folder in which somebody is just replacing a file"]
    assert file.path.exists()
    assert len(world.apply().removed) == 1
    assert world.names() == []


@contextmanager
def nfs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Locks as NFS has them: exclusive ones need a file that is open for writing."""
    flock = fcntl.flock

    def refuse(descriptor: int, operation: int) -> None:
        writable = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
        if operation & fcntl.LOCK_EX and not writable:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(descriptor, operation)

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", refuse)
        yield


def test_where_locks_are_those_of_nfs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    file = world.make()
    world.pass_days(31)
    with elsewhere_locked(file.path, "LOCK_SH"), nfs(monkeypatch):
        assert len(world.apply().skipped) == 1
    with nfs(monkeypatch):
        assert len(world.apply().removed) == 1
    assert world.names() == []


def test_where_nothing_can_be_locked_files_go_all_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    world.make()
    world.pass_days(31)
    monkeypatch.setattr(fcntl, "flock", refuse)
    assert len(world.apply().removed) == 1
    assert world.names() == []


def test_a_lock_that_fails_for_another_reason_is_a_problem(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    file = world.make()
    world.pass_days(31)
    monkeypatch.setattr(fcntl, "flock", refuse)
    (found,) = world.apply().problems
    assert found.problem == "cannot be looked at: the device reported an error"
    assert file.path.exists()


# What cannot be deleted.


@contextmanager
def immutable(path: Path) -> Iterator[None]:
    """Makes a file or folder immutable, which even the superuser must heed."""
    done = subprocess.run(["chattr", "+i", str(path)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("files cannot be made immutable here")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Mounts a folder over itself, read-only."""
    done = subprocess.run(["mount", "--bind", str(folder), str(folder)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("folders cannot be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True, capture_output=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize(
    ("obstacle", "words"),
    [
        (immutable, "the operation is not permitted; it may be immutable, or another user's"),
        (read_only, "the file system is read-only"),
    ],
)
def test_what_cannot_be_deleted_is_reported_and_tried_again(
    anywhere: World, obstacle: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    stuck, other = anywhere.make("stuck/a.csv"), anywhere.make("b.csv")
    anywhere.pass_days(31)
    with obstacle(stuck.path.parent):
        for _ in range(2):
            with caplog.at_level(logging.WARNING, logger="tailrace"):
                done = anywhere.apply()
            assert [file.problem for file in done.problems] == [f"cannot be deleted: {words}"]
        assert not other.path.exists()
        assert caplog.messages == [f"{stuck.path} cannot be deleted: {words}"] * 2
        assert anywhere.state(stuck.job) is JobState.EXPIRED
        assert (anywhere.noted(stuck).removed, anywhere.noted(stuck).problem) == (None, f"cannot be deleted: {words}")
        plan = anywhere.retention().plan(ADMIN)
        assert (plan.decisions, plan.unfinished) == ((), (anywhere.noted(stuck),))
        failed = ("retention.apply", "failed", stuck.job)
        assert [entry for entry in anywhere.trail() if entry[1] == "failed"] == [failed, failed]
    assert [file.path for file in anywhere.apply().removed] == [stuck.path]
    assert (anywhere.noted(stuck).problem, anywhere.names()) == ("", [])


def test_a_file_that_may_not_be_read_is_reported(world: World) -> None:
    if os.geteuid() != 0:
        pytest.skip("only the superuser can become somebody else")
    file = world.make()
    world.pass_days(31)
    file.path.chmod(0)
    # Any path, as far as the database and the root: only the file is closed to that user.
    opened = [path for path in (world.root, *world.root.parents) if path != Path("/")]
    modes = {path: path.stat().st_mode for path in opened}
    for path in opened:
        path.chmod(0o777 if path == world.root else modes[path] | 0o055)
    os.seteuid(65534)
    try:
        with holding(file) as held:
            assert (held.found, held.problem) == (Found.REFUSED, "cannot be looked at: permission is denied")
    finally:
        os.seteuid(0)
        for path, mode in modes.items():
            path.chmod(mode)


# Killed anywhere.

KILLED = """
import os, signal, sys
from datetime import UTC, datetime, timedelta
from tailrace.model.job import User
from tailrace.settings import RetentionSettings
from tailrace.store import artifacts, audit
from tailrace.store.database import Store
from tailrace.work import disposal, retention
from tailrace.work.access import Access

def die(*_arguments, **_more):
    os.kill(os.getpid(), signal.SIGKILL)

unlinks = []
unlink = os.unlink

def unlink_once(*arguments, **more):
    if unlinks:
        die()
    unlinks.append(arguments)
    unlink(*arguments, **more)

url, step = sys.argv[1:]
if step == "before expired":
    audit.append = die
elif step == "expired":
    retention._Run._delete = die
elif step == "data deleted":
    os.unlink = unlink_once
elif step == "all deleted":
    artifacts.note_removed = die
elif step == "noted":
    retention.prune = die
store = Store(url, clock=lambda: datetime.now(UTC) + timedelta(days=31))
retention.Retention(store, Access(store), RetentionSettings(), "here").apply(User("root", is_admin=True))
"""


@pytest.mark.parametrize(
    ("step", "left", "state"),
    [
        ("before expired", ["sub", "sub/a.csv", "sub/a.csv.manifest.json"], JobState.COMPLETED),
        ("expired", ["sub", "sub/a.csv", "sub/a.csv.manifest.json"], JobState.EXPIRED),
        ("data deleted", ["sub", "sub/a.csv.manifest.json"], JobState.EXPIRED),
        ("all deleted", ["sub"], JobState.EXPIRED),
        ("noted", ["sub"], JobState.EXPIRED),
    ],
)
def test_the_next_run_finishes_what_a_killed_one_began(
    anywhere: World, step: str, left: Sequence[str], state: JobState
) -> None:
    file = anywhere.make("sub/a.csv")
    done = subprocess.run([sys.executable, "-c", KILLED, anywhere.url, step], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert anywhere.names() == left
    assert anywhere.state(file.job) is state
    anywhere.pass_days(31)
    anywhere.apply()
    # Where nothing was left to be done but to remove an empty folder, the folder stays: it harms nobody.
    assert anywhere.names() == (["sub"] if step == "noted" else [])
    assert anywhere.state(file.job) is JobState.EXPIRED
    assert anywhere.noted(file).removed is not None
    assert anywhere.trail() == [("retention.apply", "ok", file.job)]


# By hand.


def test_files_of_one_job_are_removed_by_hand(anywhere: World) -> None:
    file, other = anywhere.make("a.csv"), anywhere.make("b.csv")
    assert anywhere.retention().remove_files(file.job, KIM) == ()
    assert anywhere.names() == ["b.csv", "b.csv.manifest.json"]
    assert anywhere.state(file.job) is JobState.EXPIRED
    assert anywhere.trail() == [("job.remove", "ok", file.job)]
    assert anywhere.retention().remove_files(file.job, KIM) == ()
    assert anywhere.state(other.job) is JobState.COMPLETED


def test_what_is_in_use_or_pinned_is_not_removed_by_hand(world: World) -> None:
    file = world.make()
    with elsewhere_locked(file.path, "LOCK_SH"):
        (left,) = world.retention().remove_files(file.job, KIM)
    assert left.problem == "is being downloaded or written"
    world.retention().set_pinned(file.job, KIM, pinned=True)
    with pytest.raises(RequestError) as caught:
        world.retention().remove_files(file.job, KIM)
    assert caught.value.hint == f"tailrace jobs unpin {file.job}"
    assert file.path.exists()
    with pytest.raises(UnknownNameError):
        world.retention().remove_files("nothing", KIM)


def test_what_could_not_be_removed_by_hand_is_finished_by_hand(world: World) -> None:
    file = world.make("sub/a.csv")
    with immutable(file.path.parent):
        (left,) = world.retention().remove_files(file.job, KIM)
        assert left.problem.startswith("cannot be deleted")
    assert world.retention().remove_files(file.job, KIM) == ()
    assert world.names() == []


@pytest.mark.parametrize("change", [{"pinned": True}, {"state": JobState.EXPIRED}])
def test_what_happens_to_a_job_while_its_files_are_removed_by_hand(
    world: World, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    file = world.make()
    expire = artifacts.expire

    def after_somebody_else(connection: sa.Connection, job: str, **given: bool) -> bool:
        connection.execute(sa.update(tables.jobs).values(change))
        return expire(connection, job, **given)

    monkeypatch.setattr(artifacts, "expire", after_somebody_else)
    if "pinned" in change:
        with pytest.raises(RequestError):
            world.retention().remove_files(file.job, KIM)
        assert file.path.exists()
    else:
        assert world.retention().remove_files(file.job, KIM) == ()
        assert world.names() == []


def test_what_took_the_place_of_a_file_does_not_keep_its_job(world: World) -> None:
    file = world.make()
    file.path.write_bytes(b"somebody else's")
    (world.root / "a.csv.manifest.json").unlink()
    assert world.retention().remove_files(file.job, KIM) == ()
    assert file.path.read_bytes() == b"somebody else's"


def test_two_runs_at_once_remove_each_file_once(anywhere: World) -> None:
    files = [anywhere.make(f"{number}.csv") for number in range(20)]
    script = KILLED.replace('elif step == "noted"', 'elif step == "never"')
    runs = [subprocess.Popen([sys.executable, "-c", script, anywhere.url, "through"]) for _ in range(2)]
    assert [run.wait(60) for run in runs] == [0, 0]
    assert anywhere.names() == []
    assert sorted(job or "" for _operation, _outcome, job in anywhere.trail()) == sorted(file.job for file in files)
    assert all(anywhere.noted(file).removed for file in files)
