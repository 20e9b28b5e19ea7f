"""Jobs that need what only an application has: carried out by its workers, and left alone by all others."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import polars as pl
import pytest
from tailrace_sdk.fakes import FolderSink, LinesFormat

from tailrace import (
    Engine,
    ExportRequest,
    ScheduleDraft,
    SinkRequest,
    SourceCall,
    Timing,
    TransientError,
    User,
)
from tailrace.model.states import JobState
from tailrace.model.work import ExportJob
from tailrace.settings import (
    JobSettings,
    RetentionSettings,
    ScheduleSettings,
    Settings,
    StoreSettings,
    WorkerSettings,
)
from tailrace.store import jobs as queue
from tailrace.store.schema import HEAD
from tailrace.store.tables import jobs as table

ADA, ROOT = User("ada"), User("root", is_admin=True)
FRAME = pl.DataFrame({"word": ["pump", "wheel"]})


@attrs.define
class Town:
    """Engines of several applications on one store."""

    url: str
    root: Path
    engines: list[Engine] = attrs.field(factory=list)

    def engine(self, home: str = "home", **more: object) -> Engine:
        settings = Settings(
            home=self.root / home,
            user="ada",
            store=StoreSettings(self.url, key=str(self.root / "home" / "store.key")),
            jobs=JobSettings(lease=2.0, first_delay=0.05, longest_delay=0.1),
            worker=WorkerSettings(poll=0.05, drain=0.5),
            # What is done once a day has a thread of its own, which may outlive a test.
            retention=RetentionSettings(daily=False),
            schedules=ScheduleSettings(history=0),
        )
        plugins = [("lines", LinesFormat()), ("folder", FolderSink())]
        engine = Engine(settings, plugins=plugins, discover=False, **more)  # type: ignore[arg-type]  # as it takes them
        self.engines.append(engine)
        return engine

    def request(self) -> ExportRequest:
        sinks = (SinkRequest("folder", str(self.root / "out")),)
        return ExportRequest("orders", "", "lines", sinks=sinks, compress=False)


def at_rest() -> None:
    """Wait for what keeps leases: a last look at the store would open it again."""
    for thread in threading.enumerate():
        if thread.name == "tailrace-leases":
            thread.join(10)


@pytest.fixture
def town(store_url: str, tmp_path: Path) -> Iterator[Town]:
    town = Town(store_url, tmp_path)
    town.engine().upgrade_store()
    yield town
    at_rest()
    for engine in town.engines:
        engine.store.close()


def state(engine: Engine, job: ExportJob) -> JobState:
    return engine.jobs.show(job.id, ROOT).state


def test_a_job_waits_for_a_worker_that_has_its_source(town: Town) -> None:
    asked: list[str] = []

    def orders(_call: SourceCall) -> pl.DataFrame:
        asked.append(threading.current_thread().name)
        return FRAME

    shop, stranger, colleague = town.engine(), town.engine(), town.engine()
    shop.add_source("orders", orders)
    job = shop.submit(town.request(), user=ADA)
    # Another application's worker has nothing to do, and ends; the job is as it was, and none of its tries is spent.
    stranger.worker().run(until_idle=True)
    stranger.add_source("others", lambda _call: FRAME)
    stranger.worker().run(until_idle=True)
    waiting = shop.jobs.show(job.id, ADA)
    assert (waiting.state, waiting.fence, waiting.tries, asked) == (JobState.PENDING, 0, 0, [])
    # Any process of the application will do, whichever handed it in.
    colleague.add_source("orders", orders)
    colleague.worker().run(until_idle=True)
    assert state(shop, job) is JobState.COMPLETED
    # In this process, where the function is, and not asked twice: an estimate would read all of it.
    assert len(asked) == 1
    assert asked[0].startswith("tailrace-job")


def test_the_command_line_leaves_it_alone(tmp_path: Path) -> None:
    engine = Engine(Settings(home=tmp_path / "home", user="ada"))
    engine.add_source("orders", lambda _call: FRAME)
    request = ExportRequest("orders", "", "csv", sinks=(SinkRequest("disk", str(tmp_path / "out")),))
    job = engine.submit(request)
    command = [sys.executable, "-m", "tailrace", "worker", "--until-idle", "--quiet"]
    environment = {"TAILRACE_HOME": str(tmp_path / "home"), "TAILRACE_USER": "ada", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    listing = [sys.executable, "-m", "tailrace", "jobs", "list"]
    told = subprocess.run(
        listing, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert "needs source orders" in told.stdout
    assert state(engine, job) is JobState.PENDING
    engine.worker().run(until_idle=True)
    assert state(engine, job) is JobState.COMPLETED
    engine.store.close()


def test_a_worker_that_gets_the_source_later_finds_the_job(town: Town) -> None:
    shop, late = town.engine(), town.engine()
    shop.add_source("orders", lambda _call: FRAME)
    job = shop.submit(town.request(), user=ADA)
    worker = late.worker()
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        late.add_source("orders", lambda _call: FRAME)
        deadline = threading.Event()
        for _try in range(200):
            if state(shop, job) is JobState.COMPLETED:
                break
            deadline.wait(0.05)
    finally:
        worker.stop()
        thread.join(15)
    assert state(shop, job) is JobState.COMPLETED


def test_what_fails_for_now_is_tried_again(town: Town) -> None:
    calls: list[int] = []

    def orders(_call: SourceCall) -> pl.DataFrame:
        calls.append(1)
        if len(calls) < 3:
            raise TransientError("The shop is closed.")
        return FRAME

    engine = town.engine()
    engine.add_source("orders", orders)
    job = engine.submit(town.request(), user=ADA)
    engine.worker().run(until_idle=True)
    assert (state(engine, job), len(calls)) == (JobState.COMPLETED, 3)


def test_templates_and_schedules_of_a_source_wait_for_it_as_well(town: Town) -> None:
    engine, stranger = town.engine(), town.engine()
    engine.add_source("orders", lambda _call: FRAME)
    engine.templates.save("daily", town.request(), user=ADA)
    engine.schedules.add(
        "each", ScheduleDraft("daily", Timing(cron="0 3 * * *", start=datetime(2026, 1, 1, tzinfo=UTC))), user=ADA
    )
    job = engine.schedules.run_now("each", ADA)
    stranger.worker().run(until_idle=True)
    assert state(engine, job) is JobState.PENDING
    with engine.store.reading() as connection:
        row = connection.execute(table.select().where(table.c.id == job.id)).mappings().one()
    assert row["needs"] == "source orders"
    engine.worker().run(until_idle=True)
    assert state(engine, job) is JobState.COMPLETED


def test_a_source_that_was_taken_away_is_waited_for(town: Town) -> None:
    engine = town.engine()
    remove = engine.add_source("orders", lambda _call: FRAME)
    job = engine.submit(town.request(), user=ADA)
    remove()
    engine.worker().run(until_idle=True)
    assert state(engine, job) is JobState.PENDING
    engine.jobs.cancel(job.id, ADA)
    assert state(engine, job) is JobState.CANCELLED


def test_a_pool_of_the_application_is_needed_as_well(tmp_path: Path) -> None:
    class Pool:
        def proxies(self) -> list[dict[str, object]]:
            return [{"key": "a", "protocol": "http", "host": "192.0.2.1", "port": 8080}]

        def apply(self, add: object, update: object, remove: object) -> list[str]:
            raise AssertionError

    settings = Settings(home=tmp_path / "home", user="ada", worker=WorkerSettings(poll=0.05))
    engine, stranger = Engine(settings), Engine(settings)
    engine.add_pool("live", Pool())
    sinks = (SinkRequest("disk", str(tmp_path / "out")),)
    requests = (
        ExportRequest("pool", "host:live", "csv", sinks=sinks),
        ExportRequest("dashboard", "executive", "json", sinks=sinks, options={"pool": "host:live"}),
    )
    jobs = [engine.submit(request) for request in requests]
    stranger.worker().run(until_idle=True)
    assert [state(engine, job) for job in jobs] == [JobState.PENDING] * 2
    engine.worker().run(until_idle=True)
    assert [state(engine, job) for job in jobs] == [JobState.COMPLETED] * 2
    for one in (engine, stranger):
        one.store.close()


def test_what_is_handed_over_as_objects_is_carried_out_in_this_process(tmp_path: Path) -> None:
    """A process of its own would not have the application's frames, observers or client."""

    def given(change: Callable[[Engine], object]) -> bool:
        engine = Engine(Settings(home=tmp_path))
        plain = engine._is_plain  # noqa: SLF001 - what decides it
        change(engine)
        return plain and not engine._is_plain  # noqa: SLF001 - the same

    assert given(lambda engine: engine.add_source("orders", lambda _call: FRAME))
    assert given(lambda engine: engine.add_observer(print))
    assert not Engine(Settings(home=tmp_path), http_client=object())._is_plain  # type: ignore[arg-type]  # noqa: SLF001 - any object will do


