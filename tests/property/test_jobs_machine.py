"""Whatever happens to jobs, in whatever order: files, rows and the audit trail agree, and say what a model says.

A real engine on a real store, with workers that die, stop and come back, against a model of a few lines: no file
without a row, no completed row without its file, no entry too many or too few in the trail.
"""

import json
import random
import shutil
import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import attrs
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

from tailrace import (
    CancelledError,
    Context,
    Engine,
    ExportRequest,
    NotAllowedError,
    RequestError,
    SinkRequest,
    SourceError,
    TransientError,
    UnknownNameError,
    User,
)
from tailrace.files.attempts import leftovers
from tailrace.files.publish import MANIFEST_SUFFIX
from tailrace.files.staging import is_staged
from tailrace.model.errors import AlreadyExistsError
from tailrace.model.states import TRANSITIONS, JobState
from tailrace.model.work import JobError
from tailrace.settings import JobSettings, RetentionSettings, Settings, StoreSettings, WorkerSettings
from tailrace.store import jobs as queue
from tailrace.store import tables
from tailrace.store.database import Store
from tailrace.work.attempt import Attempt
from tailrace.work.local import LocalRunner
from tailrace.work.outcome import Outcome
from tailrace.work.recording import Recorder
from tailrace.work.recovery import recover
from tailrace.work.runner import Order

SEEDS = (7, random.SystemRandom().randrange(2**32))
ADA, BOB, ROOT = User("ada"), User("bob"), User("root", is_admin=True)
CONTENT = '{"word":"pump"}\n{"word":"wheel"}\n'
TRIES, MOST_LOSSES = 3, 3
PENDING, PROCESSING, COMPLETED, PARTLY_DELIVERED, FAILED, CANCELLED, EXPIRED = JobState
OBSERVED = """
CREATE TABLE observed (number INTEGER PRIMARY KEY, job TEXT, old TEXT, new TEXT);
CREATE TRIGGER observed_first AFTER INSERT ON jobs
    BEGIN INSERT INTO observed (job, new) VALUES (NEW.id, NEW.state); END;
CREATE TRIGGER observed_next AFTER UPDATE OF state ON jobs WHEN OLD.state <> NEW.state
    BEGIN INSERT INTO observed (job, old, new) VALUES (NEW.id, OLD.state, NEW.state); END;
"""
"""Has the store itself write down how states follow each other, as nobody sees those in between."""


class Plan(StrEnum):
    """What is going to happen to an export."""

    SOUND = "it works"
    BROKEN = "its source fails for good"
    BUSY = "its sink fails for now, again and again"
    FLAKY = "its sink fails for now, once"
    WITHDRAWN = "its sink publishes, and fails then"
    HALF = "its second sink fails, if it has one"
    STOPPED = "somebody cancels it while it is proven"
    TOO_LATE = "somebody cancels it while it is delivered"


class Stage(StrEnum):
    """How far an attempt is."""

    CLAIMED = "claimed"
    PROVING = "proving"
    DELIVERING = "delivering"
    PUBLISHED = "published"
    RECORDED = "recorded"


class DiedError(BaseException):
    """Stands for the end of a process: nobody catches it to tidy up."""


@attrs.define(eq=False)
class Expected:
    """A job as it should be.

    Args:
        key: What its file is called, and what its source reads.
        creator: Who asked.
        plan: What happens to it.
        folders: Where its sinks deliver to.
        inline: Whether the process that asked carries it out itself.
        tries: How often it is tried that fails for now.
        id: Its id.
        path: The states that it was in.
        files: The files that are recorded, and there.
        made: When they were.
        stray: Files that an attempt published which died before it recorded them, until somebody takes them back.
        strayed: How many states it had been in by then.
        pinned: Whether it is pinned.
        cancel: Whether it is to stop.
        until: Until when who carries it out has it without being heard of.
        losses: How many workers it took with it.
        removed: Whether it was removed.
    """

    key: str
    creator: User
    plan: Plan
    folders: tuple[Path, ...]
    inline: bool = False
    tries: int = TRIES
    id: str = ""
    path: list[JobState] = attrs.field(factory=list)
    files: frozenset[Path] = frozenset()
    made: datetime = attrs.field(default=datetime.min.replace(tzinfo=UTC))
    stray: frozenset[Path] = frozenset()
    strayed: int = 0
    pinned: bool = False
    cancel: bool = False
    until: datetime = attrs.field(default=datetime.max.replace(tzinfo=UTC))
    losses: int = 0
    removed: bool = False

    @property
    def state(self) -> JobState:
        return self.path[-1]

    @property
    def missing(self) -> frozenset[Path]:
        """Files that somebody is to have, of a job whose files are made, and has not."""
        return frozenset(folder / self.key for folder in self.folders) - self.files if self.files else frozenset()

    @property
    def stands(self) -> JobState:
        """Where it is when nothing is delivered any more."""
        return PARTLY_DELIVERED if self.missing else COMPLETED

    def __repr__(self) -> str:
        return f"<{self.key} {self.state if self.path else 'new'}>"


