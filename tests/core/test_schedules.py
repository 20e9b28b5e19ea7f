"""Schedules as their users see them: made, changed, run, and what becomes of their jobs."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest
import sqlalchemy as sa
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, NoOptions, PostSink, memory_table

from tailrace import (
    DeliverCall,
    Engine,
    ExportRequest,
    FileLayout,
    MessageCall,
    NotAllowedError,
    Notify,
    Receipt,
    RequestError,
    SinkRequest,
    SourceError,
    StagingCall,
    TailraceError,
    UnknownNameError,
    User,
    WriteCall,
    hookimpl,
)
from tailrace.model.audit import AuditFilter
from tailrace.model.errors import AlreadyExistsError
from tailrace.model.manifest import IncrementRecord, Manifest
from tailrace.model.schedule import (
    Misfire,
    Overlap,
    Schedule,
    ScheduleDraft,
    ScheduleKind,
    ScheduleRules,
    SlotRecord,
    SlotState,
)
from tailrace.model.states import JobState
from tailrace.model.timing import Timing
from tailrace.model.work import ExportJob
from tailrace.pipeline.verify import inspect
from tailrace.settings import JobSettings, NotificationSettings, RetentionSettings, Settings, StoreSettings
from tailrace.store.tables import messages
from tailrace.store.tables import schedules as schedules_table
from tailrace.work.slots import read_timing

ADA, BOB, CY = User("ada"), User("bob"), User("cy", is_admin=True)
BEGIN = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)
"""A Monday, an hour before the first slot."""
NIGHTLY = Timing(cron="0 2 * * *", start=BEGIN)
DAY = timedelta(days=1)


@attrs.define
class Mail:
    """A sink that carries messages, as the sink ``email`` does."""

    calls: list[MessageCall] = attrs.field(factory=list)
    summary: str = "Mail."
    options_type: type = NoOptions

    @hookimpl
    def tailrace_sink(self) -> "Mail":
        """Hand over the sink, which is this very object."""
        return self

    def staging(self, call: StagingCall) -> Path | None:
        """Nowhere."""
        return None

    def deliver(self, call: DeliverCall) -> Receipt:
        """None."""
        raise NotImplementedError

    def addressee(self, target: str, settings: Any) -> str:
        """The address without the name before it."""
        if "@" not in target:
            raise RequestError(f"{target!r} is no address.", hint="Write a@b.")
        return target.rpartition(" ")[2]

    def send(self, call: MessageCall) -> Receipt:
        """It arrives."""
        self.calls.append(call)
        return Receipt("email", delivered=True)


@attrs.define
class Mill:
    """An engine whose clock is set by hand, with a template ``rows`` of Ada's that delivers into a folder.

    Args:
        folder: Where everything is.
        url: Of the store.
        now: What time it is.
        rows: What the source has: pairs of time and word.
        broken: What the source fails with.
        format: The format ``lines``.
    """

    folder: Path
    url: str
    now: datetime = BEGIN
    rows: list[tuple[datetime | None, str]] = attrs.field(factory=list)
    broken: Exception | None = None
    mail: Mail = attrs.field(factory=Mail)
    post: PostSink = attrs.field(factory=PostSink)
    source: MemorySource = attrs.field(factory=lambda: MemorySource([]))
    format: LinesFormat = attrs.field(factory=LinesFormat)
    given: Engine | None = None

    @property
    def engine(self) -> Engine:
        if self.given is None:
            plugins = [
                ("memory", self.source),
                ("lines", self.format),
                ("folder", FolderSink()),
                ("post", self.post),
                ("email", self.mail),
            ]
            settings = Settings(
                home=self.folder / "home",
                user="ada",
                store=StoreSettings(url=self.url),
                jobs=JobSettings(attempts=1),
                notifications=NotificationSettings(admins=("ops@example.com",)),
            )
            self.given = Engine(settings, plugins=plugins, discover=False, clock=lambda: self.now)
            self.given.store.upgrade()
            self.source.instead = {"open": self._open}
            self.given.templates.save("rows", self.request(), user=ADA)
        return self.given

    def _open(self, call: Any) -> Any:
        if self.broken is not None:
            raise self.broken
        schema: Any = {"t": pl.Datetime("us", "UTC"), "word": pl.String}
        frame = pl.DataFrame(self.rows, schema=schema, orient="row")
        if call.window is not None:
            # Sources may leave that to the pipeline; what is asked for is looked at here.
            self.windows.append((call.window.since, call.window.until))
        return MemorySource([memory_table("rows", frame, time_column="t")]).open(attrs.evolve(call))

    windows: list[tuple[datetime | None, datetime]] = attrs.field(factory=list)

    def request(self, **changes: Any) -> ExportRequest:
        sink = SinkRequest("folder", str(self.folder / "out"))
        return attrs.evolve(ExportRequest("memory", "", "lines", sinks=(sink,), compress=False), **changes)

    def add(self, name: str = "s", timing: Timing = NIGHTLY, user: User = ADA, **rules: Any) -> Schedule:
        draft = ScheduleDraft("rows", timing, rules=ScheduleRules(**rules))
        return self.engine.schedules.add(name, draft, user=user, folder=self.folder)

    def work(self, until: datetime | None = None) -> None:
        """Have a worker do what there is to do, at a time."""
        self.now = until or self.now
        self.engine.worker().run(until_idle=True)

    def at(self, day: int, hour: int = 2, minute: int = 0) -> None:
        self.work(datetime(2026, 11, day, hour, minute, tzinfo=UTC))

    def look(self, day: int) -> None:
        """Have the clock looked at, and nothing carried out."""
        self.now = datetime(2026, 11, day, 2, 0, tzinfo=UTC)
        worker = self.engine.worker()
        assert worker.firing is not None
        worker.firing.turn()

    def history(self, name: str = "s") -> tuple[SlotRecord, ...]:
        """Oldest first."""
        return self.engine.schedules.history(name, ADA)[::-1]

    def job(self, number: int = -1) -> ExportJob:
        job = self.history()[number].job
        assert job is not None
        return self.engine.jobs.show(job, ADA)

    def files(self) -> dict[str, str]:
        folder = self.folder / "out"
        found = [path for path in sorted(folder.glob("*")) if not path.name.endswith(".manifest.json")]
        return {path.name: path.read_text() for path in found}

    def operations(self) -> list[tuple[str, str]]:
        entries = self.engine.audit.list(CY, AuditFilter())
        return [(entry.operation, entry.thing) for entry in entries if entry.operation.startswith("schedule")][::-1]


@pytest.fixture
def mill(tmp_path: Path, store_url: str) -> Iterator[Mill]:
    mill = Mill(tmp_path, store_url)
    yield mill
    mill.engine.store.close()


# --- a slot has one job, which is carried out like any other


def test_a_slot_has_a_job_that_is_its_owners_and_says_whose_it_is(mill: Mill) -> None:
    mill.rows = [(BEGIN, "pump")]
    made = mill.add()
    assert made.next == datetime(2026, 11, 2, 2, 0, tzinfo=UTC)
    mill.at(2, 1, 59)
    assert mill.history() == ()
    mill.at(2, 2, 0)
    mill.work()
    (slot,) = mill.history()
    assert (slot.name, slot.state, slot.outcome) == ("2026-11-02T02:00+00:00", SlotState.ENTERED, "completed")
    assert (slot.stands_for, slot.by_hand, slot.seen) == (1, False, mill.now)
    job = mill.job()
    assert (job.creator, job.schedule, job.template, job.slot) == ("ada", "s", "rows", slot.moment)
    assert job.state is JobState.COMPLETED
    assert list(mill.files().values()) == ['{"t":"2026-11-02T01:00:00+00:00","word":"pump"}\n']
    found = mill.engine.schedules.show("s", ADA)
    assert (found.last, found.next, found.job) == (slot.moment, slot.moment + DAY, job.id)
    entries = mill.engine.audit.list(CY, AuditFilter(job=job.id))
    entered = next(entry for entry in entries if entry.operation == "job.submit")
    assert (entered.user, entered.thing) == ("ada", "schedule ada/s")
    assert entered.parameters == {"slot": slot.name, "stands_for": 1}


def test_what_the_template_says_by_then_counts(mill: Mill) -> None:
    mill.add()
    mill.engine.templates.edit("rows", ADA, request=mill.request(where=("word == 'wheel'",)))
    mill.rows = [(BEGIN, "pump"), (BEGIN, "wheel")]
    mill.at(2)
    assert mill.job().rows == 1


def test_it_delivers_where_the_schedule_says_instead(mill: Mill) -> None:
    draft = ScheduleDraft("rows", NIGHTLY, sinks=(SinkRequest("post", "lee, kay"),))
    made = mill.engine.schedules.add("s", draft, user=ADA)
    assert made.sinks is not None
    assert [sink["target"] for sink in made.sinks] == ["lee, kay"]
    mill.rows = [(BEGIN, "pump")]
    mill.at(2)
    assert sorted(name for _delivery, name, _content in mill.post.arrived) == ["kay", "lee"]
    assert mill.files() == {}


def test_the_jitter_of_a_slot_is_the_same_whoever_asks(mill: Mill) -> None:
    mill.add(jitter=600.0)
    mill.look(2)
    job = mill.job()
    late = job.due - datetime(2026, 11, 2, 2, 0, tzinfo=UTC)
    assert timedelta(0) < late < timedelta(minutes=10)
    assert job.state is JobState.PENDING
    mill.work(job.due)
    assert mill.job().state is JobState.COMPLETED
    mill.look(3)
    assert mill.job().due - datetime(2026, 11, 3, 2, 0, tzinfo=UTC) != late


# --- what cannot be is refused when it is made


def test_what_can_never_work_is_refused_when_it_is_made(mill: Mill) -> None:
    add = mill.engine.schedules.add
    mill.add("taken")
    with pytest.raises(AlreadyExistsError, match="ada has a schedule 'taken' already"):
        mill.add("taken")
    for name in ("", ".", "-x", "a/b", "a\0", "ä", "x" * 101):
        with pytest.raises(RequestError, match="The name of a schedule"):
            mill.add(name)
    with pytest.raises(UnknownNameError, match="There is no template 'row'"):
        add("s", ScheduleDraft("row", NIGHTLY), user=ADA)
    over = attrs.evolve(NIGHTLY, until=BEGIN + timedelta(minutes=30))
    with pytest.raises(RequestError, match="never be due"):
        mill.add("s", over)
    with pytest.raises(RequestError, match="cannot be made beside each other"):
        mill.add("s", incremental=True, overlap=Overlap.BESIDE)
    with pytest.raises(RequestError, match="is no address"):
        mill.add("s", notify_failure=("ops",))
    with pytest.raises(RequestError, match="jitter of a schedule is 0 to"):
        mill.add("s", jitter=-1.0)
    with pytest.raises(RequestError, match="most_failures is 0 or more"):
        mill.add("s", most_failures=-1)
    with pytest.raises(TailraceError, match="no sink 'pots'"):
        add("s", ScheduleDraft("rows", NIGHTLY, sinks=(SinkRequest("pots"),)), user=ADA)
    with pytest.raises(RequestError, match="drill is for backups of a pool"):
        add("s", ScheduleDraft("rows", NIGHTLY, ScheduleKind.DRILL), user=ADA)
    mill.engine.templates.save("cut", mill.request(limit=5), user=ADA)
    mill.engine.templates.save("ends", mill.request(until="1d"), user=ADA)
    for template, said in (("cut", "only so many rows"), ("ends", "says another end")):
        draft = ScheduleDraft(template, NIGHTLY, rules=ScheduleRules(incremental=True))
        with pytest.raises(RequestError, match=said):
            add("s", draft, user=ADA)
    assert [one.name for one in mill.engine.schedules.list(ADA)] == ["taken"]


def test_a_template_of_somebody_else_has_to_be_public_and_to_stay_so(mill: Mill) -> None:
    schedules = mill.engine.schedules
    with pytest.raises(NotAllowedError):
        schedules.add("s", ScheduleDraft("ada/rows", NIGHTLY), user=BOB)
    # What an admin may use, the schedule's jobs may not: they are not made as an admin.
    with pytest.raises(NotAllowedError, match="not cy's, and not public"):
        schedules.add("s", ScheduleDraft("ada/rows", NIGHTLY), user=CY)
    mill.engine.templates.edit("rows", ADA, public=True)
    made = schedules.add("s", ScheduleDraft("rows", NIGHTLY, rules=ScheduleRules(most_failures=1)), user=BOB)
    assert made.template == "ada/rows"
    mill.at(2)
    assert [slot.outcome for slot in schedules.history("s", BOB)] == ["completed"]
    mill.engine.templates.edit("rows", ADA, public=False)
    mill.at(3)
    newest, _before = schedules.history("s", BOB)
    assert newest.outcome == "failed"
    assert newest.note == "failed: The template ada/rows is bob's to use no more."
    assert len(mill.files()) == 1
    found = schedules.show("s", BOB)
    assert (found.enabled, found.paused, found.next) == (False, "It failed.", None)
    assert ["ada/rows is bob's to use no more" in call.message.text for call in mill.mail.calls] == [True]
    assert newest.job is not None
    # Tried again by hand, it exports nothing of Ada's either.
    mill.engine.jobs.retry(newest.job, BOB)
    mill.work()
    assert mill.engine.jobs.show(newest.job, BOB).state is JobState.FAILED
    assert len(mill.files()) == 1


def test_a_template_that_a_schedule_needs_stays(mill: Mill) -> None:
    mill.add()
    with pytest.raises(RequestError, match="is used by a schedule"):
        mill.engine.templates.delete("rows", ADA)
    mill.engine.schedules.remove("s", ADA)
    mill.engine.templates.delete("rows", ADA)


# --- changed, paused, removed


def test_what_came_while_it_was_paused_is_not_made_up_for(mill: Mill) -> None:
    mill.add(misfire=Misfire.ALL)
    paused = mill.engine.schedules.pause("s", ADA)
    assert (paused.enabled, paused.paused, paused.next) == (False, "", None)
    mill.at(5)
    assert mill.engine.schedules.next("s", ADA, count=1)[0].moment == datetime(2026, 11, 6, 2, 0, tzinfo=UTC)
    resumed = mill.engine.schedules.resume("s", ADA)
    assert resumed.next == datetime(2026, 11, 6, 2, 0, tzinfo=UTC)
    assert mill.engine.schedules.resume("s", ADA) == resumed
    mill.at(6)
    assert [slot.name for slot in mill.history()] == ["2026-11-06T02:00+00:00"]
    assert mill.operations() == [(f"schedule.{done}", "ada/s") for done in ("save", "pause", "resume")]


def test_changed_it_goes_on_by_the_new_rules_from_now_on(mill: Mill) -> None:
    mill.add(notify_failure=("Lee lee@example.com",))
    mill.at(2)
    later = read_timing(cron="30 4 * * *", every=None, zone="Europe/Berlin", now=mill.now)

    def change(draft: ScheduleDraft) -> ScheduleDraft:
        assert draft.template == "ada/rows"
        assert draft.rules.notify_failure == ("Lee lee@example.com",)
        return attrs.evolve(draft, timing=later, rules=attrs.evolve(draft.rules, misfire=Misfire.SKIP))

    changed = mill.engine.schedules.edit("s", ADA, change, new_name="t")
    assert (changed.name, changed.rules.misfire, changed.template) == ("t", Misfire.SKIP, "rows")
    assert changed.next == datetime(2026, 11, 2, 3, 30, tzinfo=UTC)
    with pytest.raises(UnknownNameError):
        mill.engine.schedules.show("s", ADA)
    mill.at(2, 3, 30)
    assert [slot.name for slot in mill.history("t")] == ["2026-11-02T02:00+00:00", "2026-11-02T04:30+01:00"]
    mill.engine.schedules.edit("t", ADA, lambda draft: attrs.evolve(draft, timing=NIGHTLY))
    # The slot of that moment was dealt with; no other one takes its name.
    assert mill.engine.schedules.show("t", ADA).next == datetime(2026, 11, 3, 2, 0, tzinfo=UTC)


def test_with_the_schedule_its_jobs_go_that_are_not_made(mill: Mill) -> None:
    mill.add(jitter=600.0)
    mill.look(2)
    waiting = mill.job()
    mill.engine.schedules.remove("s", ADA)
    assert mill.engine.jobs.show(waiting.id, ADA).state is JobState.CANCELLED
    # Nobody knows any more which part of the data was its own.
    mill.engine.jobs.retry(waiting.id, ADA)
    mill.work(mill.now + DAY)
    again = mill.engine.jobs.show(waiting.id, ADA)
    assert again.state is JobState.FAILED
    assert again.error is not None
    assert again.error.message == "The schedule s that asked for it was removed."


def test_jobs_that_are_removed_leave_the_history(mill: Mill) -> None:
    mill.add()
    mill.at(2)
    mill.engine.jobs.remove(mill.job().id, ADA)
    (slot,) = mill.history()
    assert (slot.state, slot.outcome) == (SlotState.ENTERED, "completed")
    mill.at(3)
    assert [slot.outcome for slot in mill.history()] == ["completed", "completed"]


def test_names_are_found_and_offered(mill: Mill) -> None:
    mill.add("nightly")
    with pytest.raises(UnknownNameError, match=r"no schedule 'nightl'.*") as caught:
        mill.engine.schedules.show("nightl", ADA)
    assert "nightly" in caught.value.hint
    assert mill.engine.schedules.show("ada/nightly", CY).name == "nightly"
    assert [one.label for one in mill.engine.schedules.list(CY, everybody=True)] == ["ada/nightly"]
    assert mill.engine.schedules.list(BOB) == ()
    with pytest.raises(UnknownNameError) as caught:
        mill.engine.schedules.show("x\0/y\x1b", BOB)
    assert "There is none yet" in caught.value.hint


# --- by hand


def test_run_now_is_beside_the_clock(mill: Mill) -> None:
    mill.add(skip_unchanged=True)
    mill.rows = [(BEGIN, "pump")]
    mill.at(2)
    mill.now += timedelta(hours=1)
    job = mill.engine.schedules.run_now("s", ADA)
    second = mill.engine.schedules.run_now("s", ADA)
    assert job.id != second.id
    mill.work()
    slots = mill.history()
    assert [slot.by_hand for slot in slots] == [False, True, True]
    # What somebody asks for is sent, although nothing changed.
    assert [slot.unchanged for slot in slots] == [False, False, False]
    assert mill.engine.schedules.show("s", ADA).next == datetime(2026, 11, 3, 2, 0, tzinfo=UTC)
    with pytest.raises(UnknownNameError):
        mill.engine.schedules.run_now("t", ADA)


def test_a_test_goes_to_whoever_asks_and_leaves_no_trace_in_the_history(mill: Mill) -> None:
    mill.engine.templates.edit("rows", ADA, request=mill.request(notify=(Notify("email", "boss@example.com"),)))
    mill.add(incremental=True)
    mill.rows = [(BEGIN, "pump")]
    result = mill.engine.test_schedule("s", sinks=(SinkRequest("folder", str(mill.folder / "mine")),), user=ADA)
    assert result.complete
    (artifact,) = result.artifacts
    assert artifact.path is not None
    assert artifact.path.parent == mill.folder / "mine"
    assert artifact.manifest.increment is None
    assert (mill.files(), mill.history(), mill.mail.calls) == ({}, (), [])
    assert mill.engine.schedules.show("s", ADA).increments == 0


# --- failures


def test_admins_and_whom_the_schedule_names_are_told_of_failures_until_it_is_paused(mill: Mill) -> None:
    mill.add(most_failures=3, notify_failure=("Lee lee@example.com", "kay@example.com"))
    mill.broken = SourceError("The disk is gone.", hint="Buy one.")
    for day in (2, 3, 4, 5):
        mill.at(day)
    slots = mill.history()
    assert [(slot.outcome, slot.note) for slot in slots] == [("failed", "failed: The disk is gone.")] * 3
    told = [(call.target, call.message.text) for call in mill.mail.calls]
    assert sorted(target for target, _text in told) == sorted(
        ["ops@example.com", "Lee lee@example.com", "kay@example.com"] * 3
    )
    text = told[0][1]
    assert text.startswith("The export of memory as lines by the schedule s of ada failed: The disk is gone.")
    assert f"Run it again: tailrace jobs retry {slots[0].job}" in text
    assert [
        "the schedule is paused. Let it run again: tailrace schedules resume ada/s" in text for _, text in told
    ] == [False] * 6 + [True] * 3
    found = mill.engine.schedules.show("s", ADA)
    assert (found.enabled, found.failures, found.paused) == (False, 3, "It failed 3 times in a row.")
    failed = [entry for entry in mill.engine.audit.list(CY, AuditFilter()) if entry.operation == "schedule.failed"]
    assert [entry.parameters for entry in failed] == [{"paused": True}, {}, {}]
    mill.broken = None
    mill.engine.schedules.resume("s", ADA)
    mill.at(6)
    found = mill.engine.schedules.show("s", ADA)
    assert (found.enabled, found.failures, mill.history()[-1].outcome) == (True, 0, "completed")


def test_addresses_are_sealed_and_shown_only_to_whom_the_schedule_is_shown(mill: Mill) -> None:
    mill.add(notify_failure=("lee@example.com",))
    with mill.engine.store.reading() as connection:
        row = connection.execute(sa.select(schedules_table)).mappings().one()
    assert b"lee@" not in row["alarm"]


def test_a_job_that_is_tried_again_and_succeeds_counts_no_more(mill: Mill) -> None:
    mill.add(most_failures=2)
    mill.broken = SourceError("The disk is gone.", hint="")
    mill.at(2)
    mill.broken = None
    mill.engine.jobs.retry(mill.job().id, ADA)
    mill.work()
    assert mill.history()[-1].outcome == "completed"
    mill.broken = SourceError("The disk is gone.", hint="")
    mill.at(3)
    assert mill.engine.schedules.show("s", ADA).enabled


def test_what_did_not_reach_everybody_is_told_and_does_not_pause(mill: Mill) -> None:
    mill.post.answers = {"lee": [Receipt("post", delivered=False, error="Moved away.")]}
    draft = ScheduleDraft(
        "rows", NIGHTLY, rules=ScheduleRules(most_failures=1), sinks=(SinkRequest("post", "lee,kay"),)
    )
    mill.engine.schedules.add("s", draft, user=ADA)
    mill.at(2)
    assert mill.history()[-1].outcome == "partly delivered"
    assert "1 of 2 did not arrive" in mill.history()[-1].note
    assert mill.engine.schedules.show("s", ADA).enabled
    assert [call.message.subject for call in mill.mail.calls] == [
        "Tailrace: the scheduled export s did not reach everybody"
    ]


# --- nothing changed


def test_what_has_the_same_data_is_recorded_and_not_sent(mill: Mill) -> None:
    mill.add(skip_unchanged=True)
    mill.rows = [(BEGIN, "pump")]
    for day in (2, 3, 4):
        mill.at(day)
    mill.rows.append((BEGIN, "wheel"))
    mill.at(5)
    mill.at(6)
    slots = mill.history()
    assert [slot.unchanged for slot in slots] == [False, True, True, False, True]
    assert [slot.outcome for slot in slots] == ["completed"] * 5
    assert slots[1].note == "Nothing changed since what was delivered for 2026-11-02 02:00 UTC: it was not sent."
    assert slots[4].note == "Nothing changed since what was delivered for 2026-11-05 02:00 UTC: it was not sent."
    assert len(mill.files()) == 2
    assert mill.job(1).state is JobState.COMPLETED
    assert mill.job(1).notes == (slots[1].note,)
    assert not list((mill.folder / "out").glob(".*"))


class DatedLines(LinesFormat):
    """Lines with so many spaces as the day of the month says, so that no two days give the same bytes."""

    def _layout(self, options: Any) -> FileLayout:
        return attrs.evolve(super()._layout(options), dated=True)

    def _write(self, call: WriteCall) -> None:
        rows = io.BytesIO()
        super()._write(attrs.evolve(call, output=rows))
        assert call.moment is not None
        call.output.write(rows.getvalue().replace(b"}\n", b"}" + b" " * call.moment.day + b"\n"))


def test_files_that_say_when_they_were_made_are_compared_by_their_rows(mill: Mill) -> None:
    mill.format = DatedLines()
    mill.add(skip_unchanged=True)
    mill.rows = [(BEGIN, "pump")]
    for day in (2, 3):
        mill.at(day)
    mill.rows.append((BEGIN, "wheel"))
    mill.at(4)
    assert [slot.unchanged for slot in mill.history()] == [False, True, False]
    assert len(set(mill.files().values())) == 2


def test_what_not_everybody_got_is_sent_again_although_it_is_the_same(mill: Mill) -> None:
    refusal = Receipt("post", delivered=False, error="Moved away.")
    mill.post.answers = {"lee": [refusal]}
    rules = ScheduleRules(skip_unchanged=True)
    mill.engine.schedules.add(
        "s", ScheduleDraft("rows", NIGHTLY, rules=rules, sinks=(SinkRequest("post", "lee,kay"),)), user=ADA
    )
    mill.rows = [(BEGIN, "pump")]
    for day in (2, 3, 4):
        mill.at(day)
    assert [slot.unchanged for slot in mill.history()] == [False, False, True]
    assert sorted(name for _delivery, name, _content in mill.post.arrived) == ["kay", "kay", "lee"]


@pytest.mark.parametrize(
    "change",
    [
        lambda mill: mill.request(sinks=(*mill.request().sinks, SinkRequest("post", "lee"))),
        lambda mill: mill.request(where=("word != ''",)),
        lambda mill: mill.request(columns=("word", "t")),
    ],
    ids=["another address", "another filter", "other columns"],
)
def test_another_request_is_another_thing_to_send(mill: Mill, change: Callable[[Mill], ExportRequest]) -> None:
    mill.add(skip_unchanged=True)
    mill.rows = [(BEGIN, "pump")]
    mill.at(2)
    mill.engine.templates.edit("rows", ADA, request=change(mill))
    mill.at(3)
    mill.at(4)
    assert [slot.unchanged for slot in mill.history()] == [False, False, True]


def test_the_digest_of_data_tells_nothing_to_whoever_has_not_the_key(mill: Mill) -> None:
    mill.add(skip_unchanged=True)
    mill.at(2)
    other = Mill(mill.folder / "other", f"sqlite:///{mill.folder}/other.db")
    other.add(skip_unchanged=True)
    other.engine.templates.edit("rows", ADA, request=mill.request())
    other.at(2)
    assert mill.history()[0].digest != other.history()[0].digest


# --- increments


def test_increments_follow_one_another_and_add_up_to_everything(mill: Mill) -> None:
    mill.add(incremental=True, lag=600.0)
    edge = datetime(2026, 11, 2, 1, 50, tzinfo=UTC)
    mill.rows = [(BEGIN, "a"), (edge - timedelta(microseconds=1), "b"), (edge, "c"), (edge, "d")]
    mill.at(2)
    mill.rows += [(edge + DAY - timedelta(microseconds=1), "e"), (edge + DAY, "f")]
    mill.at(3)
    mill.at(4)
    assert mill.windows == [
        (None, edge),
        (None, edge),
        (edge, edge + DAY),
        (edge, edge + DAY),
        (edge + DAY, edge + 2 * DAY),
        (edge + DAY, edge + 2 * DAY),
    ]
    words = [text.count("\n") for text in mill.files().values()]
    assert words == [2, 3, 1]
    manifests = manifests_of(mill)
    records = [manifest.increment for manifest in manifests]
    assert all(isinstance(record, IncrementRecord) for record in records)
    assert [record and record.number for record in records] == [1, 2, 3]
    assert [record and (record.since, record.until) for record in records] == [
        (None, edge),
        (edge, edge + DAY),
        (edge + DAY, edge + 2 * DAY),
    ]
    for before, record in zip(manifests, records[1:], strict=False):
        assert record is not None
        assert [file.sha256 for file in record.previous] == [before.file.sha256]
    elsewhere = (SinkRequest("folder", str(mill.folder / "whole")),)
    whole = mill.engine.export(mill.request(until=(edge + 2 * DAY).isoformat(), sinks=elsewhere), user=ADA)
    (artifact,) = whole.artifacts
    assert artifact.path is not None
    assert "".join(mill.files().values()) == artifact.path.read_text()


def manifests_of(mill: Mill) -> list[Manifest]:
    return [inspect(path).manifest for path in sorted((mill.folder / "out").glob("*.manifest.json"))]


def test_after_a_failure_the_next_increment_begins_where_the_last_one_ended(mill: Mill) -> None:
    mill.add(incremental=True, lag=0.0)
    mill.at(2)
    mill.broken = SourceError("The disk is gone.", hint="")
    mill.at(3)
    failed = mill.job()
    mill.broken = None
    mill.at(4)
    third = manifests_of(mill)[-1].increment
    assert third is not None
    assert (third.number, third.since) == (2, datetime(2026, 11, 2, 2, 0, tzinfo=UTC))
    # What is its own part was exported by the one after it.
    mill.engine.jobs.retry(failed.id, ADA)
    mill.work()
    assert mill.history()[1].outcome == "completed"
    assert mill.history()[1].note == (
        "Increment 2 goes up to 2026-11-04 02:00 UTC already: there was nothing left to export."
    )
    assert len(mill.files()) == 2
    assert mill.engine.schedules.show("s", ADA).increments == 2


def test_an_increment_with_nothing_in_it_is_not_sent_where_that_is_wished_and_the_next_one_covers_it(
    mill: Mill,
) -> None:
    mill.add(incremental=True, lag=0.0, skip_unchanged=True)
    mill.rows = [(BEGIN, "a")]
    mill.at(2)
    mill.at(3)
    mill.rows.append((datetime(2026, 11, 3, 12, 0, tzinfo=UTC), "b"))
    mill.at(4)
    assert [slot.unchanged for slot in mill.history()] == [False, True, False]
    assert mill.history()[1].note == "Nothing came since the increment before: it was not sent."
    first, second = (manifest.increment for manifest in manifests_of(mill))
    assert first is not None
    assert second is not None
    assert (second.number, second.since) == (2, first.until)


def test_of_two_that_make_the_same_increment_one_is_recorded(mill: Mill) -> None:
    mill.add(incremental=True, lag=0.0)
    mill.at(2)
    # Two by hand are not kept from running beside each other.
    mill.now += timedelta(hours=1)
    mill.engine.schedules.run_now("s", ADA)
    mill.engine.schedules.run_now("s", ADA)
    for _ in range(5):
        mill.now += timedelta(hours=1)
        with suppress(TailraceError):
            mill.work()
    numbers = [manifest.increment.number for manifest in manifests_of(mill) if manifest.increment]
    assert numbers == sorted(set(numbers))
    assert mill.engine.schedules.show("s", ADA).increments == len(numbers)


# --- several at once


def test_messages_about_scheduled_work_are_entered_with_its_end(mill: Mill) -> None:
    mill.add()
    mill.broken = SourceError("The disk is gone.", hint="")
    mill.at(2)
    with mill.engine.store.reading() as connection:
        rows: Sequence[Any] = connection.execute(sa.select(messages.c.addressee, messages.c.state)).all()
    assert [tuple(row) for row in rows] == [("ops@example.com", "sent")]


# --- what the same data is compared with


def test_what_is_compared_with_stays_whatever_the_rules_of_retention_say(mill: Mill) -> None:
    mill.add(skip_unchanged=True)
    mill.rows = [(BEGIN, "pump")]
    for day in (2, 3):
        mill.at(day)
    mill.engine.retention.apply(CY, rules=RetentionSettings(days=1e-9))
    assert len(mill.files()) == 1
    mill.rows = [(BEGIN, "wheel")]
    mill.at(4)
    mill.engine.retention.apply(CY, rules=RetentionSettings(days=1e-9))
    (left,) = mill.files().values()
    assert "wheel" in left
    # Whoever compares no more keeps nothing.
    mill.engine.schedules.edit("s", ADA, lambda draft: attrs.evolve(draft, rules=ScheduleRules()))
    mill.now += timedelta(hours=1)
    mill.engine.retention.apply(CY, rules=RetentionSettings(days=1e-9))
    assert mill.files() == {}


def test_what_is_gone_is_made_again_although_nothing_changed(mill: Mill) -> None:
    mill.add(skip_unchanged=True)
    mill.at(2)
    for path in (mill.folder / "out").iterdir():
        path.unlink()
    mill.at(3)
    assert len(mill.files()) == 1
    mill.engine.jobs.remove(mill.job().id, ADA)
    mill.at(4)
    mill.at(5)
    assert [slot.unchanged for slot in mill.history()] == [False, False, False, True]


def test_once_somebody_has_other_data_nothing_counts_as_unchanged(mill: Mill) -> None:
    rules = ScheduleRules(skip_unchanged=True)
    draft = ScheduleDraft("rows", NIGHTLY, rules=rules, sinks=(SinkRequest("post", "lee,kay"),))
    mill.engine.schedules.add("s", draft, user=ADA)
    mill.rows = [(BEGIN, "pump")]
    mill.at(2)
    # This reaches one of them.
    mill.post.answers = {"lee": [Receipt("post", delivered=False, error="Moved away.")]}
    mill.rows = [(BEGIN, "wheel")]
    mill.at(3)
    mill.rows = [(BEGIN, "pump")]
    mill.at(4)
    assert [slot.unchanged for slot in mill.history()] == [False, False, False]
    assert [name for _delivery, name, content in mill.post.arrived if b"pump" in content].count("kay") == 2


def test_what_was_delivered_last_counts_and_not_the_newest_slot(mill: Mill) -> None:
    mill.add(skip_unchanged=True)
    mill.broken = SourceError("The disk is gone.", hint="")
    mill.at(2)
    late = mill.job()
    mill.broken = None
    mill.rows = [(BEGIN, "pump")]
    mill.at(3)
    mill.rows = [(BEGIN, "wheel")]
    mill.engine.jobs.retry(late.id, ADA)
    mill.now += timedelta(hours=1)
    mill.work()
    mill.rows = [(BEGIN, "pump")]
    mill.at(4)
    assert [slot.unchanged for slot in mill.history()] == [False, False, False]
    assert "pump" in list(mill.files().values())[-1]


# --- what goes wrong later


def test_a_limit_that_the_template_gets_later_loses_no_rows_of_increments(mill: Mill) -> None:
    mill.add(incremental=True, lag=0.0)
    mill.at(2)
    mill.engine.templates.edit("rows", ADA, request=mill.request(limit=1))
    mill.rows = [(BEGIN + timedelta(hours=hours), "word") for hours in (2, 3, 4)]
    mill.at(3)
    assert "increments would not add up" in mill.history()[-1].note
    mill.engine.templates.edit("rows", ADA, request=mill.request())
    mill.at(4)
    assert mill.job().rows == 3


def test_where_increments_begin_is_fixed_by_the_slot(mill: Mill) -> None:
    mill.engine.templates.edit("rows", ADA, request=mill.request(since="1h"))
    mill.add(incremental=True, lag=0.0)
    mill.rows = [(datetime(2026, 11, 2, 1, 30, tzinfo=UTC), "pump")]
    mill.at(2, 7)
    assert (mill.history()[-1].outcome, mill.job().rows) == ("completed", 1)
    assert mill.windows[-1] == (datetime(2026, 11, 2, 1, 0, tzinfo=UTC), datetime(2026, 11, 2, 2, 0, tzinfo=UTC))


def test_what_could_not_be_entered_can_be_tried_again(mill: Mill) -> None:
    mill.engine.templates.edit("rows", ADA, public=True)
    mill.engine.schedules.add("s", ScheduleDraft("ada/rows", NIGHTLY), user=BOB)
    mill.engine.templates.edit("rows", ADA, public=False)
    mill.at(2)
    (slot,) = mill.engine.schedules.history("s", BOB)
    assert (slot.outcome, slot.job is not None) == ("failed", True)
    mill.engine.templates.edit("rows", ADA, public=True)
    mill.engine.jobs.retry(slot.job or "", BOB)
    assert mill.engine.schedules.history("s", BOB)[0].outcome == ""
    mill.work()
    assert mill.engine.schedules.history("s", BOB)[0].outcome == "completed"


def test_what_reaches_nobody_counts_as_failed_and_the_mail_says_why(mill: Mill) -> None:
    refusal = Receipt("post", delivered=False, error="550 no such user")
    mill.post.answers = {"lee": [refusal, refusal]}
    rules = ScheduleRules(most_failures=2, notify_failure=("kay@example.com", "kay@example.com"))
    mill.engine.schedules.add(
        "s", ScheduleDraft("rows", NIGHTLY, rules=rules, sinks=(SinkRequest("post", "lee"),)), user=ADA
    )
    mill.at(2)
    mill.at(3)
    assert not mill.engine.schedules.show("s", ADA).enabled
    assert sorted(call.target for call in mill.mail.calls) == ["kay@example.com"] * 2 + ["ops@example.com"] * 2
    assert {call.message.facts["undelivered"] for call in mill.mail.calls} == {"post:lee: 550 no such user"}


def test_what_is_resent_and_arrives_is_no_longer_called_undelivered(mill: Mill) -> None:
    mill.post.answers = {"lee": [Receipt("post", delivered=False, error="Moved away.")]}
    mill.engine.schedules.add("s", ScheduleDraft("rows", NIGHTLY, sinks=(SinkRequest("post", "lee,kay"),)), user=ADA)
    mill.at(2)
    assert "did not arrive" in mill.history()[-1].note
    mill.engine.jobs.resend(mill.job().id, ADA, failed_only=True)
    assert mill.history()[-1].outcome == ""
    mill.work()
    assert (mill.history()[-1].outcome, mill.history()[-1].note) == ("completed", "")


def test_a_clock_that_was_wrong_once_does_not_stop_a_schedule_for_years(mill: Mill) -> None:
    mill.add(overlap=Overlap.BESIDE)
    mill.now = datetime(2036, 1, 1, 12, 0, tzinfo=UTC)
    worker = mill.engine.worker()
    assert worker.firing is not None
    assert worker.firing.turn().entered == 1
    mill.now = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
    mill.engine.schedules.pause("s", ADA)
    assert mill.engine.schedules.resume("s", ADA).next == datetime(2026, 11, 4, 2, 0, tzinfo=UTC)
    # An hour is what clocks are put back by.
    mill.look(4)
    mill.now -= timedelta(hours=1)
    mill.engine.schedules.pause("s", ADA)
    assert mill.engine.schedules.resume("s", ADA).next == datetime(2026, 11, 5, 2, 0, tzinfo=UTC)


def test_a_job_by_hand_does_not_hide_one_that_is_being_made(mill: Mill) -> None:
    mill.add()
    mill.look(2)
    by_hand = mill.engine.schedules.run_now("s", ADA)
    mill.engine.jobs.cancel(by_hand.id, ADA)
    mill.look(3)
    assert [slot.by_hand for slot in mill.history()] == [False, True]


def test_a_worker_until_idle_makes_up_for_every_slot_that_was_due(mill: Mill) -> None:
    # Their files would have one name: it is the same moment, for a clock that stands still.
    draft = ScheduleDraft(
        "rows", NIGHTLY, rules=ScheduleRules(misfire=Misfire.ALL), sinks=(SinkRequest("post", "lee"),)
    )
    mill.engine.schedules.add("s", draft, user=ADA)
    mill.at(7)
    assert [(slot.outcome, slot.moment.day) for slot in mill.history()] == [("completed", day) for day in range(2, 8)]


def test_when_it_is_paused_what_waits_of_it_is_cancelled(mill: Mill) -> None:
    mill.add(misfire=Misfire.ALL, overlap=Overlap.BESIDE, most_failures=2)
    mill.broken = SourceError("The disk is gone.", hint="")
    mill.look(7)
    mill.engine.worker(concurrency=1).run(until_idle=True)
    outcomes = [slot.outcome for slot in mill.history()]
    assert outcomes.count("failed") == 2
    assert outcomes.count("cancelled") == 4
    assert len(mill.mail.calls) == 2


def test_a_job_that_is_tried_again_goes_with_its_schedule(mill: Mill) -> None:
    mill.add()
    mill.broken = SourceError("The disk is gone.", hint="")
    mill.at(2)
    job = mill.job()
    mill.engine.jobs.retry(job.id, ADA)
    mill.engine.schedules.remove("s", ADA)
    assert mill.engine.jobs.show(job.id, ADA).state is JobState.CANCELLED


def test_who_needs_a_template_is_named(mill: Mill) -> None:
    mill.engine.templates.edit("rows", ADA, public=True)
    mill.engine.schedules.add("weekly", ScheduleDraft("ada/rows", NIGHTLY), user=BOB)
    with pytest.raises(RequestError, match="used by a schedule: bob/weekly"):
        mill.engine.templates.delete("rows", ADA)