def test_a_lost_job_of_a_source_is_taken_over_by_its_own(town: Town) -> None:
    engine, stranger = town.engine(), town.engine()
    engine.add_source("orders", lambda _call: FRAME)
    job = engine.submit(town.request(), user=ADA)
    with engine.store.writing() as connection:
        now = engine.store.now(connection) - timedelta(seconds=30)
        assert queue.claim(connection, "dead", now=now + timedelta(seconds=31), lease=-40, limit=1) == []
        claims = queue.claim(
            connection, "dead", now=now + timedelta(seconds=31), lease=-40, limit=1, offers=["source orders"]
        )
        assert [claim.needs for claim in claims] == ["source orders"]
    stranger.worker().run(until_idle=True)
    assert state(engine, job) is JobState.PENDING
    engine.worker().run(until_idle=True)
    assert state(engine, job) is JobState.COMPLETED


def test_a_store_of_before_is_brought_up_to_date(town: Town) -> None:
    """As one that was made when nothing was needed: with the jobs that wait in it."""
    engine = town.engine()
    engine.add_source("orders", lambda _call: FRAME)
    job = engine.submit(town.request(), user=ADA)
    with engine.store.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE jobs DROP COLUMN needs")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    engine.store.close()
    late = town.engine()
    assert late.upgrade_store(ROOT) == ("0001", HEAD)
    late.add_source("orders", lambda _call: FRAME)
    late.worker().run(until_idle=True)
    assert state(late, job) is JobState.COMPLETED
