"""Jobs while the store, the disk or a sink fails for now, or for good: nothing is lost, and nothing is done twice."""

import os
import random
import shutil
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import tailrace_sink_disk
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

from tailrace import Engine, ExportRequest, Receipt, SinkRequest, SourceError, TransientError, User
from tailrace.model.states import JobState
from tailrace.model.work import ExportJob, RetryPolicy
from tailrace.settings import JobSettings, RetentionSettings, Settings, StoreSettings, WorkerSettings
from tailrace.store.database import Store
from tailrace.work.worker import Worker

ADMIN = User("root", is_admin=True)
WORDS = ["pump", "wheel", "sluice"]


@attrs.define
class Mill:
    """Engines of fakes on one store, and workers for it.

    Args:
        folder: Where everything is.
        url: The store; empty for a file in the home.
        format: The format ``lines``.
        sink: The sink ``folder``.
        busy_seconds: Seconds that the store is waited for.
        lease: Seconds after which a job is taken from who is not heard of.
    """

    folder: Path
    url: str = ""
    format: LinesFormat = attrs.field(factory=LinesFormat)
    sink: FolderSink = attrs.field(factory=FolderSink)
    busy_seconds: float = 10.0
    lease: float = 30.0
    engines: list[Engine] = attrs.field(factory=list)

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def database(self) -> Path:
        return self.folder / "home" / "tailrace.db"

    def engine(self) -> Engine:
        """An engine; every time a new one."""
        settings = Settings(
            home=self.folder / "home",
            user="ada",
            store=StoreSettings(self.url),
            jobs=JobSettings(lease=self.lease, first_delay=0.1),
            worker=WorkerSettings(poll=0.02, drain=2.0),
            retention=RetentionSettings(daily=False),
        )
        source = MemorySource([memory_table("rows", {"word": WORDS})])
        plugins = [("memory", source), ("lines", self.format), ("folder", self.sink), ("disk", tailrace_sink_disk)]
        engine = Engine(settings, plugins=plugins, discover=False)
        engine.store = Store(self.url or f"sqlite:///{self.database}", busy_seconds=self.busy_seconds)
        self.engines.append(engine)
        return engine

    def request(self, sink: str = "disk", target: Path | None = None, **options: Any) -> ExportRequest:
        """A request, plain."""
        sinks = (SinkRequest(sink, str(target or self.out), options),)
        return ExportRequest("memory", "", "lines", sinks=sinks, compress=False)

    @contextmanager
    def working(self, concurrency: int = 2) -> Iterator[Worker]:
        """A worker in the background, which must not die of anything."""
        worker = self.engine().worker(concurrency=concurrency)
        raised: list[BaseException] = []

        def run() -> None:
            try:
                worker.run()
            except BaseException as error:  # noqa: BLE001 - looked at below
                raised.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield worker
        finally:
            worker.stop()
            thread.join(20)
            assert not thread.is_alive()
        assert raised == []

    def names(self) -> list[str]:
        """Names in the folder, hidden ones included."""
        return sorted(path.name for path in self.out.iterdir())

    def check_all_done_once(self, engine: Engine, jobs: list[ExportJob]) -> None:
        """Each of the jobs is completed, has one file, and nothing else lies there."""
        states = Counter(engine.jobs.show(job.id, ADMIN).state for job in jobs)
        assert states == {JobState.COMPLETED: len(jobs)}
        files = [file.path for job in jobs for file in engine.jobs.files(job.id, ADMIN)]
        assert len(set(files)) == len(files) == len(jobs)
        assert self.names() == sorted(name for file in files for name in (file.name, f"{file.name}.manifest.json"))
        for job in jobs:
            outcomes = [attempt.outcome for attempt in engine.jobs.attempts(job.id, ADMIN)]
            assert outcomes.count("completed") == 1
        assert engine.audit.verify(ADMIN).ok


