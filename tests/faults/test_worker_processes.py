"""Workers as processes: what runs wild in them, and what is stopped, killed or asked to end."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tailrace.model.states import JobState
from tailrace.settings import WorkerSettings

from .wild_plugins import ADMIN, FORMAT, Plant, endings_of, eventually, is_alive, make_wild, plant, state_of

Distribute = Callable[..., Path]
SHORT_LEASE = {"JOBS_LEASE": "2.0"}
"""Where somebody else is to take over; elsewhere a busy machine must not make it happen."""


@pytest.fixture
def works(tmp_path: Path, distribute: Distribute, importable: Callable[[Path], None]) -> Iterator[Plant]:
    """A plant with the wild plugins."""
    site = make_wild(distribute)
    importable(site)
    with plant(tmp_path, site, JOBS_MOST_LOSSES="2") as made:
        yield made


# --- isolation ---


@pytest.mark.flaky(reruns=1)  # a bound in time: what is slow by itself is slow twice
def test_what_runs_wild_hurts_only_itself(works: Plant) -> None:
    works.settings |= {"JOBS_MEMORY": "700000000", "JOBS_MOST_LOSSES": "1"}
    engine = works.engine()
    submit = works.submitter(engine)
    crashing = {how: submit("wild", how=how) for how in ("exit", "segfault")}
    hungry = submit("wild", how="eat")
    leaving = submit("wild", how="leave")
    chatty = submit("wild", how="chat")
    hanging = submit("wild", how="hang", timeout=2.5)
    mark = works.folder / "deaf"
    deaf = submit("wild", how="hang", mark=str(mark))
    tame = [submit("csv") for _ in range(3)]
    worker = works.start("--concurrency", "4")

    eventually(mark.exists)
    child = int(mark.read_text())
    assert child != worker.process.pid
    asked = time.monotonic()
    engine.jobs.cancel(deaf.id, ADMIN)
    eventually(lambda: state_of(engine, deaf).is_final)
    assert time.monotonic() - asked < 2.0
    assert state_of(engine, deaf) is JobState.CANCELLED
    # Its process may live a moment longer, and has left nothing behind then.
    eventually(lambda: not is_alive(child), 2.0)
    eventually(lambda: not [name for name in works.names() if deaf.id in name], 2.0)
    eventually(lambda: not any(engine.jobs.unfinished().values()))
    assert worker.process.poll() is None

    for how, name in (("exit", "status 3"), ("segfault", "SIGSEGV")):
        found = engine.jobs.show(crashing[how].id, ADMIN)
        assert found.error is not None
        assert (found.state, found.quarantined, found.error.kind) == (JobState.FAILED, True, "Crash")
        assert name in found.error.message
    found = engine.jobs.show(hungry.id, ADMIN)
    assert found.error is not None
    # Refused by the system, or killed by the worker, whichever sees it first.
    assert (found.state, bool(re.search("MemoryError|MB of memory", found.error.message))) == (JobState.FAILED, True)
    found = engine.jobs.show(leaving.id, ADMIN)
    assert found.error is not None
    assert (found.state, found.error.message) == (JobState.FAILED, "The format wild failed with SystemExit: 7")
    assert "wild" in found.error.plugin
    late = engine.jobs.show(hanging.id, ADMIN)
    assert late.error is not None
    assert late.started is not None
    assert late.finished is not None
    assert (late.state, late.error.kind) == (JobState.FAILED, "DeadlineError")
    assert 2.5 <= (late.finished - late.started).total_seconds() < 4.5
    assert [state_of(engine, job) for job in (chatty, *tame)] == [JobState.COMPLETED] * 4
    assert len(works.files()) == 4
    (file,) = engine.jobs.files(chatty.id, ADMIN)
    assert engine.verify(file.path).ok


def test_what_a_process_published_and_did_not_get_to_tell_is_taken_back(works: Plant) -> None:
    works.settings["JOBS_MOST_LOSSES"] = "1"
    engine = works.engine()
    submit = works.submitter(engine)
    mark = str(works.folder / "mark")
    dead = submit("csv", "late", of={"how": "exit", "mark": mark})
    hanging = submit("csv", "late", of={"how": "hang", "mark": mark}, timeout=3.0)
    works.start()
    eventually(lambda: not any(engine.jobs.unfinished().values()))
    for job, kind in ((dead, "Crash"), (hanging, "DeadlineError")):
        found = engine.jobs.show(job.id, ADMIN)
        assert found.error is not None
        assert (found.state, found.error.kind) == (JobState.FAILED, kind)
    # A job has failed a moment before the last of its files is gone.
    eventually(lambda: works.names() == [])


def test_what_took_a_worker_with_it_is_carried_out_apart_the_next_time(
    works: Plant, tmp_path: Path, distribute: Distribute
) -> None:
    # Named like the distribution of ours, whose plugins run within the worker itself.
    shadow = {"format": {"csv": "toy_shadow"}}
    code = FORMAT.replace('how: str = option("well"', 'how: str = option("exit"')
    works.settings |= SHORT_LEASE
    ours = distribute("tailrace-format-csv", plugins=shadow, modules={"toy_shadow": code}, folder=tmp_path / "shadow")
    works.path = (ours, *works.path)
    engine = works.engine()
    submit = works.submitter(engine)
    deadly, beside = submit("csv"), submit("json")
    first = works.start()
    assert first.ends() == 3
    second = works.start()
    eventually(lambda: not any(engine.jobs.unfinished().values()))
    assert second.process.poll() is None
    found = engine.jobs.show(deadly.id, ADMIN)
    assert found.error is not None
    assert (found.state, found.quarantined, found.error.kind) == (JobState.FAILED, True, "Crash")
    assert endings_of(engine, deadly) == ["lost", "failed"]
    # What ran beside may have been lost with the first worker, once.
    assert state_of(engine, beside) is JobState.COMPLETED
    assert [file.path for file in engine.jobs.files(beside.id, ADMIN)] == works.files()


# --- killed ---


@pytest.mark.parametrize("how", ["hang_once", "lock_up_once"])
def test_a_process_apart_ends_with_its_worker(works: Plant, how: str) -> None:
    works.settings |= SHORT_LEASE
    engine = works.engine()
    mark = works.folder / "mark"
    job = works.submitter(engine)("wild", how=how, mark=str(mark))
    worker = works.start()
    eventually(mark.exists)
    child = int(mark.read_text())
    assert child != worker.process.pid
    assert is_alive(child)
    worker.process.kill()
    worker.ends()
    try:
        eventually(lambda: not is_alive(child), 2.0)
    finally:
        if is_alive(child):
            os.kill(child, signal.SIGKILL)
    assert works.files() == []
    works.start()
    eventually(lambda: state_of(engine, job).is_final)
    assert endings_of(engine, job) == ["lost", "completed"]
    assert [file.path for file in engine.jobs.files(job.id, ADMIN)] == works.files()
    assert len(works.names()) == 2


# --- stopped ---


@pytest.mark.parametrize("isolate", ["never", "always"])
def test_a_worker_that_is_stopped_past_its_lease_publishes_nothing_when_it_goes_on(works: Plant, isolate: str) -> None:
    works.settings |= SHORT_LEASE
    engine = works.engine()
    submit = works.submitter(engine)
    marks = [works.folder / name for name in ("writing", "publishing")]
    taken = [
        submit("wild", how="wait_once", mark=str(marks[0])),
        submit("csv", "late", of={"how": "wait_once", "mark": str(marks[1])}),
    ]
    stopped = works.start(JOBS_ISOLATE=isolate)
    eventually(lambda: all(mark.exists() for mark in marks))
    stopped.process.send_signal(signal.SIGSTOP)
    other = works.start(JOBS_ISOLATE="never")
    eventually(lambda: all(state_of(engine, job) is JobState.COMPLETED for job in taken))
    # What is apart goes on at once, the worker itself in a moment.
    for mark in marks:
        mark.with_name(f"{mark.name}.go").touch()
    other.process.kill()
    files = works.files()
    stopped.process.send_signal(signal.SIGCONT)
    after = submit("json")
    eventually(lambda: state_of(engine, after) is JobState.COMPLETED)
    eventually(lambda: stopped.said().count("taken by somebody else") >= len(taken))
    said = stopped.said()
    for job in taken:
        assert f"job {job.id}: attempt 1 ended, taken by somebody else" in said
        assert endings_of(engine, job) == ["lost", "completed"]
    recorded = {file.path for job in (*taken, after) for file in engine.jobs.files(job.id, ADMIN)}
    assert len(recorded) == len(taken) + 1
    assert set(works.files()) == recorded
    assert set(files) < recorded
    assert len(works.names()) == 2 * len(recorded)


# --- asked to end ---


def test_a_worker_that_is_asked_to_end_gives_back_what_takes_long(works: Plant, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    drain = 2.0
    # By default it is to take less than ten seconds: what they get to finish, and three to stop.
    assert WorkerSettings().drain + 3 <= 10
    settings = works.settings | {"WORKER_DRAIN": f"{drain}"}
    plants = {number: Plant(tmp_path / number.name, works.path, settings) for number in (signal.SIGTERM, signal.SIGINT)}
    engines, long, short, workers = {}, {}, {}, {}
    for number, place in plants.items():
        place.folder.mkdir()
        engine = engines[number] = place.engine()
        submit = place.submitter(engine)
        long[number] = submit("wild", how="hang", mark=f"{mark}-{number.name}")
        short[number] = submit("wild", how="wait_once", mark=f"{mark}-{number.name}-short")
        workers[number] = place.start()
        works.running.append(workers[number].process)
    for number in plants:
        eventually(lambda: Path(f"{mark}-{number.name}").exists())  # noqa: B023 - called within this round
        eventually(lambda: Path(f"{mark}-{number.name}-short").exists())  # noqa: B023 - called within this round
    asked = time.monotonic()
    for number in plants:
        workers[number].process.send_signal(number)
    time.sleep(0.5)
    for number in plants:
        Path(f"{mark}-{number.name}-short.go").touch()
    for number, place in plants.items():
        assert workers[number].ends(10) == 0
        engine = engines[number]
        assert state_of(engine, long[number]) is JobState.PENDING
        assert endings_of(engine, long[number]) == ["returned"]
        assert state_of(engine, short[number]) is JobState.COMPLETED
        assert [file.path for file in engine.jobs.files(short[number].id, ADMIN)] == place.files()
        assert len(place.names()) == 2
        assert "Stopping: running jobs get a few seconds." in workers[number].said()
        assert "Ended after 2 attempts." in workers[number].said()
    assert time.monotonic() - asked < drain + 3


def test_asked_twice_it_ends_at_once(works: Plant) -> None:
    engine = works.engine()
    mark = works.folder / "mark"
    job = works.submitter(engine)("wild", how="hang", mark=str(mark))
    worker = works.start()
    eventually(mark.exists)
    worker.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert worker.process.poll() is None
    worker.process.send_signal(signal.SIGTERM)
    assert worker.ends(2) == 1
    eventually(lambda: not is_alive(int(mark.read_text())), 2)
    assert works.files() == []
    assert state_of(engine, job) is JobState.PROCESSING