@attrs.define
class Fakes:
    """Plugins to which happens what is planned, by the keys of jobs."""

    plans: dict[str, Plan] = attrs.field(factory=dict)
    cancel: Callable[[str], None] = attrs.field(default=lambda _key: None)
    hooks: dict[tuple[Stage, str], Callable[[], None]] = attrs.field(factory=dict)
    source: MemorySource = attrs.field(init=False)
    format: LinesFormat = attrs.field(init=False)
    sink: FolderSink = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        tables = [memory_table("rows", {"word": ["pump", "wheel"]})]
        self.source = MemorySource(tables, instead={"open": self._open})
        self.format = LinesFormat(instead={"count_rows": self._count})
        self.sink = FolderSink(instead={"deliver": self._deliver})

    def _open(self, call: Any) -> Any:
        if self.plans[call.location] is Plan.BROKEN:
            raise SourceError("It is gone.")
        return MemorySource([attrs.evolve(table, name=call.location) for table in self.source.tables]).open(call)

    def _count(self, call: Any) -> Any:
        (key,) = call.tables
        plan = self.plans[key]
        self._reach(Stage.PROVING, key)
        if plan is Plan.STOPPED:
            self.cancel(key)
        return LinesFormat().count_rows(call)

    def _deliver(self, call: Any) -> Any:
        key = call.options.name
        plan = self.plans[key]
        self._reach(Stage.DELIVERING, key)
        if plan is Plan.BUSY or plan is Plan.FLAKY:
            self.plans[key] = Plan.BUSY if plan is Plan.BUSY else Plan.SOUND
            raise TransientError("The line is busy.")
        if plan is Plan.HALF and call.target.endswith("second"):
            raise SourceError("It is full.")
        if plan is Plan.TOO_LATE:
            self.cancel(key)
        receipt = FolderSink().deliver(call)
        if plan is Plan.WITHDRAWN:
            raise SourceError("It is full by now.")
        self._reach(Stage.PUBLISHED, key)
        return receipt

    def _reach(self, stage: Stage, key: str) -> None:
        self.hooks.pop((stage, key), lambda: None)()


USERS = st.sampled_from([ADA, BOB, ROOT, ADA])
PLANS = st.sampled_from(Plan)
TEMPLATES = st.sampled_from(["nightly", "weekly"])
WHICH = st.integers(0, 19)
FOR_TWO = {Plan.SOUND, Plan.BROKEN, Plan.HALF, Plan.STOPPED}
"""What is planned for exports with two sinks: such an export goes on where one of them fails."""


