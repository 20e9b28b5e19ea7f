"""Every call of an export as a job that touches its folder or its store fails, or is the last one.

Afterwards a worker starts: it finds the store readable, and leaves the job completed with its file, or without any.
"""

import os
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

from tailrace import Engine, ExportRequest, SinkRequest, User
from tailrace.model.convert import unstructure
from tailrace.model.states import JobState
from tailrace.settings import JobSettings, RetentionSettings, Settings, WorkerSettings
from tailrace.store.database import FILE_NAME

from .injection import ALL, Fault, Forks, Outcome, calls_of, faults_at, forks

ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EROFS", "EACCES")
CALLS = (
    "write,?writev,?pwrite64,fsync,?fdatasync,?link,?linkat,?rename,?renameat,?renameat2,?unlink,?unlinkat,"
    "?open,openat,?chmod,?fchmodat,fchmod,ftruncate,flock"
)
ADMIN = User("root", is_admin=True)
WORDS = ["pump", "wheel", "sluice"]
CONTENT = "".join(f'{{"word":"{word}"}}\n' for word in WORDS)
WHOLE = ["x", "x.manifest.json"]
POINTS = 76
"""Faults that each way is put through: all at calls that touch the folder, and as many at the store's as make it so
many. With two ways they are the 150 that are promised, and some."""

PREPARE = """
import _strptime, itertools, uuid
import isal.isal_zlib, nacl.bindings, polars, sqlalchemy.dialects.sqlite
import tailrace.pipeline.estimate, tailrace.pipeline.export, tailrace.vault.requests
import tailrace.work.carrier, tailrace.work.jobs, tailrace.work.local, tailrace.work.trail, tailrace.work.worker
from tailrace import Engine, ExportRequest
from tailrace.model.convert import structure
from tailrace.settings import Settings
from tailrace.work.runner import Order
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

class InThisThread:
    # strace counts by thread, so that what is tried is the same each time only in a single one.
    free = 1

    def __init__(self, engine):
        self.engine = engine

    def submit(self, attempt, ended):
        claim = attempt.claim
        ended(attempt, self.engine.carry_out(Order({}, claim.id, claim.fence, 60.0), attempt.context))

    def cancel(self, attempt):
        pass

    def close(self, seconds):
        pass

def prepare(way, settings, request):
    numbers = itertools.count(1)
    uuid.uuid4 = lambda: uuid.UUID(int=next(numbers))
    source = MemorySource([memory_table("rows", {"word": WORDS})])
    plugins = [("memory", source), ("lines", LinesFormat()), ("folder", FolderSink())]
    engine = Engine(structure(settings, Settings), plugins=plugins, discover=False)
    if way == "here":
        return lambda: engine.export(structure(request, ExportRequest))
    return lambda: engine.worker(runner=InThisThread(engine)).run(until_idle=True)
""".replace("WORDS", repr(WORDS))


@attrs.define
class Exporter:
    """Carries out a job under a tracer, from the same state each time.

    Args:
        root: Where everything is.
        way: ``here``: an export of one's own; ``worker``: a job that waits.
        forks: What works.
    """

    root: Path
    way: str
    forks: Forks
    ids: tuple[str, ...] = ()

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def settings(self) -> Settings:
        return Settings(
            home=self.home,
            user="ada",
            jobs=JobSettings(lease=60.0, first_delay=0.01, longest_delay=0.01),
            worker=WorkerSettings(poll=0.01),
            retention=RetentionSettings(daily=False),
        )

    @property
    def request(self) -> ExportRequest:
        sink = SinkRequest("folder", str(self.out), {"name": "x"})
        return ExportRequest("memory", "", "lines", sinks=(sink,), compress=False)

    def engine(self, *, later: timedelta = timedelta()) -> Engine:
        """An engine outside of the tracer, at a later time, when no lease is left."""
        source = MemorySource([memory_table("rows", {"word": WORDS})])
        plugins = [("memory", source), ("lines", LinesFormat()), ("folder", FolderSink())]
        return Engine(self.settings, plugins=plugins, discover=False, clock=lambda: datetime.now(UTC) + later)

    def make(self) -> None:
        """Make the state before: a store with the job that waits, or without any."""
        engine = self.engine()
        job = engine.submit(self.request)
        if self.way == "here":
            engine.jobs.cancel(job.id, ADMIN)
            engine.jobs.remove(job.id, ADMIN)
        engine.store.close()
        shutil.copytree(self.home, self.root / "before")
        self.ids = (job.id,) if self.way == "worker" else tuple(str(uuid.UUID(int=number)) for number in range(1, 4))

    def run(self, fault: Fault | None = None) -> Outcome:
        """Start from the state before, and work once."""
        for folder in (self.home, self.out):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.root / "before", self.home)
        self.out.mkdir()
        staged = [f".tailrace-{job}.1.{number:016}.part" for job in self.ids for number in range(1, 4)]
        store = [str(self.home / f"{FILE_NAME}{suffix}") for suffix in ("", "-journal", "-wal", "-shm")]
        case = {"way": self.way, "settings": unstructure(self.settings), "request": unstructure(self.request)}
        names = ("x", "x.manifest.json", *staged, *store)
        return self.forks.run(case, scratch=self.root, calls=CALLS, folder=self.out, names=names, fault=fault)

    def names(self) -> list[str]:
        """What lies in the folder, and is seen."""
        return sorted(path.name for path in self.out.iterdir() if not path.name.startswith("."))


