"""The ledger: made once, delivered to everybody, each tried on its own."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast
from unittest import mock

import attrs
import pytest
import sqlalchemy as sa
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, PostSink, memory_table

from tailrace import (
    AuditFilter,
    CancelledError,
    ConfigurationError,
    Context,
    Delivery,
    DeliveryState,
    Engine,
    ExportJob,
    ExportRequest,
    JobState,
    LeaseLostError,
    NotAllowedError,
    PluginContractError,
    Receipt,
    RequestError,
    SinkRequest,
    StorageError,
    TransientError,
    UndeliveredError,
    UnknownNameError,
    User,
    Worker,
)
from tailrace.model.delivery import Standing, delivery_name
from tailrace.model.work import RetryPolicy
from tailrace.settings import DeliverySettings, JobSettings, RetentionSettings, Settings, StoreSettings, WorkerSettings
from tailrace.store import deliveries, tables
from tailrace.store import jobs as queue
from tailrace.store.errors import StoreBusyError, StoreError
from tailrace.work import delivering
from tailrace.work.attempt import Attempt
from tailrace.work.ledger import change
from tailrace.work.outcome import settle
from tailrace.work.recording import Recorder
from tailrace.work.recovery import recover
from tailrace.work.runner import Order

ADA, BOB, ROOT = User("ada"), User("bob"), User("root", is_admin=True)
CONTENT = b'{"word":"pump"}\n'
WAITING, DELIVERED, FAILED = DeliveryState
GONE = "The file is not there any more, or is another one by now. Export again."
STOPPED = "It was cancelled. What was under way by then may have arrived."


def busy(**more: Any) -> Receipt:
    """Somebody who has no time now."""
    return Receipt("post", delivered=False, error="The line is busy.", transient=True, **more)


def away(**more: Any) -> Receipt:
    """Somebody who is not there, and never will be."""
    return Receipt("post", delivered=False, error="Nobody lives there.", **more)


@attrs.define
class Office:
    """An engine with a folder and a messenger, whose retries take no time."""

    home: Path
    out: Path
    url: str = ""
    policy: DeliverySettings = attrs.field(factory=lambda: DeliverySettings(attempts=4, first_delay=0.0))
    jobs: JobSettings = attrs.field(factory=lambda: JobSettings(first_delay=0.0))
    format: LinesFormat = attrs.field(factory=LinesFormat)
    folder: FolderSink = attrs.field(factory=FolderSink)
    post: PostSink = attrs.field(factory=PostSink)
    engines: list[Engine] = attrs.field(factory=list)
    tables: list[Any] = attrs.field(factory=lambda: [memory_table("rows", {"word": ["pump"]})])
    made: int = 0
    """How many files were made: estimates write as well, and prove nothing."""

    def __attrs_post_init__(self) -> None:
        self.format.instead = {"count_rows": self._count}

    def _count(self, call: Any) -> Any:
        self.made += not call.thorough
        return LinesFormat().count_rows(call)

    def engine(self, home: Path | None = None) -> Engine:
        settings = Settings(
            home=home or self.home,
            store=StoreSettings(self.url),
            jobs=self.jobs,
            delivery=self.policy,
            worker=WorkerSettings(poll=0.02, drain=0.2),
            retention=RetentionSettings(daily=False),
        )
        source = MemorySource(self.tables)
        plugins = [("memory", source), ("lines", self.format), ("folder", self.folder), ("post", self.post)]
        engine = Engine(settings, plugins=plugins, discover=False)
        self.engines.append(engine)
        return engine

    def request(self, *to: str, **more: Any) -> ExportRequest:
        sinks = [text.partition(":") for text in to]
        requested = tuple(SinkRequest(name, target) for name, _colon, target in sinks)
        return ExportRequest("memory", "m", "lines", sinks=requested, compress=False, **more)

    def submitted(self, *to: str) -> tuple[Engine, ExportJob]:
        engine = self.engine()
        return engine, engine.submit(self.request(*to), user=ADA)

    def work(self) -> None:
        self.engine().worker(concurrency=1).run(until_idle=True)

    def step(self, engine: Engine, job: ExportJob) -> ExportJob:
        """One attempt, as a worker makes it."""
        (claim,) = claimed(engine)
        assert claim.id == job.id
        engine.carry_out(Order({}, claim.id, claim.fence, 30.0), Context())
        return engine.jobs.show(job.id, ADA)

    @contextmanager
    def working(self) -> Iterator[Worker]:
        worker = self.engine().worker(concurrency=1)
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            yield worker
        finally:
            worker.stop()
            thread.join(15)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path / "home", tmp_path / "out")
    yield office
    for engine in office.engines:
        engine.store.close()


@pytest.fixture
def either(store_url: str, tmp_path: Path) -> Iterator[Office]:
    """An office on each kind of store."""
    office = Office(tmp_path / "home", tmp_path / "out", store_url)
    office.engine().upgrade_store()
    yield office
    for engine in office.engines:
        engine.store.close()


def claimed(engine: Engine, lease: float = 30.0) -> list[queue.Claim]:
    with engine.store.writing() as connection:
        now = engine.store.now(connection)
        return queue.claim(connection, "w", now=now, lease=lease, limit=5, place=engine._place)  # noqa: SLF001 - a worker's


def rows(engine: Engine, job: ExportJob) -> dict[str, tuple[DeliveryState, int, str]]:
    """State, failed tries and error of each, by addressee."""
    return {row.addressee: (row.state, row.tries, row.error) for row in engine.jobs.deliveries(job.id, ADA)}


def trail(engine: Engine, operation: str) -> list[tuple[str, str]]:
    """Thing and outcome of entries, the oldest first."""
    with engine.store.reading() as connection:
        asked = sa.select(tables.audit.c.thing, tables.audit.c.outcome).where(tables.audit.c.operation == operation)
        return [tuple(row) for row in connection.execute(asked.order_by(tables.audit.c.number))]


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.01)


def test_of_three_one_is_dead_and_it_alone_is_tried_again_and_nothing_is_made_twice(either: Office) -> None:
    either.post.answers["bob"] = [busy(), TransientError("Away.")]
    engine, job = either.submitted(f"folder:{either.out}", "post:ann", "post:bob")
    first = either.step(engine, job)
    assert (first.state, first.complete, first.made) == (JobState.PENDING, None, 1)
    assert rows(engine, job) == {
        "folder": (DELIVERED, 0, ""),
        "post:ann": (DELIVERED, 0, ""),
        "post:bob": (WAITING, 1, "The line is busy."),
    }
    assert engine.jobs.notifications(ADA) == ()
    assert either.step(engine, job).state is JobState.PENDING
    done = either.step(engine, job)
    assert (done.state, done.complete, done.progress) == (JobState.COMPLETED, True, 100)
    assert rows(engine, job)["post:bob"] == (DELIVERED, 2, "")
    assert either.made == 1
    assert len(either.folder.calls) == 1
    assert [(recipient, content) for _name, recipient, content in either.post.arrived] == [
        ("ann", CONTENT),
        ("bob", CONTENT),
    ]
    names = [call.delivery for call in either.post.calls if call.recipients == ("bob",)]
    assert names == [delivery_name(job.id, 0, 2)] * 3
    assert [attempt.outcome for attempt in engine.jobs.attempts(job.id, ADA)] == ["waiting", "waiting", "completed"]
    assert [note.text for note in engine.jobs.notifications(ADA)] == [
        "Your export of memory as lines is ready: 1 rows."
    ]
    assert trail(engine, "delivery") == [("post:ann", "ok"), ("post:bob", "ok")]
    assert engine.audit.verify(ROOT).ok


def test_what_can_never_arrive_is_given_up_at_once_and_the_job_is_partly_delivered(office: Office) -> None:
    office.post.answers["bob"] = [away()]
    engine, job = office.submitted("post:ann, bob")
    office.work()
    done = engine.jobs.show(job.id, ADA)
    assert (done.state, done.complete) == (JobState.PARTLY_DELIVERED, False)
    assert rows(engine, job) == {
        "post:ann": (DELIVERED, 0, ""),
        "post:bob": (FAILED, 1, "Nobody lives there."),
    }
    (note,) = engine.jobs.notifications(ADA)
    assert (note.event, note.text) == (
        "partly delivered",
        "Your export of memory as lines is ready: 1 rows. It could not be delivered everywhere: 1 of 2 did not arrive.",
    )
    assert trail(engine, "delivery") == [("post:ann", "ok"), ("post:bob", "failed")]


def test_of_several_recipients_only_those_are_tried_again_who_have_not_got_it(office: Office) -> None:
    office.post.answers |= {"ann": [busy(), busy()], "bob": [away()], "eve": [busy()]}
    engine, job = office.submitted("post:ann,bob,eve,kim")
    office.work()
    assert [call.recipients for call in office.post.calls] == [
        ("ann", "bob", "eve", "kim"),
        ("ann", "eve"),
        ("ann",),
    ]
    assert {call.delivery for call in office.post.calls} == {delivery_name(job.id, 0, 0)}
    assert [recipient for _name, recipient, _content in office.post.arrived] == ["kim", "eve", "ann"]
    assert engine.jobs.show(job.id, ADA).state is JobState.PARTLY_DELIVERED


def test_tries_end_and_it_is_said_how_many_there_were(office: Office) -> None:
    office.post.answers["ann"] = [busy()] * 9
    engine, job = office.submitted("post:ann")
    office.work()
    assert rows(engine, job)["post:ann"] == (FAILED, 4, "The line is busy. It was tried 4 times.")
    assert len(office.post.calls) == 4


def test_the_other_side_may_ask_for_time_within_bounds(office: Office) -> None:
    office.policy = DeliverySettings(first_delay=10.0, longest_delay=3600.0, jitter=0.0)
    office.post.answers |= {"ann": [busy(retry_after=120.0)], "bob": [busy(retry_after=9e9)], "eve": [busy()]}
    engine, job = office.submitted("post:ann,bob,eve")
    office.step(engine, job)
    waits = {
        row.recipient: round((row.due - row.changed).total_seconds())
        for row in engine.jobs.deliveries(job.id, ADA)
        if row.due
    }
    assert waits == {"ann": 120, "bob": 3600, "eve": 10}
    shown = engine.jobs.show(job.id, ADA)
    assert shown.due == min(row.due for row in engine.jobs.deliveries(job.id, ADA) if row.due)
    assert claimed(engine) == []


def test_delays_double_up_to_the_longest() -> None:
    policy = RetryPolicy(attempts=12, first_delay=10.0, longest_delay=14_400.0, jitter=0.0)
    now = tables_now()
    row = Delivery("1", "j", 0, 0, "post", "", WAITING, 0, 0, now, now)
    delays = []
    for tries in range(12):
        changed = change(attrs.evolve(row, tries=tries), busy(), policy, now)
        delays.append(None if changed.due is None else round((changed.due - now).total_seconds()))
    # What docs/reference/deliveries.md says.
    assert delays == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10240, None]


def tables_now() -> Any:
    from datetime import UTC, datetime

    return datetime(2026, 8, 20, 12, tzinfo=UTC)


def test_who_wants_nothing_any_more_is_not_asked_again_until_somebody_allows_it(office: Office) -> None:
    office.post.answers["ann"] = [Receipt("post", delivered=False, error="Gone.", unwanted=True)]
    engine, job = office.submitted("post:ann,bob")
    office.work()
    assert rows(engine, job)["post:ann"] == (FAILED, 1, "Gone.")
    asked = len(office.post.calls)
    _engine, other = office.submitted("post:ann")
    office.work()
    state, tries, error = rows(engine, other)["post:ann"]
    assert (state, tries) == (FAILED, 1)
    assert error.startswith("It wants nothing any more since ")
    assert error.endswith(": Gone. To change that: tailrace jobs allow")
    assert len(office.post.calls) == asked
    with pytest.raises(NotAllowedError):
        engine.jobs.unwanted(ADA)
    assert list(engine.jobs.unwanted(ROOT)) == ["post:ann"]
    with pytest.raises(UnknownNameError):
        engine.jobs.allow("post:bob", ROOT)
    engine.jobs.allow("post:ann", ROOT)
    assert engine.jobs.unwanted(ROOT) == {}
    engine.jobs.resend(other.id, ADA)
    office.work()
    assert rows(engine, other)["post:ann"] == (DELIVERED, 0, "")


def test_what_failed_is_sent_again_under_its_name_and_what_arrived_under_another(office: Office) -> None:
    office.post.answers["bob"] = [away()]
    engine, job = office.submitted("post:ann", "post:bob")
    office.work()
    again = engine.jobs.resend(job.id, ADA, failed_only=True)
    assert (again.state, again.finished, again.complete) == (JobState.PENDING, None, None)
    with pytest.raises(RequestError, match="still being delivered"):
        engine.jobs.resend(job.id, ADA)
    office.work()
    assert engine.jobs.show(job.id, ADA).state is JobState.COMPLETED
    with pytest.raises(RequestError, match="arrived"):
        engine.jobs.resend(job.id, ADA, failed_only=True)
    assert engine.jobs.show(job.id, ADA).state is JobState.COMPLETED
    engine.jobs.resend(job.id, ADA)
    office.work()
    arrived = [(recipient, name) for name, recipient, _content in office.post.arrived]
    assert arrived[:2] == [("ann", delivery_name(job.id, 0, 0)), ("bob", delivery_name(job.id, 0, 1))]
    assert sorted(arrived[2:]) == [
        ("ann", delivery_name(job.id, 0, 0, 1)),
        ("bob", delivery_name(job.id, 0, 1, 1)),
    ]
    assert office.made == 1
    with pytest.raises(NotAllowedError):
        engine.jobs.resend(job.id, BOB)


def test_only_what_has_files_can_be_sent_again(office: Office) -> None:
    engine, job = office.submitted("post:ann")
    with pytest.raises(RequestError, match="pending: there is nothing to send"):
        engine.jobs.resend(job.id, ADA)
    office.work()
    engine.retention.apply(ROOT, rules=RetentionSettings(days=1e-9))
    assert engine.jobs.show(job.id, ADA).state is JobState.EXPIRED
    with pytest.raises(RequestError, match="expired") as caught:
        engine.jobs.resend(job.id, ADA)
    assert caught.value.hint == "Its files were removed: export again."


def test_files_that_are_only_delivered_are_kept_and_belong_to_retention(office: Office) -> None:
    engine, job = office.submitted("post:ann")
    office.work()
    (file,) = engine.jobs.files(job.id, ADA)
    assert (file.path.parent, file.root, file.sink) == (office.home / "outbox", office.home / "outbox", "outbox")
    assert engine.verify(file.path).ok
    with engine.jobs.download(job.id, ADA) as (_file, stream):
        assert stream.read() == CONTENT
    engine.retention.apply(ROOT, rules=RetentionSettings(days=1e-9))
    assert list((office.home / "outbox").iterdir()) == []


def test_retention_leaves_alone_what_still_waits(office: Office) -> None:
    office.post.answers["ann"] = [busy()]
    office.policy = DeliverySettings(first_delay=600.0)
    engine, job = office.submitted("post:ann")
    office.step(engine, job)
    assert engine.retention.apply(ROOT, rules=RetentionSettings(days=1e-9)).removed == ()
    assert [file.removed for file in engine.jobs.files(job.id, ADA)] == [None]


@pytest.mark.parametrize("spoil", ["gone", "changed", "changed in place", "a link"])
def test_a_file_that_is_not_what_it_was_is_not_sent(office: Office, spoil: str) -> None:
    office.post.answers["ann"] = [busy()]
    engine, job = office.submitted("post:ann")
    office.step(engine, job)
    (file,) = engine.jobs.files(job.id, ADA)
    if spoil.startswith("changed"):
        file.path.write_bytes(CONTENT.upper() if spoil == "changed in place" else b"x")
    else:
        file.path.unlink()
    if spoil == "a link":
        (office.home / "other").write_bytes(CONTENT)
        file.path.symlink_to(office.home / "other")
    office.work()
    assert rows(engine, job)["post:ann"] == (FAILED, 2, GONE)
    assert engine.jobs.show(job.id, ADA).state is JobState.PARTLY_DELIVERED


def test_what_waits_can_be_stopped_and_what_is_made_stays(office: Office) -> None:
    office.post.answers["ann"] = [busy()]
    office.policy = DeliverySettings(first_delay=600.0)
    engine, job = office.submitted("post:ann,bob")
    office.step(engine, job)
    stopped = engine.jobs.cancel(job.id, ADA)
    assert stopped.state is JobState.PARTLY_DELIVERED
    assert rows(engine, job) == {
        "post:ann": (FAILED, 1, "ada cancelled it."),
        "post:bob": (DELIVERED, 0, ""),
    }
    assert [file.removed for file in engine.jobs.files(job.id, ADA)] == [None]
    with pytest.raises(RequestError):
        engine.jobs.cancel(job.id, ADA)


def test_a_delivery_that_is_under_way_can_be_stopped(office: Office) -> None:
    reached, goes_on = threading.Event(), threading.Event()

    def hangs(call: Any) -> Any:
        reached.set()
        goes_on.wait(10)
        call.context.check()
        return PostSink().deliver_each(call)

    office.post.instead = {"deliver_each": hangs}
    engine, job = office.submitted("post:ann")
    with office.working():
        assert reached.wait(10)
        engine.jobs.cancel(job.id, ADA)
        eventually(lambda: engine.jobs.show(job.id, ADA).state.is_final)
        goes_on.set()
    assert engine.jobs.show(job.id, ADA).state is JobState.PARTLY_DELIVERED
    assert rows(engine, job)["post:ann"] == (
        FAILED,
        0,
        STOPPED,
    )


def test_a_worker_that_ends_gives_back_what_it_delivers(office: Office) -> None:
    reached = threading.Event()

    def slow(call: Any) -> Any:
        reached.set()
        call.context.sleep(10)

    office.post.instead = {"deliver_each": slow}
    engine, job = office.submitted("post:ann")
    with office.working():
        assert reached.wait(10)
    back = engine.jobs.show(job.id, ADA)
    assert (back.state, back.tries, back.losses) == (JobState.PENDING, 0, 0)
    office.post.instead = {}
    office.work()
    assert engine.jobs.show(job.id, ADA).state is JobState.COMPLETED
    assert office.made == 1


def test_an_export_here_is_delivered_here_and_workers_go_on_where_that_fails(office: Office) -> None:
    office.post.answers["bob"] = [busy()]
    engine = office.engine()
    result = engine.export(office.request("post:ann,bob"), user=ADA)
    assert not result.complete
    ann, bob = result.artifacts[0].receipts
    assert (ann.delivered, ann.recipient, ann.place) == (True, "ann", "with ann")
    assert (bob.delivered, bob.recipient, bob.transient, bob.error) == (False, "bob", True, "The line is busy.")
    job = engine.jobs.show(result.export_id, ADA)
    assert (job.state, job.inline) == (JobState.PENDING, False)
    office.work()
    assert engine.jobs.show(job.id, ADA).state is JobState.COMPLETED
    assert [note.event for note in engine.jobs.notifications(ADA)] == ["completed"]


def test_an_export_here_that_nobody_gets_says_so_and_keeps_its_file(office: Office) -> None:
    office.post.answers["ann"] = [away()]
    engine = office.engine()
    with pytest.raises(UndeliveredError, match="could not be delivered by post: Nobody lives there") as caught:
        engine.export(office.request("post:ann"), user=ADA)
    (job,) = engine.jobs.list(ADA).jobs
    assert caught.value.hint == f"The file is kept. When the cause is gone: tailrace jobs resend {job.id} --failed"
    assert caught.value.export_id == job.id
    assert job.state is JobState.PARTLY_DELIVERED
    engine.jobs.resend(job.id, ADA)
    office.work()
    assert engine.jobs.show(job.id, ADA).state is JobState.COMPLETED
    assert office.made == 1


def test_an_export_here_that_is_stopped_while_it_is_delivered_keeps_its_file(office: Office) -> None:
    context = Context()

    def stops(call: Any) -> Any:
        context.cancel()
        call.context.check()

    office.post.instead = {"deliver_each": stops}
    engine = office.engine()
    with pytest.raises(CancelledError, match="while it was being delivered"):
        engine.export(office.request("post:ann"), user=ADA, context=context)
    (job,) = engine.jobs.list(ADA).jobs
    assert job.state is JobState.PARTLY_DELIVERED
    assert len(engine.jobs.files(job.id, ADA)) == 1


def test_what_the_process_of_an_export_here_did_not_deliver_a_worker_does(office: Office) -> None:
    engine = office.engine()

    class DiedError(BaseException):
        pass

    with (
        mock.patch.object(delivering._Run, "plan", side_effect=DiedError),  # noqa: SLF001 - the moment in question
        mock.patch("tailrace.work.carrier.settle"),
        pytest.raises(DiedError),
    ):
        engine.export(office.request("post:ann"), user=ADA)
    (job,) = engine.jobs.list(ADA).jobs
    assert (job.state, job.inline, job.made) == (JobState.PROCESSING, False, 1)
    let_leases_end(engine)
    recover(engine.store, most_losses=3)
    office.work()
    assert engine.jobs.show(job.id, ADA).state is JobState.COMPLETED
    assert office.made == 1


def let_leases_end(engine: Engine) -> None:
    with engine.store.writing() as connection:
        long_ago = engine.store.now(connection) - timedelta(hours=1)
        connection.execute(sa.update(tables.jobs).values(lease_until=long_ago))


def test_what_was_recorded_before_a_worker_died_is_not_sent_again(office: Office) -> None:
    engine, job = office.submitted("post:ann", "post:bob")

    def takes_time(call: Any) -> Any:
        if call.recipients == ("bob",):
            # What ann said is written down by then.
            time.sleep(0.2)
        return office.post._deliver_each(call)  # noqa: SLF001 - its own work

    office.post.instead = {"deliver_each": takes_time}
    (claim,) = claimed(engine)

    class DiedError(BaseException):
        pass

    record = Recorder._record  # noqa: SLF001 - the moment in question

    def dies(recorder: Any, pairs: Any) -> None:
        if any(row.recipient == "bob" for row, _receipt in pairs):
            raise DiedError
        record(recorder, pairs)

    with mock.patch.object(Recorder, "_record", dies):
        assert not engine.carry_out(Order({}, claim.id, claim.fence, 30.0), Context()).completed
    let_leases_end(engine)
    office.work()
    names = [(recipient, name) for name, recipient, _content in office.post.arrived]
    # Whether bob got it nobody knew: he is told the same name, and can drop it.
    assert names == [
        ("ann", delivery_name(job.id, 0, 0)),
        ("bob", delivery_name(job.id, 0, 1)),
        ("bob", delivery_name(job.id, 0, 1)),
    ]
    assert engine.jobs.show(job.id, ADA).losses == 1
    assert office.made == 1


def test_a_job_whose_delivery_kills_its_workers_is_put_aside_with_its_files(office: Office) -> None:
    office.jobs = JobSettings(most_losses=2)
    office.post.answers["ann"] = [busy()]
    engine, job = office.submitted("post:ann")
    office.step(engine, job)
    for _ in range(2):
        assert claimed(engine)
        let_leases_end(engine)
        recover(engine.store, most_losses=2)
    found = engine.jobs.show(job.id, ADA)
    assert (found.state, found.quarantined) == (JobState.PARTLY_DELIVERED, True)
    assert rows(engine, job)["post:ann"][0] is FAILED
    assert [file.removed for file in engine.jobs.files(job.id, ADA)] == [None]
    assert [note.event for note in engine.jobs.notifications(ADA)] == ["partly delivered"]


def test_who_lost_the_job_while_it_was_stopped_sends_nothing_when_it_goes_on(office: Office) -> None:
    office.post.answers["ann"] = [busy()]
    engine, job = office.submitted("post:ann")
    office.step(engine, job)
    (claim,) = claimed(engine)
    plan = delivering._Run.plan  # noqa: SLF001 - the moment in question

    def stopped(run: Any) -> None:
        plan(run)
        # As a clock says that went on meanwhile.
        run.attempt.renewed -= 3600
        let_leases_end(engine)
        with mock.patch.object(delivering._Run, "plan", plan):  # noqa: SLF001 - as above
            office.work()

    with mock.patch.object(delivering._Run, "plan", stopped):  # noqa: SLF001 - as above
        outcome = engine.carry_out(Order({}, claim.id, claim.fence, 30.0), Context())
    assert outcome.error is not None
    assert outcome.error.kind == LeaseLostError.__name__
    assert [recipient for _name, recipient, _content in office.post.arrived] == ["ann"]
    assert engine.jobs.show(job.id, ADA).state is JobState.COMPLETED


def test_a_folder_that_failed_for_now_is_tried_again_alone_and_fenced(office: Office) -> None:
    office.policy = DeliverySettings(first_delay=0.1)
    (office.out / "a").mkdir(parents=True)
    calls: list[str] = []

    def deliver(call: Any) -> Receipt:
        calls.append(call.target)
        if call.target.endswith("b") and calls.count(call.target) == 1:
            raise TransientError("The share is away.")
        return FolderSink().deliver(call)

    office.folder.instead = {"deliver": deliver}
    engine, job = office.submitted(f"folder:{office.out / 'a'}", f"folder:{office.out / 'b'}")
    office.step(engine, job)
    assert [file.path.parent.name for file in engine.jobs.files(job.id, ADA)] == ["a"]
    office.work()
    assert engine.jobs.show(job.id, ADA).state is JobState.COMPLETED
    one, two = sorted(file.path for file in engine.jobs.files(job.id, ADA))
    assert one.parent.name == "a"
    assert two.parent.name == "b"
    assert two.read_bytes() == one.read_bytes() == CONTENT
    assert engine.verify(two).ok
    assert [path.name for path in sorted(two.parent.iterdir())] == [two.name, f"{two.name}.manifest.json"]
    assert not (office.home / "outbox").exists()
    assert office.made == 1


def test_a_job_can_only_be_delivered_where_its_files_are(office: Office, tmp_path: Path) -> None:
    office.url = f"sqlite:///{tmp_path}/shared.db"
    office.post.answers["ann"] = [busy()]
    engine, job = office.submitted("post:ann")
    office.step(engine, job)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "store.key").write_bytes((office.home / "store.key").read_bytes())
    elsewhere = office.engine(tmp_path / "elsewhere")
    assert claimed(elsewhere) == []
    elsewhere.worker(concurrency=1).run(until_idle=True)
    assert rows(engine, job)["post:ann"][0] is WAITING
    office.work()
    assert rows(engine, job)["post:ann"][0] is DELIVERED


def test_the_store_itself_completes_no_job_before_everybody_has_it(either: Office) -> None:
    either.post.answers["ann"] = [away()]
    engine, job = either.submitted("post:ann")
    either.work()
    engine.jobs.resend(job.id, ADA)
    assert claimed(engine)
    with pytest.raises(StoreError), engine.store.writing() as connection:
        connection.execute(sa.text("UPDATE jobs SET state = 'completed', progress = 100, finished = created"))


SILENT = "The sink post did not say what became of it."


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (None, "returned NoneType instead of receipts"),
        ([], SILENT),
        ([Receipt("post", delivered=True, recipient="eve")], SILENT),
        (["ann"], SILENT),
    ],
    ids=["nothing", "nobody", "somebody else", "no receipt"],
)
def test_a_sink_that_does_not_say_what_it_did_delivered_nothing(office: Office, said: Any, words: str) -> None:
    office.post.instead = {"deliver_each": lambda _call: said}
    engine, job = office.submitted("post:ann")
    office.work()
    state, tries, error = rows(engine, job)["post:ann"]
    assert (state, tries) == (FAILED, 1)
    assert words in error


def test_what_some_have_is_not_taken_from_them_where_a_sink_forgets_the_others(office: Office) -> None:
    office.post.instead = {
        "deliver_each": lambda _call: [
            Receipt("post", delivered=True, recipient="ann"),
            Receipt("post", delivered=False, recipient="ann", error="Again."),
            Receipt("post", delivered=True, recipient="nobody"),
        ]
    }
    engine, job = office.submitted("post:ann,bob")
    office.work()
    found = rows(engine, job)
    assert found["post:ann"] == (DELIVERED, 0, "")
    assert found["post:bob"][0] is FAILED
    assert found["post:bob"][2].startswith(SILENT)


@pytest.mark.parametrize(
    ("named", "kind"), [((), RequestError), (("",), PluginContractError), ((3,), PluginContractError)]
)
def test_a_target_that_means_nobody_is_refused_before_anything_is_read(
    office: Office, named: Any, kind: type[Exception]
) -> None:
    office.post.instead = {"recipients": lambda _call: named}
    with pytest.raises(kind):
        office.engine().export(office.request("post:ann"), user=ADA)
    assert office.format.calls == []


def test_recipients_that_a_sink_no_longer_knows_are_given_up(office: Office) -> None:
    office.post.answers["ann"] = [busy()]
    engine, job = office.submitted("post:ann")
    office.step(engine, job)
    office.post.instead = {"recipients": lambda _call: ["bob"]}
    office.work()
    state, tries, error = rows(engine, job)["post:ann"]
    assert (state, tries) == (FAILED, 2)
    assert error.startswith("Sink post does not know ann any more. ")
    assert office.post.arrived == []


def test_many_are_served_side_by_side_and_what_came_in_is_recorded_together(office: Office) -> None:
    together = threading.Barrier(8, timeout=10)

    def meets(call: Any) -> Any:
        together.wait()
        return office.post._deliver_each(call)  # noqa: SLF001 - its own work

    office.post.instead = {"deliver_each": meets}
    engine, job = office.submitted(*(f"post:r{number}" for number in range(16)))
    office.work()
    assert engine.jobs.standing([engine.jobs.show(job.id, ADA)])[job.id] == Standing(delivered=16)


def test_an_error_of_the_store_or_the_disk_while_delivering_is_no_answer_of_the_recipient(office: Office) -> None:
    office.post.answers["ann"] = [StorageError("The disk is full.")]
    engine, job = office.submitted("post:ann,bob")
    office.work()
    # One call, one answer for all whom it was for.
    assert {row[0] for row in rows(engine, job).values()} == {FAILED}


def test_older_files_of_the_same_kind_go_where_a_sink_keeps_only_the_newest(office: Office) -> None:
    office.folder.instead = {
        "deliver": lambda call: attrs.evolve(FolderSink().deliver(call), keep=2 if call.target.endswith("few") else 0)
    }
    engine = office.engine()
    made = []
    for number in range(4):
        options = {"name": f"{number}.jsonl"}
        to = [SinkRequest("folder", str(office.out / where), options=options) for where in ("few", "all")]
        made.append(engine.export(attrs.evolve(office.request(), sinks=tuple(to)), user=ADA).export_id)
    kept = sorted(path.name for path in (office.out / "few").glob("*.jsonl"))
    assert kept == ["2.jsonl", "3.jsonl"]
    assert len(list((office.out / "all").glob("*.jsonl"))) == 4
    first = engine.jobs.show(made[0], ADA)
    assert first.state is JobState.COMPLETED
    assert sorted(file.removed is not None for file in engine.jobs.files(made[0], ADA)) == [False, True]
    assert trail(engine, "retention.apply") == [("", "ok"), ("", "ok")]


def test_pinned_files_stay_where_only_the_newest_are_kept_and_alone_they_end_their_job(office: Office) -> None:
    office.folder.instead = {"deliver": lambda call: attrs.evolve(FolderSink().deliver(call), keep=1)}
    engine = office.engine()
    made = []
    for number in range(3):
        to = SinkRequest("folder", str(office.out), options={"name": f"{number}.jsonl"})
        made.append(engine.export(attrs.evolve(office.request(), sinks=(to,)), user=ADA).export_id)
        if number == 0:
            engine.jobs.pin(made[0], ADA)
    assert sorted(path.name for path in office.out.glob("*.jsonl")) == ["0.jsonl", "2.jsonl"]
    assert engine.jobs.show(made[1], ADA).state is JobState.EXPIRED


# --- one file, or place, in the way of another ---


def two_tables(office: Office) -> None:
    office.tables = [memory_table("a", {"x": [1]}), memory_table("b", {"y": [1]})]


def test_files_of_one_export_do_not_replace_each_other_at_a_later_try_either(office: Office) -> None:
    two_tables(office)
    engine = office.engine()
    options = {"name": "x.jsonl", "overwrite": True}
    to = SinkRequest("folder", str(office.out), options=options)

    def careful(call: Any) -> Receipt:
        if office.out / "x.jsonl" in call.delivered:
            raise StorageError("It is another file of this export.")
        return FolderSink().deliver(call)

    office.folder.instead = {"deliver": careful}
    result = engine.export(attrs.evolve(office.request(), sinks=(to,)), user=ADA)
    assert [artifact.receipts[0].delivered for artifact in result.artifacts] == [True, False]
    engine.jobs.resend(result.export_id, ADA, failed_only=True)
    office.work()
    job = engine.jobs.show(result.export_id, ADA)
    assert job.state is JobState.PARTLY_DELIVERED
    assert (office.out / "x.jsonl").read_text() == '{"x":1}\n'


def test_a_file_that_takes_the_place_of_one_of_its_own_job_takes_its_row_and_can_be_removed(office: Office) -> None:
    engine = office.engine()
    to = SinkRequest("folder", str(office.out), options={"name": "x.jsonl", "overwrite": True})
    result = engine.export(attrs.evolve(office.request(), sinks=(to,)), user=ADA)
    (office.out / "x.jsonl").write_bytes(b"changed by somebody")
    with pytest.raises(RequestError, match=r"File 1 of job .* is not where it was put"):
        engine.jobs.resend(result.export_id, ADA)
    assert engine.jobs.show(result.export_id, ADA).state is JobState.COMPLETED
    both = attrs.evolve(office.request(), sinks=(to, to))
    job = engine.export(both, user=ADA).export_id
    assert len(engine.jobs.files(job, ADA)) == 1
    assert engine.jobs.remove(job, ADA) == ()
    assert not (office.out / "x.jsonl").exists()


def test_what_lies_in_its_folder_is_not_put_there_again(office: Office) -> None:
    engine = office.engine()
    result = engine.export(office.request(f"folder:{office.out}", "post:ann"), user=ADA)
    engine.jobs.resend(result.export_id, ADA)
    office.work()
    assert engine.jobs.show(result.export_id, ADA).state is JobState.COMPLETED
    assert len(list(office.out.glob("*.jsonl"))) == 1
    assert [recipient for _name, recipient, _content in office.post.arrived] == ["ann", "ann"]
    only = engine.export(office.request(f"folder:{office.out / 'more'}"), user=ADA).export_id
    with pytest.raises(RequestError, match="there is nothing to send again"):
        engine.jobs.resend(only, ADA)
    assert engine.jobs.show(only, ADA).state is JobState.COMPLETED


def test_a_folder_that_publishes_and_fails_leaves_nothing_at_a_later_try_either(office: Office) -> None:
    office.policy = DeliverySettings(first_delay=0.05, attempts=4)
    calls: list[Path] = []

    def deliver(call: Any) -> Receipt:
        receipt = FolderSink().deliver(call)
        if call.target.endswith("b"):
            calls.append(Path(receipt.place))
            if len(calls) < 3:
                raise TransientError("It went away.")
        return receipt

    office.folder.instead = {"deliver": deliver}
    engine, job = office.submitted(f"folder:{office.out / 'a'}", f"folder:{office.out / 'b'}")
    office.work()
    assert engine.jobs.show(job.id, ADA).state is JobState.COMPLETED
    assert len(calls) == 3
    assert [path.name for path in sorted((office.out / "b").iterdir())] == [
        calls[-1].name,
        f"{calls[-1].name}.manifest.json",
    ]


def test_a_later_try_uses_the_names_of_when_the_file_was_made(office: Office) -> None:
    office.policy = DeliverySettings(first_delay=0.05)
    (office.out / "a").mkdir(parents=True)
    staged: list[dict[str, str]] = []

    def staging(call: Any) -> Path:
        staged.append(dict(call.fields))
        folder: Path = office.out / call.target / call.fields["timestamp"]
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def deliver(call: Any) -> Receipt:
        if call.target == "b" and len(staged) < 3:
            raise TransientError("Away.")
        target = office.out / call.target / call.parcel.fields["timestamp"]
        return FolderSink().deliver(attrs.evolve(call, target=str(target)))

    office.folder.instead = {"staging": staging, "deliver": deliver}
    engine, job = office.submitted("folder:a", "folder:b")
    office.step(engine, job)
    time.sleep(1.1)
    office.work()
    assert engine.jobs.show(job.id, ADA).state is JobState.COMPLETED
    assert len({fields["timestamp"] for fields in staged}) == 1
    (folder,) = (office.out / "b").iterdir()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


# --- what may be done twice, as an answer was lost ---


@contextmanager
def answers_lost(owner: Any, method: str) -> Iterator[list[int]]:
    """Lets each call of a method do its work and lose its answer, the first time."""
    work: Any = getattr(owner, method)
    lost: list[int] = []

    def done(*arguments: Any) -> Any:
        result = work(*arguments)
        if len(lost) < 1:
            lost.append(1)
            raise StoreBusyError("The connection went away.")
        return result

    with mock.patch.object(owner, method, done):
        yield lost


@pytest.mark.parametrize(
    ("owner", "method"),
    [(Attempt, "_commit"), (Recorder, "_record"), (Recorder, "_end")],
    ids=["made", "recorded", "ended"],
)
@pytest.mark.parametrize("to", [("post:ann",), ("folder",), ("folder", "post:ann")], ids=" ".join)
def test_a_lost_answer_changes_nothing(office: Office, owner: Any, method: str, to: tuple[str, ...]) -> None:
    engine = office.engine()
    places = [f"folder:{office.out}" if name == "folder" else name for name in to]
    with answers_lost(owner, method) as lost:
        result = engine.export(office.request(*places), user=ADA)
    assert result.complete
    assert bool(lost) == ("post:ann" in to or method == "_commit")
    assert engine.jobs.show(result.export_id, ADA).state is JobState.COMPLETED
    assert trail(engine, "delivery") == [("post:ann", "ok")] * ("post:ann" in to)
    assert len(engine.jobs.files(result.export_id, ADA)) == 1
    assert len(office.post.arrived) == ("post:ann" in to)
    assert office.made == 1


def test_what_is_made_is_not_made_again_where_an_export_here_is_retried(office: Office) -> None:
    def fails(_run: Any) -> None:
        raise TransientError("The store is away.")

    engine = office.engine()
    with mock.patch.object(delivering._Run, "plan", fails), pytest.raises(TransientError):  # noqa: SLF001 - as above
        engine.export(office.request("post:ann"), user=ADA, retry=RetryPolicy(attempts=3, first_delay=0.0))
    (job,) = engine.jobs.list(ADA).jobs
    assert (job.state, office.made) == (JobState.PENDING, 1)
    office.work()
    assert engine.jobs.show(job.id, ADA).state is JobState.COMPLETED
    assert office.made == 1


# --- what one says is not the end of the others ---


@pytest.mark.parametrize(
    "odd",
    [
        Receipt("post", delivered=False, error=cast("str", None)),
        Receipt("post", delivered=False, error="half a character: \udc80"),
        Receipt("post", delivered=True, place="a nul: \0 and two\nlines"),
        Receipt("post", delivered=True, place="x" * 100_000),
        Receipt("post", delivered=False, error="x", retry_after=cast("float", "soon")),
    ],
    ids=["none", "surrogate", "nul", "endless", "no number"],
)
def test_whatever_one_says_the_others_have_it(either: Office, odd: Receipt) -> None:
    either.post.answers["eve"] = [odd]
    engine, job = either.submitted("post:ann", "post:eve", "post:bob")
    either.work()
    found = rows(engine, job)
    assert found["post:ann"][0] is found["post:bob"][0] is DELIVERED
    assert found["post:eve"][0] is (DELIVERED if odd.delivered else FAILED)
    for row in engine.jobs.deliveries(job.id, ADA):
        assert max(len(row.place), len(row.error)) <= 1000
        assert f"{row.place}{row.error}".isprintable()


def test_what_cannot_be_stored_is_told_for_that_one_alone(office: Office) -> None:
    engine, job = office.submitted("post:ann", "post:eve", "post:bob")
    record = deliveries.record

    def refuses(connection: Any, changes: Any, *, now: Any) -> None:
        if any("eve" in change.place for change in changes):
            raise StoreError("The database refused it.")
        record(connection, changes, now=now)

    with mock.patch("tailrace.store.deliveries.record", refuses):
        office.work()
    assert {row[0] for row in rows(engine, job).values()} == {DELIVERED}
    assert engine.jobs.show(job.id, ADA).state is JobState.COMPLETED


def test_names_of_recipients_are_one_line_of_bounded_length(office: Office) -> None:
    for name in ("two\nlines", "x" * 401, "half \udc80"):
        office.post.instead = {"recipients": partial(lambda name, _call: [name], name)}
        with pytest.raises(PluginContractError):
            office.engine().export(office.request("post:ann"), user=ADA)


def test_the_end_of_the_time_costs_only_what_was_under_way_a_try(office: Office) -> None:
    office.policy = DeliverySettings(first_delay=600.0, parallel=1)

    def slow(call: Any) -> Any:
        if call.recipients == ("ann",):
            call.context.sleep(10)
        return office.post._deliver_each(call)  # noqa: SLF001 - its own work

    office.post.instead = {"deliver_each": slow}
    engine = office.engine()
    job = engine.submit(office.request("post:ann", "post:bob"), user=ADA, timeout=0.5)
    engine.worker(concurrency=1)
    (claim,) = claimed(engine)
    attempt = engine._carrier.claimed(claim)  # noqa: SLF001 - as a worker does
    outcome = engine._carrier.here(attempt)  # noqa: SLF001 - as a worker does
    settle(attempt, outcome, most_losses=3)
    found = rows(engine, job)
    assert found["post:ann"][:2] == (WAITING, 1)
    assert "longer than its 0.5 seconds" in found["post:ann"][2]
    assert found["post:bob"] == (WAITING, 0, "")
    shown = engine.jobs.show(job.id, ADA)
    assert (shown.state, shown.tries) == (JobState.PENDING, 0)
    assert [one.outcome for one in engine.jobs.attempts(job.id, ADA)] == ["failed"]


def test_what_was_exported_of_the_audit_trail_is_delivered_later_as_well(office: Office) -> None:
    office.post.answers["ann"] = [busy()]
    engine = office.engine()
    request = ExportRequest("audit", "store", "lines", sinks=(SinkRequest("post", "ann"),), compress=False)
    result = engine.export_audit(request, user=ROOT)
    office.work()
    assert engine.jobs.show(result.export_id, ROOT).state is JobState.COMPLETED
    with pytest.raises(UnknownNameError):
        engine.export(request, user=ROOT)


# --- moments in between ---


def test_a_job_that_died_between_its_last_delivery_and_its_end_can_be_cancelled(office: Office) -> None:
    engine, job = office.submitted("post:ann")
    (claim,) = claimed(engine)

    class DiedError(BaseException):
        pass

    with mock.patch.object(Recorder, "_end", side_effect=DiedError):
        engine.carry_out(Order({}, claim.id, claim.fence, 30.0), Context())
    let_leases_end(engine)
    recover(engine.store, most_losses=3)
    assert engine.jobs.cancel(job.id, ADA).state is JobState.COMPLETED
    assert trail(engine, "delivery") == [("post:ann", "ok")]


def test_who_cancels_in_the_last_moment_is_heard(office: Office) -> None:
    office.policy = DeliverySettings(first_delay=600.0)
    office.post.answers["ann"] = [busy()]
    engine, job = office.submitted("post:ann")
    (claim,) = claimed(engine)
    end = Recorder.end

    def ends(recorder: Recorder) -> None:
        engine.jobs.cancel(job.id, ADA)
        end(recorder)

    with mock.patch.object(Recorder, "end", ends):
        engine.carry_out(Order({}, claim.id, claim.fence, 30.0), Context())
    assert engine.jobs.show(job.id, ADA).state is JobState.PARTLY_DELIVERED
    assert rows(engine, job)["post:ann"] == (FAILED, 1, STOPPED)
    assert trail(engine, "delivery") == [("post:ann", "failed")]


def test_a_file_that_cannot_be_read_for_now_is_tried_again(office: Office) -> None:
    office.policy = DeliverySettings(first_delay=0.05)
    office.post.answers["ann"] = [busy()]
    engine, job = office.submitted(f"folder:{office.out}", "post:ann")
    office.step(engine, job)
    office.out.rename(office.out.with_name("away"))
    time.sleep(0.06)
    # As when a share is not mounted: its root is not there.
    office.step(engine, job)
    state, tries, error = rows(engine, job)["post:ann"]
    assert (state, tries) == (WAITING, 2)
    assert "cannot be read" in error
    office.out.with_name("away").rename(office.out)
    office.work()
    assert engine.jobs.show(job.id, ADA).state is JobState.COMPLETED


def test_a_sink_that_keeps_the_newest_does_while_others_still_wait(office: Office) -> None:
    office.policy = DeliverySettings(first_delay=600.0)
    office.folder.instead = {"deliver": lambda call: attrs.evolve(FolderSink().deliver(call), keep=1)}
    engine = office.engine()
    for number in range(3):
        office.post.answers["ann"] = [busy()]
        to = SinkRequest("folder", str(office.out), options={"name": f"{number}.jsonl"})
        engine.export(attrs.evolve(office.request("post:ann"), sinks=(to, SinkRequest("post", "ann"))), user=ADA)
        for job in engine.jobs.list(ADA, states=[JobState.PENDING]).jobs:
            # What waits needs its file: only what has come to its end makes room.
            engine.jobs.cancel(job.id, ADA)
    assert sorted(path.name for path in office.out.glob("*.jsonl")) == ["2.jsonl"]


def test_several_files_are_delivered_each_with_its_own_content_and_counted_together(office: Office) -> None:
    two_tables(office)
    office.post.answers["ann"] = [busy()]
    engine, job = office.submitted("post:ann")
    office.work()
    assert sorted(content for _name, _recipient, content in office.post.arrived) == [b'{"x":1}\n', b'{"y":1}\n']
    assert len({name for name, _recipient, _content in office.post.arrived}) == 2
    done = engine.jobs.show(job.id, ADA)
    assert (done.state, done.rows) == (JobState.COMPLETED, 2)


def test_who_wants_nothing_any_more_is_not_sent_the_other_files_either(office: Office) -> None:
    two_tables(office)
    office.policy = DeliverySettings(parallel=1)
    office.post.answers["ann"] = [Receipt("post", delivered=False, error="Gone.", unwanted=True)]
    engine, job = office.submitted("post:ann")
    office.work()
    assert len(office.post.calls) == 1
    assert {row.state for row in engine.jobs.deliveries(job.id, ADA)} == {FAILED}


def test_without_threads_it_is_done_by_the_one_that_there_is(office: Office) -> None:
    start = threading.Thread.start

    def refuses(thread: threading.Thread) -> None:
        if thread.name.startswith("tailrace-delivery"):
            raise RuntimeError("can't start new thread")
        start(thread)

    engine = office.engine()
    with mock.patch.object(threading.Thread, "start", refuses):
        result = engine.export(office.request(*(f"post:r{number}" for number in range(100))), user=ADA)
    assert result.complete


def test_a_host_that_is_interrupted_while_it_delivers_keeps_the_file(office: Office) -> None:
    office.post.instead = {"deliver_each": lambda _call: (_ for _ in ()).throw(KeyboardInterrupt)}
    engine = office.engine()
    with pytest.raises(KeyboardInterrupt):
        engine.export(office.request("post:ann"), user=ADA)
    (job,) = engine.jobs.list(ADA).jobs
    assert job.state is JobState.PARTLY_DELIVERED
    assert rows(engine, job)["post:ann"] == (FAILED, 0, STOPPED)


def test_who_knows_that_the_other_side_is_back_need_not_wait(office: Office) -> None:
    office.policy = DeliverySettings(first_delay=600.0)
    office.post.answers |= {"ann": [busy()], "bob": [away()]}
    engine, job = office.submitted("post:ann,bob")
    office.step(engine, job)
    assert claimed(engine) == []
    engine.jobs.resend(job.id, ADA, failed_only=True)
    assert office.step(engine, job).state is JobState.COMPLETED
    assert {name for name, _recipient, _content in office.post.arrived} == {delivery_name(job.id, 0, 0)}
    entries = engine.audit.list(ROOT, AuditFilter(operation="job.resend"))
    assert [entry.parameters for entry in entries] == [{"failed": True}]


def test_a_worker_that_is_told_to_end_begins_nothing_more(office: Office) -> None:
    office.policy = DeliverySettings(parallel=1)
    begun, told = threading.Event(), threading.Event()

    def slow(call: Any) -> Any:
        begun.set()
        told.wait(10)
        return office.post._deliver_each(call)  # noqa: SLF001 - its own work

    office.post.instead = {"deliver_each": slow}
    engine, job = office.submitted("post:ann", "post:bob", "post:eve")
    with office.working() as worker:
        assert begun.wait(10)
        worker.settings = attrs.evolve(worker.settings, drain=5.0)
        worker.stop()
        time.sleep(0.2)
        told.set()
    assert len(office.post.arrived) == 1
    back = engine.jobs.show(job.id, ADA)
    assert (back.state, back.losses, back.tries) == (JobState.PENDING, 0, 0)
    office.work()
    assert len(office.post.arrived) == 3
    assert engine.jobs.show(job.id, ADA).rows == 1


def test_what_lacks_a_setting_waits_for_somebody_to_mend_it(office: Office) -> None:
    office.policy = DeliverySettings(first_delay=600.0)
    office.post.answers["ann"] = [ConfigurationError("The variable HOOK is not set", hint="Set it.")]
    engine, job = office.submitted("post:ann")
    office.step(engine, job)
    assert rows(engine, job)["post:ann"] == (WAITING, 1, "The variable HOOK is not set. Set it.")


def test_targets_are_shown_by_the_names_of_those_whom_they_mean(office: Office) -> None:
    def named(call: Any) -> list[str]:
        if call.target == "typo/secret-path":
            raise RequestError("That is no target.")
        return ["ann"]

    office.post.instead = {"recipients": named}
    engine = office.engine()
    with pytest.raises(RequestError):
        engine.export(office.request("post:typo/secret-path"), user=ADA)
    engine.export(office.request("post:https://ann/secret-path"), user=ADA)
    shown = [job.request["sinks"][0]["target"] for job in engine.jobs.list(ADA).jobs]
    assert shown == ["ann", "***"]
    assert not [path for path in office.home.rglob("*") if path.is_file() and b"secret-path" in path.read_bytes()]