@pytest.fixture
def mill(tmp_path: Path) -> Iterator[Mill]:
    # In memory, where there is such a folder: what is tried here is who does what when, not the disk.
    shm = Path("/dev/shm")
    mill = Mill(shm / f"tailrace-{os.getpid()}-{tmp_path.name}" if shm.is_dir() else tmp_path / "mill")
    mill.out.mkdir(parents=True)
    yield mill
    for engine in mill.engines:
        engine.store.close()
    shutil.rmtree(mill.folder)


def eventually(holds: Callable[[], Any], seconds: float = 15.0) -> None:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.02)


def finished(engine: Engine) -> Callable[[], bool]:
    """Says whether no job waits any more, and none is being carried out."""
    return lambda: not any(engine.jobs.unfinished().values())


# --- the store is away ---


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Somebody else writes to a SQLite database, and takes their time."""
    connection = sqlite3.connect(database, isolation_level=None)
    # Readers are kept out, too, in every mode of the journal but WAL.
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def test_a_locked_store_is_waited_for(mill: Mill, caplog: pytest.LogCaptureFixture) -> None:
    mill.busy_seconds = 0.2
    holds, goes_on = threading.Event(), threading.Event()

    def waits(call: Any) -> None:
        holds.set()
        goes_on.wait(10)
        LinesFormat().write(call)

    engine = mill.engine()
    estimate = engine.estimate(mill.request())
    jobs = [engine.submit(mill.request(), estimate=estimate) for _ in range(2)]
    mill.format.instead = {"write": waits}
    with mill.working():
        # Locked while jobs are carried out: they are finished and recorded when it is free again.
        eventually(holds.is_set)
        with locked(mill.database):
            goes_on.set()
            time.sleep(0.8)
        eventually(finished(engine))
        # Locked when there is something to claim, and from time to time.
        jobs += [engine.submit(mill.request(), estimate=estimate) for _ in range(10)]
        for _ in range(3):
            with locked(mill.database):
                time.sleep(0.4)
            time.sleep(0.1)
        eventually(finished(engine))
    assert "is busy or away" in caplog.text
    mill.check_all_done_once(engine, jobs)
    assert {job.losses for job in engine.jobs.list(ADMIN, everybody=True).jobs} == {0}


@pytest.mark.postgres
def test_a_store_whose_connections_are_cut_is_waited_for(mill: Mill, postgres_uri: str) -> None:
    import psycopg

    mill.url = postgres_uri
    # Where the answer to a claim was lost, nobody knows of it: the job waits for the end of its lease.
    mill.lease = 2.0
    engine = mill.engine()
    engine.upgrade_store()
    estimate = engine.estimate(mill.request())
    jobs = [engine.submit(mill.request(), estimate=estimate) for _ in range(40)]
    cut = """
        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
    """
    chance = random.Random(1893)
    with psycopg.connect(postgres_uri, autocommit=True) as server, mill.working(concurrency=3):
        killed = 0
        for _ in range(25):
            time.sleep(chance.uniform(0.0, 0.12))
            row = server.execute(cut).fetchone()
            killed += row[0] if row else 0
        eventually(
            lambda: server.execute("SELECT count(*) FROM jobs WHERE state <> 'completed'").fetchone() == (0,), 30
        )
    assert killed > 25
    mill.check_all_done_once(engine, jobs)


# --- faults that pass, and that stay ---


def test_nearly_all_jobs_get_through_a_sink_that_fails_three_times_in_ten(mill: Mill) -> None:
    seed, count, rate = 20260820, 200, 0.3
    chances = {f"{number}": random.Random(f"{seed}/{number}") for number in range(count)}
    fails = {name: [chance.random() < rate for _ in range(5)] for name, chance in chances.items()}
    draws: Mapping[str, Iterator[bool]] = {name: iter(draw) for name, draw in fails.items()}
    calls = Counter[str]()

    def deliver(call: Any) -> Receipt:
        name = call.options.name
        calls[name] += 1
        if name.startswith("never"):
            raise SourceError("The door is walled up.")
        if next(draws[name]):
            raise TransientError("The line is busy.", hint="Call later.")
        return FolderSink().deliver(call)

    engine = mill.engine()
    estimate = engine.estimate(mill.request())
    mill.sink.instead = {"deliver": deliver}
    retry = RetryPolicy(attempts=5, first_delay=0.01, longest_delay=0.02)
    names = [*chances, *(f"never-{number}" for number in range(10))]
    jobs = {name: engine.submit(mill.request("folder", name=name), retry=retry, estimate=estimate) for name in names}
    mill.engine().worker(concurrency=2).run(until_idle=True)

    found = {name: engine.jobs.show(job.id, ADMIN) for name, job in jobs.items()}
    completed = {name for name in chances if found[name].state is JobState.COMPLETED}
    # Each got what was in store for it, and gave up at the fifth time.
    assert completed == {name for name, draw in fails.items() if not all(draw)}
    assert len(completed) >= 0.99 * count
    assert {name: calls[name] for name in chances} == {
        name: draw.index(False) + 1 if not all(draw) else 5 for name, draw in fails.items()
    }
    assert sum(calls.values()) > 1.3 * count
    # What cannot be helped is tried once.
    assert {(job.state, job.tries, calls[name]) for name, job in found.items() if name.startswith("never")} == {
        (JobState.FAILED, 1, 1)
    }
    assert mill.names() == sorted(name + more for name in completed for more in ("", ".manifest.json"))


# --- disks ---


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        if os.environ.get("CI"):
            pytest.fail("a small file system cannot be mounted here")
        pytest.skip("only the superuser can mount a small file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_fails_its_job_and_no_other(mill: Mill, small_disk: Path) -> None:
    def write(call: Any) -> None:
        LinesFormat().write(call)
        call.output.write(b"\n" * 200_000)

    def count_rows(call: Any) -> dict[str, int]:
        newlines = sum(block.count(b"\n") for block in call.blocks)
        return {call.tables[0]: newlines - 200_000}

    engine = mill.engine()
    # What was expected to be small is not, and fills the disk while it is written.
    estimate = engine.estimate(mill.request())
    mill.format.instead = {"write": write, "count_rows": count_rows}
    full = engine.submit(mill.request(target=small_disk), estimate=estimate)
    expected = engine.submit(mill.request(target=small_disk), estimate=engine.estimate(mill.request()))
    others = [engine.submit(mill.request(), estimate=estimate) for _ in range(4)]
    mill.engine().worker(concurrency=3).run(until_idle=True)
    for job in (full, expected):
        found = engine.jobs.show(job.id, ADMIN)
        assert found.error is not None
        assert (found.state, found.tries, found.error.kind) == (JobState.FAILED, 1, "NoSpaceError")
        assert "space" in found.error.hint
    assert list(small_disk.iterdir()) == []
    mill.check_all_done_once(engine, others)


@pytest.mark.parametrize("sink", ["folder", "disk"])
def test_of_two_jobs_that_want_one_name_at_once_one_gets_it(mill: Mill, sink: str) -> None:
    both = threading.Barrier(2)

    def together(call: Any) -> None:
        LinesFormat().write(call)
        # Both have seen that the name is free.
        both.wait(10)

    engine = mill.engine()
    estimate = engine.estimate(mill.request())
    mill.format.instead = {"write": together}
    option: dict[str, Any] = {"name": "x"} if sink == "folder" else {"filename": "x"}
    jobs = [engine.submit(mill.request(sink, **option), estimate=estimate) for _ in range(2)]
    mill.engine().worker(concurrency=2).run(until_idle=True)
    found = [engine.jobs.show(job.id, ADMIN) for job in jobs]
    (lucky,) = [job for job in found if job.state is JobState.COMPLETED]
    (other,) = [job for job in found if job.state is JobState.FAILED]
    assert other.error is not None
    assert (other.error.kind, other.tries) == ("AlreadyExistsError", 1)
    mill.check_all_done_once(engine, [lucky])
    assert mill.names() == ["x", "x.manifest.json"]
    assert engine.verify(mill.out / "x").ok
    assert engine.inspect(mill.out / "x").manifest.export_id == lucky.id