@pytest.fixture(scope="module")
def forking() -> Iterator[Forks]:
    # One thread of polars: each is followed by the tracer.
    with forks(PREPARE, environment=os.environ | {"POLARS_MAX_THREADS": "1"}) as running:
        yield running


@pytest.fixture(params=["here", "worker"])
def exporter(request: pytest.FixtureRequest, tmp_path: Path, forking: Forks) -> Iterator[Exporter]:
    shm = Path("/dev/shm")
    root = shm / f"tailrace-{os.getpid()}-{request.param}" if shm.is_dir() else tmp_path.resolve() / "root"
    root.mkdir()
    exporter = Exporter(root, request.param, forking)
    exporter.make()
    yield exporter
    shutil.rmtree(root)


def check(exporter: Exporter, outcome: Outcome, fault: Fault) -> JobState | None:
    """What must hold after a fault, and after the next start of a worker; returns how the job ended."""
    # The last calls are enough of it: there are hundreds.
    case = fault.story(attrs.evolve(outcome, trace="\n".join(outcome.trace.splitlines()[-20:])))
    if missed(outcome, fault):
        assert not fault.call.is_in(outcome), case
    elif fault.kills:
        assert outcome.killed, case
        assert outcome.said is None, case
    else:
        assert not outcome.killed, case
        assert outcome.said is not None, case
        # Ours, and nothing else.
        assert outcome.said["error"] is None or outcome.said["hint"], case
    # Between its name and that of its manifest, a file has none: only a kill can leave it like that.
    left = exporter.names()
    assert left in ([], WHOLE, ["x"] if fault.kills else WHOLE), case
    if left:
        assert (exporter.out / "x").read_text() == CONTENT, case
    engine = exporter.engine()
    if outcome.said == {"error": None}:
        assert left == WHOLE or exporter.way == "worker", case
    if left == WHOLE:
        assert engine.verify(exporter.out / "x").ok, case

    later = exporter.engine(later=timedelta(days=1))
    later.worker().run(until_idle=True)
    found = later.jobs.list(ADMIN, everybody=True).jobs
    assert len(found) == 1 or (exporter.way == "here" and not found), case
    states = {job.state for job in found}
    assert states <= {JobState.COMPLETED, JobState.FAILED}, case
    completed = states == {JobState.COMPLETED}
    assert sorted(path.name for path in exporter.out.iterdir()) == (WHOLE if completed else []), case
    recorded = [file.path for job in found for file in later.jobs.files(job.id, ADMIN)]
    assert recorded == ([exporter.out / "x"] if completed else []), case
    if completed:
        assert later.verify(exporter.out / "x").ok, case
    if fault.kills and exporter.way == "worker":
        assert completed, case
    if not fault.kills and exporter.way == "here" and outcome.said and outcome.said["error"] is None:
        assert completed, case
    assert later.audit.verify(ADMIN).ok, case
    later.store.close()
    return states.pop() if states else None


def missed(outcome: Outcome, fault: Fault) -> bool:
    """Whether a kill did not come about: the threads of a worker take turns at the store as it comes."""
    return fault.kills and not outcome.killed


def spread(faults: Sequence[Fault], count: int) -> list[Fault]:
    """So many of them, evenly."""
    return [faults[number * len(faults) // count] for number in range(min(count, len(faults)))]


def test_at_every_call_a_fault_leaves_a_job_with_its_whole_file_or_without_any(exporter: Exporter) -> None:
    calls = calls_of(exporter.run())
    assert exporter.names() == WHOLE
    assert {"write", "pwrite64", "fsync", "fdatasync", "openat"} <= {call.name for call in calls}
    assert any(call.name.startswith("link") for call in calls)
    touching = [str(exporter.out) in call.text for call in calls]
    assert touching.count(True) >= 15
    assert touching.count(False) >= 100
    faults = list(faults_at(calls, ERRORS))
    of_folder = [fault for fault in faults if str(exporter.out) in fault.call.text]
    of_store = [fault for fault in faults if fault not in of_folder]
    # Where a transaction is made to last: it may have happened, and fail all the same.
    of_syncs = [fault for fault in of_store if fault.call.name == "fdatasync" and not fault.kills]
    others = [fault for fault in of_store if fault not in of_syncs]
    tried = of_folder + of_syncs
    tried += others if ALL else spread(others, POINTS - len(tried))
    assert len(tried) >= POINTS
    ended, without = Counter[JobState | None](), 0
    for fault in tried:
        outcome = exporter.run(fault)
        ended[check(exporter, outcome, fault)] += 1
        without += missed(outcome, fault)
    # Of what one process does alone, each call is made again.
    assert without <= (len(tried) // 20 if exporter.way == "worker" else 0)
    # Both ends were seen, or nothing was tried.
    assert ended[JobState.COMPLETED] >= 5
    assert ended[JobState.FAILED] >= 5