class Machine(RuleBasedStateMachine):
    """The engine beside its model."""

    made: Path
    """A home with an empty store, to be copied: making its tables takes longer than an example."""
    quick: Path
    """A folder in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(dir=self.quick))
        self.out = self.root / "out"
        self.out.mkdir()
        shutil.copytree(self.made, self.root / "home")
        self.now = datetime(2026, 8, 20, 12, tzinfo=UTC)
        self.fakes = Fakes(cancel=self._cancel_from_elsewhere)
        self.jobs: list[Expected] = []
        self.templates: dict[tuple[str, str], bool] = {}
        self.trail: Counter[tuple[str, str, str, str | None]] = Counter()
        self.told: Counter[tuple[str, str]] = Counter()
        self.engine = self._opened()

    def teardown(self) -> None:
        self.engine.store.close()
        shutil.rmtree(self.root)

    def _opened(self) -> Engine:
        settings = Settings(
            home=self.root / "home",
            user="ada",
            store=StoreSettings(f"sqlite:///{self.root}/home/store.db"),
            jobs=JobSettings(attempts=TRIES, first_delay=0.0, most_losses=MOST_LOSSES),
            worker=WorkerSettings(poll=0.01),
            retention=RetentionSettings(daily=False),
        )
        plugins = [("memory", self.fakes.source), ("lines", self.fakes.format), ("folder", self.fakes.sink)]
        return Engine(settings, plugins=plugins, discover=False, clock=self._clock)

    def _clock(self) -> datetime:
        # No two moments are the same, so that no two jobs are due at once.
        self.now += timedelta(microseconds=10)
        return self.now

    # Requests.

    @initialize(plans=st.lists(PLANS, min_size=2, max_size=4))
    def begin(self, plans: list[Plan]) -> None:
        for plan in plans:
            self._submit(self._new(ADA, plan, two=True))

    @rule(user=USERS, plan=PLANS, two=st.booleans())
    def submit(self, *, user: User, plan: Plan, two: bool) -> None:
        self._submit(self._new(user, plan, two=two))

    @rule(user=USERS, plan=PLANS, two=st.booleans())
    def export(self, *, user: User, plan: Plan, two: bool) -> None:
        job = self._new(user, plan, two=two, inline=True)
        self._recovered()
        raised: BaseException | None = None
        try:
            self.engine.export(self._request(job), user=user)
        except (CancelledError, SourceError, TransientError) as error:
            raised = error
        (newest,) = self.engine.jobs.list(ROOT, everybody=True, limit=1).jobs
        job.id = newest.id
        job.path = [PROCESSING]
        self._expect(user, "export.begun", "ok", job)
        self._attempted(job)
        self.jobs.append(job)
        assert (raised is None) == job.state.has_files

    def _submit(self, job: Expected, template: str | None = None) -> None:
        job.id = self.engine.submit(self._request(job), user=job.creator, template=template).id
        job.path = [PENDING]
        self._expect(job.creator, "job.submit", "ok", job)
        self.jobs.append(job)

    def _new(self, user: User, plan: Plan, *, two: bool, inline: bool = False) -> Expected:
        folders = (self.out / "first", self.out / "second")[: 2 if two and plan in FOR_TWO else 1]
        job = Expected(f"job-{len(self.jobs)}", user, plan, folders, inline, 1 if inline else TRIES)
        self.fakes.plans[job.key] = plan
        return job

    def _request(self, job: Expected) -> ExportRequest:
        sinks = tuple(SinkRequest("folder", str(folder), options={"name": job.key}) for folder in job.folders)
        return ExportRequest("memory", job.key, "lines", sinks=sinks, compress=False)

    # Work.

    @rule()
    def work(self) -> None:
        """A worker starts, does all that waits, and ends."""
        self.engine.worker(concurrency=2).run(until_idle=True)
        self._worked()
        held = {job.id for job in self.jobs if job.state is PROCESSING}
        left = {leftover.tag.job for folder in self.out.glob("*") for leftover in leftovers(folder)}
        assert left <= held
        report = self.engine.audit.verify(ROOT, manifests=[self.out])
        assert report.ok, report
        assert len(report.manifests) == sum(len(job.files | job.stray) for job in self.jobs)
        self._expect(ROOT, "audit.verify", "ok", None)

    @rule()
    @precondition(lambda self: any(job.state is PROCESSING for job in self.jobs))
    def take_over(self) -> None:
        """A worker that has been there for long takes what others lost, and somebody else is to carry it out."""
        self.now += timedelta(minutes=1)
        recover(self.engine.store, most_losses=MOST_LOSSES)
        self._recovered()

    @rule(
        stage=st.sampled_from([Stage.PUBLISHED, Stage.CLAIMED, Stage.RECORDED, Stage.PUBLISHED]), inline=st.booleans()
    )
    @precondition(lambda self: any(job.state is PENDING for job in self.jobs))
    def die(self, *, stage: Stage, inline: bool) -> None:
        """Whoever carries out the job that waits for longest is killed."""
        job, claim = self._claimed(inline=inline and stage is not Stage.RECORDED)
        if stage is Stage.CLAIMED:
            return
        with killed(recorded=stage is Stage.RECORDED):
            assert not self._carried_out(job, claim)
        job.stray = frozenset()
        if job.files:
            if stage is Stage.RECORDED:
                self._sent(job)
            else:
                job.stray, job.strayed = job.missing, len(job.path)
        elif stage is Stage.RECORDED:
            self._completed(job, job.folders)
        else:
            job.stray = frozenset(folder / job.key for folder in job.folders)
            job.strayed = len(job.path)

    @rule(late=st.booleans())
    @precondition(lambda self: any(job.state is PENDING for job in self.jobs))
    def crash(self, *, late: bool) -> None:
        """The process that a job has for itself dies, or is killed as its time is over, when it has just published."""
        killed_one: list[str] = []

        def carry_out(attempt: Attempt) -> Outcome:
            claim = attempt.claim
            if killed_one:
                return self.engine.carry_out(Order({}, claim.id, claim.fence, 30.0), Context())
            (job,) = [job for job in self.jobs if job.id == claim.id]
            killed_one.append(job.id)
            with killed(recorded=False):
                self._carried_out(job, claim)
            attempt.died = True
            return Outcome(error=JobError("Crash", "It was killed."), crashed=not late)

        runner = LocalRunner(here=carry_out, apart=carry_out, isolated=lambda _attempt: False, concurrency=1)
        self.engine.worker(runner=runner).run(until_idle=True)
        self._recovered()
        for job in self.jobs:
            if job.id in killed_one:
                job.path.append(PROCESSING)
                job.losses += not late
                if job.files and (late or job.losses == MOST_LOSSES):
                    self._given_up(job)
                elif late or job.losses == MOST_LOSSES:
                    self._ended(job, FAILED)
                else:
                    job.path.append(PENDING)
        self._worked()

    @rule(stage=st.sampled_from([Stage.PROVING, Stage.DELIVERING, Stage.PUBLISHED]), inline=st.booleans())
    @precondition(lambda self: any(job.state is PENDING for job in self.jobs))
    def stop_and_go_on(self, *, stage: Stage, inline: bool) -> None:
        """Whoever carries out the job that waits for longest is stopped past its lease, and goes on."""
        job, claim = self._claimed(inline=inline)
        if job.files:
            if not job.missing:
                return
            stage = Stage.DELIVERING if stage is Stage.PROVING else stage

        def meanwhile() -> None:
            self.fakes.plans[job.key] = job.plan
            self.now += timedelta(minutes=1)
            # One that has been there for long: those that start tidy up all that was left.
            with mock.patch("tailrace.work.worker.clear_folders", return_value=0):
                self.engine.worker(concurrency=2).run(until_idle=True)
            self._worked(tidied=False)

        self.fakes.hooks[stage, job.key] = meanwhile
        assert not self._carried_out(job, claim)
        assert not self.fakes.hooks

    @rule(which=WHICH, user=USERS)
    @precondition(lambda self: self.jobs)
    def cancel(self, which: int, user: User) -> None:
        job = self._job(which, lambda job: not job.state.is_final)
        if self._done("job.cancel", job, user, self.engine.jobs.cancel, possible=not job.state.is_final):
            job.cancel = True
            if job.state is PENDING and job.files:
                self._given_up(job)
            elif job.state is PENDING:
                job.path.append(CANCELLED)
            self._recovered()

    @rule(which=WHICH, user=USERS, plan=PLANS)
    @precondition(lambda self: self.jobs)
    def retry(self, which: int, user: User, plan: Plan) -> None:
        job = self._job(which, lambda job: job.state in {FAILED, CANCELLED})
        if self._done("job.retry", job, user, self.engine.jobs.retry, possible=job.state in {FAILED, CANCELLED}):
            job.path.append(PENDING)
            job.cancel, job.losses, job.inline = False, 0, False
            if len(job.folders) == 1 or plan in FOR_TWO:
                job.plan = self.fakes.plans[job.key] = plan

    @rule(which=WHICH, user=USERS, plan=st.sampled_from([Plan.SOUND, Plan.HALF]))
    @precondition(lambda self: any(job.state is PARTLY_DELIVERED for job in self.jobs))
    def resend(self, which: int, user: User, plan: Plan) -> None:
        job = self._job(which, lambda job: job.state is PARTLY_DELIVERED)
        again = partial(self.engine.jobs.resend, failed_only=True)
        if self._done("job.resend", job, user, again, possible=job.state is PARTLY_DELIVERED):
            job.path.append(PENDING)
            job.cancel, job.losses, job.inline = False, 0, False
            job.plan = self.fakes.plans[job.key] = plan

    # Files.

    @rule(which=WHICH, user=USERS, meanwhile=st.booleans())
    @precondition(lambda self: self.jobs)
    def download(self, *, which: int, user: User, meanwhile: bool) -> None:
        job = self._job(which, lambda job: bool(job.files))

        def read(name: str, who: User) -> None:
            with self.engine.jobs.download(name, who) as (file, stream):
                assert file.path in job.files
                if meanwhile:
                    self._apply_retention(but=job)
                assert stream.read().decode() == CONTENT

        self._done("file.download", job, user, read, possible=bool(job.files))

    @rule(which=WHICH, user=USERS, pinned=st.booleans())
    @precondition(lambda self: self.jobs)
    def pin(self, *, which: int, user: User, pinned: bool) -> None:
        job = self._job(which, lambda job: job.state.has_files)
        pin = partial(self.engine.jobs.pin, pinned=pinned)
        if self._done("job.pin" if pinned else "job.unpin", job, user, pin, possible=job.state is not EXPIRED):
            job.pinned = pinned

    @rule(which=WHICH, user=USERS)
    @precondition(lambda self: self.jobs)
    def remove(self, which: int, user: User) -> None:
        job = self._job(which, lambda job: job.state.is_final and not job.pinned)
        possible = job.state.is_final and not job.pinned
        if self._done("job.remove", job, user, self.engine.jobs.remove, possible=possible):
            if job.files:
                # One entry for its files, and one for itself.
                self._expect(user, "job.remove", "ok", job)
                self._expired(job)
            job.removed = True
            del self.told[job.creator.id, job.id]

    @rule(user=st.sampled_from([ROOT, BOB, ROOT]), days=st.integers(0, 1))
    def apply_retention(self, user: User, days: int) -> None:
        # What is lost is looked for by workers that start within a week.
        self.now += timedelta(days=days if self.now.day < 26 else 0)
        if not user.is_admin:
            with pytest.raises(NotAllowedError):
                self.engine.retention.apply(user)
            self._expect(user, "retention.apply", "refused", None)
        else:
            self._apply_retention()

    def _apply_retention(self, but: Expected | None = None) -> None:
        result = self.engine.retention.apply(ROOT, rules=RetentionSettings(days=1.0))
        long_ago = self.now - timedelta(days=1)
        finished = [job for job in self.jobs if job.state.has_files and not job.removed]
        old = [job for job in finished if job.made <= long_ago and not job.pinned and job is not but]
        assert {file.path for file in result.removed} == {file for job in old for file in job.files}
        assert not result.problems
        assert not result.replaced
        for job in old:
            self._expect(ROOT, "retention.apply", "ok", job)
            self._expired(job)

    # Templates.

    @rule(user=USERS, name=TEMPLATES, public=st.booleans(), replace=st.booleans())
    @precondition(lambda self: len(self.templates) < 3)
    def save_template(self, *, user: User, name: str, public: bool, replace: bool) -> None:
        request = ExportRequest("memory", "any", "lines", sinks=(SinkRequest("folder", str(self.out)),))
        try:
            self.engine.templates.save(name, request, user=user, public=public, replace=replace)
        except AlreadyExistsError:
            assert (user.id, name) in self.templates
            assert not replace
            return
        assert replace or (user.id, name) not in self.templates
        self._expect(user, "template.save", "ok", None)
        self.templates[user.id, name] = public

    @rule(user=USERS, owner=USERS, name=TEMPLATES, plan=PLANS)
    @precondition(lambda self: self.templates)
    def use_template(self, user: User, owner: User, name: str, plan: Plan) -> None:
        public = self.templates.get((owner.id, name))
        if public is None:
            with pytest.raises(UnknownNameError):
                self.engine.templates.request(f"{owner.id}/{name}", user)
        elif public or user == owner or user.is_admin:
            self.engine.templates.request(f"{owner.id}/{name}", user)
            self._expect(user, "template.use", "ok", None)
            self._submit(self._new(user, plan, two=False), template=name)
        else:
            with pytest.raises(NotAllowedError):
                self.engine.templates.request(f"{owner.id}/{name}", user)
            self._expect(user, "template.use", "refused", None)

    @rule(user=USERS, owner=USERS, name=TEMPLATES)
    @precondition(lambda self: self.templates)
    def delete_template(self, user: User, owner: User, name: str) -> None:
        if (owner.id, name) not in self.templates:
            with pytest.raises(UnknownNameError):
                self.engine.templates.delete(f"{owner.id}/{name}", user)
        elif user == owner or user.is_admin:
            self.engine.templates.delete(f"{owner.id}/{name}", user)
            self._expect(user, "template.delete", "ok", None)
            del self.templates[owner.id, name]
        else:
            with pytest.raises(NotAllowedError):
                self.engine.templates.delete(f"{owner.id}/{name}", user)
            self._expect(user, "template.delete", "refused", None)

    @rule()
    def restart(self) -> None:
        self.engine.store.close()
        self.engine = self._opened()

    # What should be.

    def _expect(self, user: User, operation: str, outcome: str, job: Expected | None) -> None:
        """Expect an entry in the trail."""
        self.trail[user.id, operation, outcome, None if job is None else job.id] += 1

    def _tell(self, job: Expected) -> None:
        if not job.inline:
            self.told[job.creator.id, job.id] += 1

    def _worked(self, *, tidied: bool = True) -> None:
        """What a worker does that runs until there is nothing to do, and tidies up as it starts."""
        self._recovered()
        for job in self.jobs:
            if job.state is PENDING and not job.removed:
                job.path.append(PROCESSING)
                self._attempted(job)
            if tidied and job.strayed < len(job.path):
                # Whoever left them has the job no longer.
                job.stray = frozenset()

    def _recovered(self) -> None:
        """What becomes of jobs whose leases are over."""
        for job in self.jobs:
            if job.state is not PROCESSING or job.until > self.now:
                continue
            job.losses += 1
            # It can record them no more, whoever goes on with the job.
            job.stray = frozenset()
            if job.files and (job.cancel or job.inline or job.losses >= MOST_LOSSES):
                self._given_up(job)
                continue
            if job.cancel:
                job.path.append(CANCELLED)
            elif job.inline or job.losses >= MOST_LOSSES:
                job.path.append(FAILED)
            else:
                job.path.append(PENDING)
                continue
            self._expect(job.creator, "export", "failed", job)
            self._tell(job)

    def _attempted(self, job: Expected) -> None:
        """What becomes of a job that somebody carries out."""
        job.stray = frozenset()
        if job.files:
            if job.plan is Plan.HALF and job.missing:
                self._expect(job.creator, "delivery", "failed", job)
            else:
                self._sent(job)
            job.path.append(job.stands)
            self._tell(job)
        elif job.plan is Plan.STOPPED:
            self._expect(job.creator, "job.cancel", "ok", job)
            self._ended(job, CANCELLED)
        elif job.plan in {Plan.BROKEN, Plan.WITHDRAWN}:
            self._ended(job, FAILED)
        elif job.plan is Plan.BUSY or (job.plan is Plan.FLAKY and job.tries == 1):
            job.path += [PENDING, PROCESSING] * (job.tries - 1)
            self._ended(job, FAILED)
        else:
            if job.plan is Plan.FLAKY:
                job.path += [PENDING, PROCESSING]
            if job.plan is Plan.TOO_LATE:
                self._expect(job.creator, "job.cancel", "ok", job)
            self._completed(job, job.folders[:1] if job.plan is Plan.HALF else job.folders)
        if job.plan is Plan.FLAKY:
            job.plan = Plan.SOUND

    def _ended(self, job: Expected, state: JobState) -> None:
        job.path.append(state)
        self._expect(job.creator, "export", "failed", job)
        self._tell(job)

    def _sent(self, job: Expected) -> None:
        """What becomes of a job whose file arrives where it was missing."""
        if job.missing:
            self._expect(job.creator, "delivery", "ok", job)
            job.files |= job.missing
            job.made = self.now

    def _given_up(self, job: Expected) -> None:
        """What becomes of a job whose files are made, and that is not delivered any more."""
        if job.missing:
            self._expect(job.creator, "delivery", "failed", job)
        job.path.append(job.stands)
        self._tell(job)

    def _completed(self, job: Expected, folders: tuple[Path, ...]) -> None:
        job.files = frozenset(folder / job.key for folder in folders)
        if job.missing:
            self._expect(job.creator, "delivery", "failed", job)
        job.path.append(job.stands)
        job.made = self.now
        self._expect(job.creator, "export", "ok", job)
        self._tell(job)

    def _expired(self, job: Expected) -> None:
        job.path.append(EXPIRED)
        job.files = frozenset()

    @invariant()
    def all_agree(self) -> None:
        self._states_are_those_of_the_model()
        self._every_file_has_its_row_and_every_row_its_file()
        self._the_trail_has_every_entry_and_holds_together()

    def _states_are_those_of_the_model(self) -> None:
        paths: dict[str, list[str]] = defaultdict(list)
        with self.engine.store.reading() as connection:
            kept = Counter(rows_of(connection, [tables.jobs.c[name] for name in ("id", "state", "creator", "pinned")]))
            for job, old, new in connection.execute(sa.text("SELECT job, old, new FROM observed ORDER BY number")):
                assert old is None or JobState(new) in TRANSITIONS[JobState(old)]
                assert old == (paths[job][-1] if paths[job] else None)
                paths[job].append(new)
        assert kept == Counter(
            (job.id, job.state.value, job.creator.id, job.pinned) for job in self.jobs if not job.removed
        )
        assert paths == {job.id: job.path for job in self.jobs}

    def _every_file_has_its_row_and_every_row_its_file(self) -> None:
        places = [tables.artifacts.c.path, tables.artifacts.c.job]
        with self.engine.store.reading() as connection:
            rows = rows_of(connection, places, tables.artifacts.c.removed.is_(None))
        expected = {(str(file), job.id) for job in self.jobs for file in job.files}
        assert Counter(rows) == Counter(expected)
        # What was published and not recorded is known by its second name, and goes with the next who looks for it.
        expected |= {(str(file), job.id) for job in self.jobs for file in job.stray}
        visible = {path for path in self.out.rglob("*") if path.is_file() and not is_staged(path.name)}
        manifests = {path for path in visible if path.name.endswith(MANIFEST_SUFFIX)}
        assert {path.with_name(path.name.removesuffix(MANIFEST_SUFFIX)) for path in manifests} == visible - manifests
        found = {
            (str(path), json.loads(Path(f"{path}{MANIFEST_SUFFIX}").read_text())["export_id"])
            for path in visible - manifests
        }
        assert found == expected
        assert all(path.read_text() == CONTENT for path in visible - manifests)

    def _the_trail_has_every_entry_and_holds_together(self) -> None:
        with self.engine.store.reading() as connection:
            named = [tables.audit.c[name] for name in ("user", "operation", "outcome", "job")]
            assert Counter(rows_of(connection, named)) == self.trail
            told = [tables.notifications.c[name] for name in ("user", "job")]
            assert Counter(rows_of(connection, told)) == self.told
            saved = [tables.templates.c[name] for name in ("owner", "name", "public")]
            assert {(owner, name): public for owner, name, public in rows_of(connection, saved)} == self.templates
        assert self.engine.audit.verify(ROOT).ok
        self._expect(ROOT, "audit.verify", "ok", None)

    # How things are done.

    def _job(self, which: int, possible: Callable[[Expected], bool]) -> Expected:
        """Mostly one with which that can be done, of which there are few among all."""
        able = [job for job in self.jobs if possible(job) and not job.removed] if which % 5 else []
        among = able or self.jobs
        return among[-1 - which % len(among)]

    def _done(
        self, operation: str, job: Expected, user: User, do: Callable[[str, User], object], *, possible: bool
    ) -> bool:
        """Do something with a job; whether it was done, as it should be then."""
        if job.removed:
            with pytest.raises(UnknownNameError):
                do(job.id, user)
            return False
        if user != job.creator and not user.is_admin:
            with pytest.raises(NotAllowedError):
                do(job.id, user)
            self._expect(user, operation, "refused", job)
            return False
        if not possible:
            with pytest.raises(RequestError):
                do(job.id, user)
            return False
        do(job.id, user)
        self._expect(user, operation, "ok", job)
        return True

    def _claimed(self, *, inline: bool) -> tuple[Expected, queue.Claim]:
        """A job that waits, claimed by somebody who is going to lose it."""
        with self.engine.store.writing() as connection:
            now = self.engine.store.now(connection)
            (claim,) = queue.claim(connection, "victim", now=now, lease=30.0, limit=1)
            inline = inline and claim.made is None
            if inline:
                connection.execute(sa.update(tables.jobs).where(tables.jobs.c.id == claim.id).values(inline=True))
        job = next(job for job in self.jobs if job.id == claim.id)
        job.path.append(PROCESSING)
        job.inline = job.inline or inline
        job.until = now + timedelta(seconds=30)
        return job, claim

    def _carried_out(self, job: Expected, claim: queue.Claim) -> bool:
        """Have a claimed attempt carried out as if nothing were planned; nobody records how it ended otherwise."""
        self.fakes.plans[job.key] = Plan.SOUND
        outcome = self.engine.carry_out(Order({}, claim.id, claim.fence, 30.0), Context())
        self.fakes.plans[job.key] = job.plan
        return outcome.completed

    def _cancel_from_elsewhere(self, key: str) -> None:
        page = self.engine.jobs.list(ROOT, everybody=True, states=[PROCESSING])
        (job,) = [job for job in page.jobs if job.request["location"] == key]
        self.engine.jobs.cancel(job.id, User(job.creator))


def rows_of(
    connection: sa.Connection, columns: list[sa.Column[Any]], *where: sa.ColumnElement[bool]
) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(sa.select(*columns).where(*where))]


@contextmanager
def killed(*, recorded: bool) -> Iterator[None]:
    """Let whoever publishes die right before, or behind, the moment in which that is recorded."""
    commit = Attempt.commit

    def die(attempt: Attempt, result: Any) -> None:
        if recorded:
            commit(attempt, result)
        raise DiedError

    record = Recorder._record  # noqa: SLF001 - the moment in question

    def die_delivering(recorder: Any, pairs: Any) -> None:
        if recorded:
            record(recorder, pairs)
        raise DiedError

    def die_at_the_end(_recorder: Any) -> None:
        raise DiedError

    with (
        mock.patch.object(Attempt, "commit", die),
        mock.patch.object(Attempt, "take_back"),
        mock.patch.object(Recorder, "_record", die_delivering),
        mock.patch.object(Recorder, "_end", die_at_the_end),
    ):
        yield


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory, where there is one: what is tried here is what follows what, not the disk."""
    shm = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="tailrace-", dir=shm if shm.is_dir() else tmp_path_factory.mktemp("quick")))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def made(quick: Path) -> Path:
    home = quick / "made"
    store = Store(f"sqlite:///{home}/store.db")
    store.upgrade()
    store.close()
    connection = sqlite3.connect(home / "store.db")
    connection.executescript(OBSERVED)
    connection.close()
    return home


@pytest.mark.parametrize("chosen", SEEDS, ids=("fixed seed", "random seed"))
def test_files_rows_and_trail_agree_whatever_happens(chosen: int, made: Path, quick: Path) -> None:
    machine = seed(chosen)(type("Seeded", (Machine,), {"made": made, "quick": quick}))
    bounds = settings(
        max_examples=10,
        stateful_step_count=25,
        deadline=None,
        database=None,
        # Not made shorter when it fails, which takes minutes.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=bounds)
