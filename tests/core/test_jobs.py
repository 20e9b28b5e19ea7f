"""Jobs from their submission to their end: claimed, carried out, tried again, cancelled, taken over, put aside."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
import sqlalchemy as sa
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

from tailrace import (
    CancelledError,
    Context,
    CredentialMode,
    Engine,
    ExportRequest,
    MasterKey,
    NotAllowedError,
    RequestError,
    SinkRequest,
    SourceError,
    TransientError,
    UnknownNameError,
    User,
)
from tailrace.model.errors import ConfigurationError, LeaseLostError, OptionError
from tailrace.model.states import JobState
from tailrace.model.work import ExportJob, RetryPolicy
from tailrace.settings import JobSettings, Settings, StoreSettings, VaultSettings, WorkerSettings
from tailrace.store import jobs as queue
from tailrace.store.tables import artifacts, attempts, audit
from tailrace.store.tables import jobs as table
from tailrace.work.recovery import recover
from tailrace.work.worker import Worker

ADA, BOB, ROOT = User("ada"), User("bob"), User("root", is_admin=True)
ROWS = {"word": ["pump", "wheel", "sluice"]}


@attrs.define
class Shop:
    """An engine of fakes on a store, and workers for it."""

    url: str
    folder: Path
    home: Path
    source: MemorySource = attrs.field(factory=lambda: MemorySource([memory_table("rows", ROWS)]))
    format: LinesFormat = attrs.field(factory=LinesFormat)
    sink: FolderSink = attrs.field(factory=FolderSink)
    limits: JobSettings = attrs.field(factory=lambda: JobSettings(lease=1.0, first_delay=0.05, longest_delay=0.2))
    engines: list[Engine] = attrs.field(factory=list)

    def engine(self) -> Engine:
        """An engine; every time a new one."""
        settings = Settings(
            home=self.home,
            user="ada",
            store=StoreSettings(self.url),
            jobs=self.limits,
            worker=WorkerSettings(poll=0.05, drain=0.5),
        )
        plugins = [("memory", self.source), ("lines", self.format), ("folder", self.sink)]
        engine = Engine(settings, plugins=plugins, discover=False)
        self.engines.append(engine)
        return engine

    def request(self, **changes: Any) -> ExportRequest:
        """A request, plain and into the folder unless said otherwise."""
        wanted = ExportRequest("memory", "memory://", "lines", sinks=(SinkRequest("folder", str(self.folder)),))
        return attrs.evolve(wanted, **{"compress": False, **changes})

    def work(self, concurrency: int = 2) -> None:
        """Let a worker do all that waits."""
        self.engine().worker(concurrency=concurrency).run(until_idle=True)

    @contextmanager
    def working(self, engine: Engine | None = None) -> Iterator[Worker]:
        """A worker in the background."""
        worker = (engine or self.engine()).worker(concurrency=2)
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            yield worker
        finally:
            worker.stop()
            thread.join(15)
            assert not thread.is_alive()

    def files(self) -> list[str]:
        """Names in the folder, hidden ones included."""
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.exists() else []


@pytest.fixture
def shop(store_url: str, tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(store_url, tmp_path / "out", tmp_path / "home")
    shop.engine().upgrade_store()
    yield shop
    for engine in shop.engines:
        engine.store.close()


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.02)


def state_of(engine: Engine, job: ExportJob) -> JobState:
    return engine.jobs.show(job.id, ROOT).state


def test_a_job_is_submitted_carried_out_and_followed(shop: Shop) -> None:
    engine = shop.engine()
    job = engine.submit(shop.request(), user=ADA)
    assert (job.state, job.creator, job.source, job.format) == (JobState.PENDING, "ada", "memory", "lines")
    assert shop.files() == []
    shop.work()
    done = engine.jobs.show(job.id, ADA)
    assert (done.state, done.progress, done.complete, done.error) == (JobState.COMPLETED, 100, True, None)
    assert done.started is not None
    assert done.finished is not None
    assert job.created <= done.started <= done.finished
    (file,) = engine.jobs.files(job.id, ADA)
    assert file.path.read_text() == '{"word":"pump"}\n{"word":"wheel"}\n{"word":"sluice"}\n'
    assert (file.rows, file.size, file.root) == (3, file.path.stat().st_size, shop.folder)
    assert engine.inspect(file.path).manifest.export_id == job.id
    assert shop.files() == [file.path.name, f"{file.path.name}.manifest.json"]
    assert [attempt.outcome for attempt in engine.jobs.attempts(job.id, ADA)] == ["completed"]


def test_an_export_here_is_a_job_as_well(shop: Shop) -> None:
    engine = shop.engine()
    result = engine.export(shop.request(), user=ADA)
    job = engine.jobs.show(result.export_id, ADA)
    assert (job.state, job.inline, job.complete) == (JobState.COMPLETED, True, True)
    (file,) = engine.jobs.files(job.id, ADA)
    assert file.path == result.artifacts[0].path
    assert shop.files() == [file.path.name, f"{file.path.name}.manifest.json"]
    assert engine.jobs.notifications(ADA) == ()


def test_what_is_wrong_with_a_request_is_said_at_once(shop: Shop) -> None:
    engine = shop.engine()
    with pytest.raises(UnknownNameError):
        engine.submit(shop.request(format="nope"), user=ADA)
    with pytest.raises(OptionError):
        engine.submit(shop.request(options={"together": "perhaps"}), user=ADA)
    with pytest.raises(NotAllowedError):
        engine.submit(shop.request(), user=User(""))
    with engine.store.reading() as connection:
        assert connection.execute(sa.select(table.c.id)).first() is None
        ended = connection.execute(sa.select(audit.c.operation, audit.c.outcome).order_by(audit.c.number)).all()
    assert [tuple(row) for row in ended] == [
        ("job.submit", "failed"),
        ("job.submit", "failed"),
        ("job.submit", "refused"),
    ]


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 256, "\udc80"])
def test_ids_of_users_that_no_store_can_keep_are_refused(tmp_path: Path, name: str) -> None:
    shop = Shop("", tmp_path / "out", tmp_path / "home")
    with pytest.raises((RequestError, NotAllowedError)):
        shop.engine().submit(shop.request(), user=User(name))


def test_a_typed_password_cannot_be_asked_for_in_the_background(shop: Shop) -> None:
    with pytest.raises(RequestError, match="cannot be asked for") as caught:
        shop.engine().submit(shop.request(credentials=CredentialMode.FULL, openers=("password",)))
    assert "--wait" in caught.value.hint


def test_secrets_of_a_request_are_sealed_in_the_store(tmp_path: Path) -> None:
    shop = Shop("", tmp_path / "out", tmp_path / "home")
    engine = shop.engine()
    secret = "Canary-4711"
    request = shop.request(location=f"postgresql://u:{secret}@db/x", where=(f"word != 'http://u:{secret}@h/'",))
    job = engine.submit(request, user=ADA)
    assert secret not in repr(engine.jobs.show(job.id, ADA))
    assert not [path for path in shop.home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    shop.work()
    assert shop.source.calls[-1].location == f"postgresql://u:{secret}@db/x"
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_requests_cannot_be_moved_to_another_job(shop: Shop) -> None:
    engine = shop.engine()
    first, second = engine.submit(shop.request()), engine.submit(shop.request(limit=1))
    with engine.store.writing() as connection:
        sealed = connection.execute(sa.select(table.c.sealed).where(table.c.id == first.id)).scalar()
        connection.execute(sa.update(table).where(table.c.id == second.id).values(sealed=sealed))
    shop.work()
    failed = engine.jobs.show(second.id, ADA)
    assert failed.error is not None
    assert (failed.state, failed.error.kind, failed.tries) == (JobState.FAILED, "TamperedError", 1)
    assert state_of(engine, first) is JobState.COMPLETED


def test_an_engine_with_another_key_is_told_so(shop: Shop, tmp_path: Path) -> None:
    shop.engine().submit(shop.request())
    shop.home = tmp_path / "elsewhere"
    with pytest.raises(ConfigurationError, match="sealed with another key") as caught:
        shop.engine().submit(shop.request())
    assert "store.key" in caught.value.hint


def test_relative_paths_count_from_the_folder_of_whoever_asked(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    monkeypatch.chdir(theirs)
    shop.engine().submit(shop.request(sinks=(SinkRequest("folder", "out"),)))
    monkeypatch.chdir(tmp_path)
    shop.work()
    assert len(list((theirs / "out").iterdir())) == 2


# --- trying again ---


def flaky(times: int, error: Exception) -> Callable[[Any], Any]:
    """What fails so many times, and then does its work."""
    counter = itertools.count(1)

    def deliver(call: Any) -> Any:
        if next(counter) <= times:
            raise error
        return FolderSink().deliver(call)

    return deliver


def test_what_fails_for_now_is_tried_again(shop: Shop) -> None:
    shop.sink.instead = {"deliver": flaky(3, TransientError("The line is busy."))}
    engine = shop.engine()
    job = engine.submit(shop.request())
    shop.work()
    done = engine.jobs.show(job.id, ADA)
    assert (done.state, done.tries, done.error) == (JobState.COMPLETED, 3, None)
    outcomes = [attempt.outcome for attempt in engine.jobs.attempts(job.id, ADA)]
    assert outcomes == ["retried", "retried", "retried", "completed"]
    assert len(shop.files()) == 2


def test_it_is_not_tried_for_ever(shop: Shop) -> None:
    shop.sink.instead = {"deliver": flaky(99, TransientError("The line is busy.", hint="Call later."))}
    engine = shop.engine()
    job = engine.submit(shop.request(), retry=RetryPolicy(attempts=3, first_delay=0.01))
    shop.work()
    done = engine.jobs.show(job.id, ADA)
    assert done.error is not None
    assert (done.state, done.tries) == (JobState.FAILED, 3)
    assert (done.error.kind, done.error.message, done.error.hint) == (
        "TransientError",
        "The line is busy.",
        "Call later.",
    )
    assert done.error.plugin == "sink folder"
    assert shop.files() == []
    (told,) = engine.jobs.notifications(ADA)
    assert (told.event, told.job, told.read) == ("failed", job.id, None)
    assert "The line is busy." in told.text
    assert engine.jobs.mark_read(ADA, [told.number]) == 1
    assert engine.jobs.notifications(ADA, unread=True) == ()


def test_what_will_not_work_is_not_tried_again_and_says_why_and_where(shop: Shop) -> None:
    def broken(_call: Any) -> Any:
        raise SourceError("The disk is gone.", hint="Get it back.") from KeyError("x")

    shop.source.instead = {"open": broken}
    engine = shop.engine()
    job = engine.submit(shop.request())
    shop.work()
    done = engine.jobs.show(job.id, ADA)
    assert done.error is not None
    assert (done.state, done.tries) == (JobState.FAILED, 1)
    assert (done.error.message, done.error.cause, done.error.plugin) == (
        "The disk is gone.",
        "KeyError",
        "source memory",
    )
    assert not done.error.transient


@pytest.mark.parametrize(
    ("failed", "chance", "seconds"),
    [(1, 0, 2.0), (2, 0, 4.0), (3, 0, 8.0), (3, 1, 4.0), (4, 0, 10.0), (4, 0.5, 7.5), (5, 0, None), (500, 0, None)],
)
def test_delays_double_up_to_the_longest_less_a_share_of_chance(
    failed: int, chance: float, seconds: float | None
) -> None:
    assert RetryPolicy(attempts=5, longest_delay=10.0).delay(failed, chance) == seconds


def test_very_many_tries_are_no_trouble() -> None:
    assert RetryPolicy(attempts=10**6).delay(10**5, 0) == 300.0


def test_an_export_here_is_tried_again_when_it_is_told_to(shop: Shop) -> None:
    shop.sink.instead = {"deliver": flaky(2, TransientError("The line is busy."))}
    engine = shop.engine()
    result = engine.export(shop.request(), retry=RetryPolicy(attempts=3, first_delay=0.01))
    assert result.complete
    shop.sink.instead = {"deliver": flaky(1, TransientError("The line is busy."))}
    with pytest.raises(TransientError):
        engine.export(shop.request())
    states = [job.state for job in engine.jobs.list(ADA).jobs]
    assert states == [JobState.FAILED, JobState.COMPLETED]


def test_a_job_that_failed_is_tried_again_when_somebody_says_so(shop: Shop) -> None:
    shop.sink.instead = {"deliver": flaky(1, SourceError("No."))}
    engine = shop.engine()
    job = engine.submit(shop.request(), user=ADA)
    shop.work()
    assert state_of(engine, job) is JobState.FAILED
    with pytest.raises(NotAllowedError):
        engine.jobs.retry(job.id, BOB)
    again = engine.jobs.retry(job.id, ADA)
    assert (again.state, again.tries, again.error) == (JobState.PENDING, 0, None)
    shop.work()
    assert state_of(engine, job) is JobState.COMPLETED
    with pytest.raises(RequestError, match="is completed"):
        engine.jobs.retry(job.id, ADA)


# --- stopping ---


def slow(call: Any) -> None:
    """A format that takes ten seconds, and heeds its context."""
    for _ in range(500):
        call.context.advance(rows=1)
        time.sleep(0.02)


def submit_slow(shop: Shop, engine: Engine, **more: Any) -> ExportJob:
    """Submit a job that takes ten seconds, and whose size is known before."""
    shop.source.tables = [memory_table("rows", {"word": ["x"] * 500})]
    estimate = engine.estimate(shop.request())
    shop.format.instead = {"write": slow}
    return engine.submit(shop.request(), user=ADA, estimate=estimate, **more)


def test_a_job_that_waits_is_cancelled_at_once(shop: Shop) -> None:
    engine = shop.engine()
    job = engine.submit(shop.request())
    assert engine.jobs.cancel(job.id, ADA).state is JobState.CANCELLED
    shop.work()
    assert shop.files() == []
    with pytest.raises(RequestError, match="nothing to cancel"):
        engine.jobs.cancel(job.id, ADA)


@pytest.mark.flaky(reruns=1)  # a bound in time: what is slow by itself is slow twice
def test_a_job_that_runs_stops_within_a_second(shop: Shop) -> None:
    engine = shop.engine()
    job = submit_slow(shop, engine)
    with shop.working():
        eventually(lambda: engine.jobs.show(job.id, ADA).progress > 0)
        asked = time.monotonic()
        assert engine.jobs.cancel(job.id, ADA).cancel_requested
        eventually(lambda: state_of(engine, job).is_final)
        assert time.monotonic() - asked < 1.0
    assert state_of(engine, job) is JobState.CANCELLED
    assert shop.files() == []


def test_an_export_here_can_be_cancelled_from_elsewhere(shop: Shop) -> None:
    shop.format.instead = {"write": slow}
    engine = shop.engine()
    other = shop.engine()
    raised: list[BaseException] = []

    def export() -> None:
        try:
            engine.export(shop.request(), user=ADA)
        except BaseException as error:  # noqa: BLE001 - looked at below
            raised.append(error)

    thread = threading.Thread(target=export)
    thread.start()
    eventually(lambda: bool(other.jobs.list(ADA).jobs))
    (job,) = other.jobs.list(ADA).jobs
    other.jobs.cancel(job.id, ADA)
    thread.join(5)
    assert isinstance(raised[0], CancelledError)
    assert state_of(other, job) is JobState.CANCELLED


def test_a_deadline_holds_over_all_phases(shop: Shop) -> None:
    engine = shop.engine()
    job = submit_slow(shop, engine, timeout=0.3)
    shop.work()
    done = engine.jobs.show(job.id, ADA)
    assert done.error is not None
    assert (done.state, done.error.kind) == (JobState.FAILED, "DeadlineError")


def test_a_worker_that_ends_gives_back_what_it_cannot_finish(shop: Shop) -> None:
    engine = shop.engine()
    job = submit_slow(shop, engine)
    with shop.working() as worker:
        eventually(lambda: state_of(engine, job) is JobState.PROCESSING)
        asked = time.monotonic()
        worker.stop()
        eventually(lambda: state_of(engine, job) is JobState.PENDING)
        assert time.monotonic() - asked < 5
    assert [attempt.outcome for attempt in engine.jobs.attempts(job.id, ADA)] == ["returned"]
    assert engine.jobs.show(job.id, ADA).tries == 0
    shop.format.instead = {}
    shop.work()
    assert state_of(engine, job) is JobState.COMPLETED
    assert len(shop.files()) == 2


def test_progress_is_told_and_never_falls(shop: Shop) -> None:
    engine = shop.engine()
    job = submit_slow(shop, engine)
    with shop.working():
        seen: list[ExportJob] = []
        for found in engine.jobs.wait(job.id, ADA):
            seen.append(found)
            if found.progress > 10 and not found.cancel_requested:
                engine.jobs.cancel(job.id, ADA)
    running = [found for found in seen if found.state is JobState.PROCESSING]
    assert [found.progress for found in running] == sorted(found.progress for found in running)
    assert running[-1].rows > 0
    assert running[-1].phase == "writing"
    assert running[-1].total_rows == 500


# --- leases ---


def claimed(engine: Engine, worker: str, lease: float = 60.0) -> list[queue.Claim]:
    with engine.store.writing() as connection:
        return queue.claim(connection, worker, now=engine.store.now(connection), lease=lease, limit=10)


def let_leases_end(engine: Engine) -> None:
    with engine.store.writing() as connection:
        past = engine.store.now(connection) - timedelta(seconds=1)
        connection.execute(sa.update(table).where(table.c.state == "processing").values(lease_until=past))


def test_a_job_is_claimed_once(shop: Shop) -> None:
    engine = shop.engine()
    ids = {engine.submit(shop.request()).id for _ in range(3)}
    first, second = claimed(engine, "one"), claimed(engine, "two")
    assert {claim.id for claim in first} == ids
    assert [claim.fence for claim in first] == [1, 1, 1]
    assert second == []


def test_a_job_of_a_worker_that_is_not_heard_of_is_taken_over(shop: Shop) -> None:
    engine = shop.engine()
    job = engine.submit(shop.request())
    (claim,) = claimed(engine, "dead", lease=0.2)
    time.sleep(0.3)
    shop.work()
    assert state_of(engine, job) is JobState.COMPLETED
    outcomes = [attempt.outcome for attempt in engine.jobs.attempts(job.id, ADA)]
    assert outcomes == ["lost", "completed"]
    with engine.store.writing() as connection, pytest.raises(LeaseLostError):
        queue.end(connection, job.id, claim.fence, "failed", now=engine.store.now(connection))


def test_what_an_old_attempt_writes_is_refused_by_its_fence(shop: Shop) -> None:
    engine = shop.engine()
    job = engine.submit(shop.request())
    (old,) = claimed(engine, "stopped")
    let_leases_end(engine)
    shop.work()
    done = engine.jobs.show(job.id, ADA)
    assert done.fence > old.fence
    with engine.store.writing() as connection:
        now = engine.store.now(connection)
        progress = queue.Progressed("writing", 50, 1, 1, None)
        assert queue.renew(connection, job.id, old.fence, until=now, progress=progress) is False
        assert queue.pulse(connection, {job.id: old.fence})[job.id].held is False
        writes: list[Callable[[], object]] = [
            lambda: queue.note_folders(connection, job.id, old.fence, []),
            lambda: queue.may_deliver(connection, job.id, old.fence),
            lambda: queue.complete(connection, job.id, old.fence, now=now, result={}, files=[]),
            lambda: queue.end(connection, job.id, old.fence, "retried", now=now),
        ]
        for write in writes:
            with pytest.raises(LeaseLostError):
                write()
    assert engine.jobs.show(job.id, ADA) == done


def test_a_lease_that_is_over_and_that_nobody_took_is_still_ones_own(shop: Shop) -> None:
    engine = shop.engine()
    engine.submit(shop.request())
    (claim,) = claimed(engine, "slow")
    let_leases_end(engine)
    with engine.store.writing() as connection:
        until = engine.store.now(connection) + timedelta(seconds=60)
        assert queue.renew(connection, claim.id, claim.fence, until=until, progress=None)
        assert queue.overdue(connection, now=engine.store.now(connection)) == []


def test_leases_are_renewed_while_the_worker_lives(shop: Shop) -> None:
    def unhurried(call: Any) -> None:
        time.sleep(3.0)
        LinesFormat().write(call)

    shop.limits = attrs.evolve(shop.limits, lease=1.5)
    engine = shop.engine()
    estimate = engine.estimate(shop.request())
    shop.format.instead = {"write": unhurried}
    job = engine.submit(shop.request(), user=ADA, estimate=estimate)
    with shop.working(), shop.working():
        eventually(lambda: state_of(engine, job).is_final, seconds=30)
    assert [attempt.outcome for attempt in engine.jobs.attempts(job.id, ADA)] == ["completed"]


def test_an_attempt_that_lost_its_job_publishes_nothing(shop: Shop) -> None:
    engine = shop.engine()
    holds, goes_on = threading.Event(), threading.Event()

    def waits(call: Any) -> None:
        LinesFormat().write(call)
        if not holds.is_set():
            holds.set()
            goes_on.wait(10)

    shop.format.instead = {"write": waits}
    shop.limits = attrs.evolve(shop.limits, lease=600.0)
    job = engine.submit(shop.request())
    with shop.working():
        assert holds.wait(10)
        let_leases_end(engine)
        # It is completed a moment before the name is gone that its file had while it was made.
        eventually(lambda: state_of(engine, job) is JobState.COMPLETED and len(shop.files()) == 2)
        done, files = engine.jobs.show(job.id, ADA), shop.files()
        goes_on.set()
    assert (engine.jobs.show(job.id, ADA), shop.files()) == (done, files)
    assert len(files) == 2
    assert [attempt.outcome for attempt in engine.jobs.attempts(job.id, ADA)] == ["lost", "completed"]


def test_a_job_that_takes_its_workers_with_it_is_put_aside(shop: Shop) -> None:
    engine = shop.engine()
    other = engine.submit(shop.request(), user=ADA)
    for count in (1, 2, 3):
        assert [claim.id for claim in claimed(engine, "victim", lease=-1.0)] == [other.id]
        (taken,) = recover(engine.store, most_losses=3)
        assert taken.quarantined is (count == 3)
    aside = engine.jobs.show(other.id, ADA)
    assert aside.error is not None
    assert (aside.state, aside.quarantined, aside.losses) == (JobState.FAILED, True, 3)
    assert "put aside" in aside.error.message
    assert "tailrace jobs retry" in aside.error.hint
    again = engine.jobs.retry(other.id, ADA)
    assert (again.quarantined, again.losses) == (False, 0)


def test_an_export_here_whose_process_died_failed_and_is_not_taken_over(shop: Shop) -> None:
    engine = shop.engine()
    job = engine.submit(shop.request())
    claimed(engine, "engine", lease=-1.0)
    with engine.store.writing() as connection:
        connection.execute(sa.update(table).values(inline=True))
    shop.work()
    failed = engine.jobs.show(job.id, ADA)
    assert failed.error is not None
    assert (failed.state, failed.quarantined, failed.error.kind) == (JobState.FAILED, False, "Lost")
    assert shop.files() == []


def test_a_lost_job_that_was_to_be_cancelled_is_cancelled(shop: Shop) -> None:
    engine = shop.engine()
    job = engine.submit(shop.request())
    claimed(engine, "dead")
    engine.jobs.cancel(job.id, ADA)
    let_leases_end(engine)
    shop.work()
    assert state_of(engine, job) is JobState.CANCELLED


# --- lists, files, removal ---


def test_lists_turn_pages_and_know_states(shop: Shop) -> None:
    engine = shop.engine()
    made = [engine.submit(shop.request(), user=ADA).id for _ in range(5)]
    foreign = engine.submit(shop.request(), user=BOB).id
    first = engine.jobs.list(ADA, limit=2)
    second = engine.jobs.list(ADA, limit=2, before=first.next)
    third = engine.jobs.list(ADA, limit=2, before=second.next)
    assert [job.id for page in (first, second, third) for job in page.jobs] == made[::-1]
    assert third.next is None
    engine.jobs.cancel(made[0], ADA)
    assert [job.id for job in engine.jobs.list(ADA, states=[JobState.CANCELLED]).jobs] == [made[0]]
    both = engine.jobs.list(ROOT, everybody=True, states=[JobState.CANCELLED, JobState.PENDING]).jobs
    assert [job.id for job in both] == [foreign, *made[::-1]]
    with pytest.raises(NotAllowedError):
        engine.jobs.list(ADA, everybody=True)


def test_the_beginning_of_an_id_will_do(shop: Shop) -> None:
    engine = shop.engine()
    job = engine.submit(shop.request())
    assert engine.jobs.show(job.id[:6], ADA).id == job.id
    for nothing in (job.id[:3], "", "ffffffff-0000", "%", "____"):
        with pytest.raises(UnknownNameError) as caught:
            engine.jobs.show(nothing, ADA)
        assert "tailrace jobs list" in caught.value.hint


def test_a_download_is_for_whom_it_is_for_and_is_audited(shop: Shop) -> None:
    engine = shop.engine()
    job = engine.submit(shop.request(), user=ADA)
    with pytest.raises(RequestError, match="has no file 1"), engine.jobs.download(job.id, ADA):
        pass
    shop.work()
    with pytest.raises(NotAllowedError), engine.jobs.download(job.id, BOB):
        pass
    with engine.jobs.download(job.id, ADA) as (file, stream):
        assert stream.read() == file.path.read_bytes()
    file.path.write_text("something else")
    with pytest.raises(Exception, match="another size"), engine.jobs.download(job.id, ADA):
        pass
    with engine.store.reading() as connection:
        asked = sa.select(audit.c.user, audit.c.outcome).where(audit.c.operation == "file.download")
        entries = [tuple(row) for row in connection.execute(asked.order_by(audit.c.number))]
    assert entries == [("bob", "refused"), ("ada", "ok")]


def test_a_job_is_removed_with_its_file_and_stays_in_the_audit_trail(shop: Shop) -> None:
    engine = shop.engine()
    job = engine.submit(shop.request(), user=ADA)
    with pytest.raises(RequestError, match="is pending"):
        engine.jobs.remove(job.id, ADA)
    shop.work()
    with pytest.raises(NotAllowedError):
        engine.jobs.remove(job.id, BOB)
    assert engine.jobs.remove(job.id, ADA) == ()
    assert shop.files() == []
    with pytest.raises(UnknownNameError):
        engine.jobs.show(job.id, ADA)
    with engine.store.reading() as connection:
        kept = connection.execute(sa.select(audit.c.operation).where(audit.c.job == job.id).order_by(audit.c.number))
        assert kept.scalars().all()[-1] == "job.remove"
        for rest in (attempts, artifacts):
            assert connection.execute(sa.select(sa.func.count()).select_from(rest)).scalar() == 0


def test_the_trail_holds_after_all_of_it(shop: Shop) -> None:
    engine = shop.engine()
    shop.sink.instead = {"deliver": flaky(1, TransientError("Busy."))}
    for user in (ADA, BOB):
        engine.submit(shop.request(), user=user)
    shop.work()
    manifests = sorted(shop.folder.glob("*.manifest.json"))
    assert len(manifests) == 2
    assert engine.audit.verify(ROOT, manifests=manifests).ok


def test_waiting_can_be_stopped(shop: Shop) -> None:
    engine = shop.engine()
    job = engine.submit(shop.request())
    context = Context(timeout=0.2)
    with pytest.raises(Exception, match="longer than"):
        for _ in engine.jobs.wait(job.id, ADA, context=context):
            pass


@pytest.mark.flaky(reruns=1)  # a bound in time: what is slow by itself is slow twice
def test_a_job_that_cannot_be_stopped_is_cancelled_all_the_same(shop: Shop) -> None:
    busy = threading.Event()

    def deaf(call: Any) -> None:
        busy.set()
        time.sleep(2.5)
        LinesFormat().write(call)

    engine = shop.engine()
    estimate = engine.estimate(shop.request())
    shop.format.instead = {"write": deaf}
    job = engine.submit(shop.request(), user=ADA, estimate=estimate)
    with shop.working():
        assert busy.wait(10)
        asked = time.monotonic()
        engine.jobs.cancel(job.id, ADA)
        eventually(lambda: state_of(engine, job) is JobState.CANCELLED)
        assert time.monotonic() - asked < 1.5
        assert [attempt.outcome for attempt in engine.jobs.attempts(job.id, ADA)] == ["cancelled"]
    assert shop.files() == []
    assert state_of(engine, job) is JobState.CANCELLED


def test_openers_of_the_settings_go_along_with_a_job(shop: Shop, tmp_path: Path) -> None:
    engine = shop.engine()
    key = tmp_path / "keys" / "master.key"
    key.parent.mkdir()
    key.write_text(MasterKey.generate().text)
    settings = attrs.evolve(engine.settings, vault=VaultSettings(openers=(f"file:{key}",)))
    other = Engine(settings, plugins=engine._given_plugins, discover=False)  # noqa: SLF001 - the same plugins
    shop.engines.append(other)
    job = other.submit(shop.request(credentials=CredentialMode.FULL), user=ADA)
    with engine.store.reading() as connection:
        sealed = connection.execute(sa.select(table.c.sealed).where(table.c.id == job.id)).scalar_one()
    assert other.desk.sealer.open("job", job.id, sealed)["openers"] == [f"file:{key}"]


def test_the_beginning_of_a_foreign_id_tells_nothing(shop: Shop) -> None:
    engine = shop.engine()
    job = engine.submit(shop.request(), user=ADA)
    with pytest.raises(UnknownNameError):
        engine.jobs.show(job.id[:8], BOB)
    with pytest.raises(NotAllowedError):
        engine.jobs.show(job.id, BOB)
    assert engine.jobs.show(job.id[:8], ROOT).id == job.id


def test_where_no_sink_delivers_all_of_them_are_tried_again(shop: Shop, tmp_path: Path) -> None:
    shop.sink.instead = {"deliver": flaky(2, TransientError("The line is busy."))}
    engine = shop.engine()
    sinks = (SinkRequest("folder", str(tmp_path / "a")), SinkRequest("folder", str(tmp_path / "b")))
    job = engine.submit(shop.request(sinks=sinks), user=ADA)
    shop.work()
    done = engine.jobs.show(job.id, ADA)
    assert (done.state, done.complete, done.tries) == (JobState.COMPLETED, True, 1)
    assert [len(list((tmp_path / name).iterdir())) for name in "ab"] == [2, 2]


def test_what_a_sink_published_before_it_failed_is_taken_back(shop: Shop, tmp_path: Path) -> None:
    def publishes_and_fails(call: Any) -> Any:
        receipt = FolderSink().deliver(call)
        if call.target.endswith("a"):
            raise SourceError("The disk reported an error.")
        return receipt

    shop.sink.instead = {"deliver": publishes_and_fails}
    engine = shop.engine()
    sinks = (SinkRequest("folder", str(tmp_path / "a")), SinkRequest("folder", str(tmp_path / "b")))
    job = engine.submit(shop.request(sinks=sinks), user=ADA)
    shop.work()
    done = engine.jobs.show(job.id, ADA)
    assert (done.state, done.complete) == (JobState.PARTLY_DELIVERED, False)
    assert [len(list((tmp_path / name).iterdir())) for name in "ab"] == [0, 2]
    assert [file.path.parent.name for file in engine.jobs.files(job.id, ADA)] == ["b"]
