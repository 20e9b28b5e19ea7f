"""Whoever enters the jobs of slots is killed at every call that touches the store: all of them are there, or none."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest
import sqlalchemy as sa
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

from tailrace import Engine, ExportRequest, SinkRequest, User
from tailrace.model.convert import unstructure
from tailrace.model.schedule import Overlap, ScheduleDraft, ScheduleRules
from tailrace.settings import Settings
from tailrace.store.database import FILE_NAME
from tailrace.store.tables import jobs, schedules, slots
from tailrace.work.slots import read_timing

from .injection import KILL, Fault, Forks, Outcome, calls_of, forks

CALLS = "write,?pwrite64,fsync,?fdatasync,?unlink,?unlinkat,ftruncate"
ADA, ADMIN = User("ada"), User("root", is_admin=True)
BEGIN = datetime(2026, 8, 20, 12, tzinfo=UTC)
DUE = BEGIN + timedelta(minutes=10)

PREPARE = f"""
import itertools, uuid
from datetime import datetime
import cronsim, schedule, nacl.bindings, sqlalchemy.dialects.sqlite
import tailrace.work.firing, tailrace.work.schedules, tailrace.work.templates, tailrace.work.desk
from tailrace import Engine
from tailrace.model.convert import structure
from tailrace.settings import Settings

def prepare(settings):
    numbers = itertools.count(1)
    uuid.uuid4 = lambda: uuid.UUID(int=next(numbers))
    now = datetime.fromisoformat("{DUE.isoformat()}")
    engine = Engine(structure(settings, Settings), discover=False, clock=lambda: now)
    # Not a worker's: that would look at the tables first.
    return engine._firing.turn
"""


@attrs.define
class Slots:
    """Three slots that are due, from the same state each time.

    Args:
        root: Where everything is.
        forks: What enters their jobs.
    """

    root: Path
    forks: Forks

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home, user="ada")

    def engine(self, now: datetime) -> Engine:
        source = MemorySource([memory_table("rows", {"word": ["pump"]})])
        plugins = [("memory", source), ("lines", LinesFormat()), ("folder", FolderSink())]
        return Engine(self.settings, plugins=plugins, discover=False, clock=lambda: now)

    def make(self) -> None:
        """Make the state before."""
        engine = self.engine(BEGIN)
        sinks = (SinkRequest("folder", str(self.root / "out")),)
        engine.templates.save("words", ExportRequest("memory", "", "lines", sinks=sinks), user=ADA)
        for number in range(3):
            timing = read_timing(cron=None, every="10 minutes", zone="UTC", now=BEGIN)
            draft = ScheduleDraft("words", timing, rules=ScheduleRules(overlap=Overlap.BESIDE))
            engine.schedules.add(f"s{number}", draft, user=ADA, folder=self.root)
        engine.store.close()
        shutil.copytree(self.home, self.root / "before")

    def run(self, fault: Fault | None = None) -> Outcome:
        """Start from the state before, and look at the clock once."""
        shutil.rmtree(self.home)
        shutil.copytree(self.root / "before", self.home)
        names = [f"{FILE_NAME}{suffix}" for suffix in ("", "-journal", "-wal", "-shm")]
        case = {"settings": unstructure(self.settings)}
        return self.forks.run(case, scratch=self.root, calls=CALLS, folder=self.home, names=names, fault=fault)

    def standing(self) -> tuple[int, int, int]:
        """How many slots, jobs and schedules there are that are dealt with."""
        engine = self.engine(DUE)
        counted = [
            sa.select(sa.func.count()).select_from(slots),
            sa.select(sa.func.count()).select_from(jobs),
            sa.select(sa.func.count()).where(schedules.c.last == DUE, schedules.c.next > DUE),
        ]
        with engine.store.reading() as connection:
            first, second, third = (connection.execute(asked).scalar_one() for asked in counted)
        assert engine.audit.verify(ADMIN).ok
        engine.store.close()
        return first, second, third

    def complete(self) -> int:
        """Look at the clock once more, without a tracer; how many jobs were entered."""
        engine = self.engine(DUE)
        firing = engine.worker().firing
        assert firing is not None
        entered = firing.turn().entered
        with engine.store.reading() as connection:
            joined = sa.select(sa.func.count()).select_from(slots).join(jobs, jobs.c.id == slots.c.job)
            assert connection.execute(joined).scalar() == 3
        engine.store.close()
        return entered


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Slots]:
    shm = Path("/dev/shm")
    root = shm / f"tailrace-{os.getpid()}-slots" if shm.is_dir() else tmp_path.resolve() / "root"
    root.mkdir()
    with forks(PREPARE) as running:
        made = Slots(root, running)
        made.make()
        yield made
    shutil.rmtree(root)


def test_killed_at_any_write_it_has_entered_all_jobs_or_none_and_the_next_look_enters_the_rest(three: Slots) -> None:
    calls = calls_of(three.run())
    assert three.standing() == (3, 3, 3)
    assert three.complete() == 0
    names = Counter(call.name for call in calls)
    assert names["pwrite64"] >= 5
    assert names["fsync"] + names["fdatasync"] >= 1
    ended = Counter[tuple[int, int, int]]()
    for call in calls:
        fault = Fault(call, KILL)
        outcome = three.run(fault)
        assert outcome.killed, fault.story(outcome)
        standing = three.standing()
        assert standing in {(0, 0, 0), (3, 3, 3)}, fault.story(outcome)
        ended[standing] += 1
        assert three.complete() == 3 - standing[0], fault.story(outcome)
        assert three.standing() == (3, 3, 3), fault.story(outcome)
    print(f"{len(calls)} calls; entered or not: {dict(ended)}")  # noqa: T201 - what was tried
    assert ended[0, 0, 0] >= 5
