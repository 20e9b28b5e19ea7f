"""What observers of an application, and plugins of kind hook, are told of exports."""

import itertools
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest
from tailrace_sdk.fakes import FolderSink, LinesFormat

from tailrace import (
    Context,
    Engine,
    ExportEvent,
    ExportRequest,
    Progress,
    RequestError,
    SinkRequest,
    SourceCall,
    SourceError,
    TransientError,
    User,
    hookimpl,
)
from tailrace.model.work import RetryPolicy
from tailrace.settings import Settings, WorkerSettings
from tailrace.store.jobs import Claim
from tailrace.work.watching import Watch

FRAME = pl.DataFrame({"id": range(1000)})


@attrs.define
class Theatre:
    """An engine of fakes that is watched."""

    root: Path
    events: list[ExportEvent] = attrs.field(factory=list)
    engines: list[Engine] = attrs.field(factory=list)
    numbers: Iterator[int] = attrs.field(factory=itertools.count)

    def engine(self, *observers: Callable[[ExportEvent], object], plugins: tuple[Any, ...] = ()) -> Engine:
        settings = Settings(home=self.root / "home", user="kim", worker=WorkerSettings(poll=0.05))
        given = [("lines", LinesFormat()), ("folder", FolderSink()), *plugins]
        engine = Engine(settings, plugins=given, discover=False, observers=(*observers, self.events.append))
        engine.add_source("orders", lambda _call: FRAME)
        self.engines.append(engine)
        return engine

    def request(self, source: str = "orders", **more: Any) -> ExportRequest:
        # Two exports of one second have one name.
        sinks = (SinkRequest("folder", str(self.root / f"out-{next(self.numbers)}")),)
        return ExportRequest(source, "", "lines", sinks=sinks, **{"compress": False, **more})

    @property
    def names(self) -> list[str]:
        """What happened, each phase by its name."""
        return [event.name if event.progress is None else event.progress.phase for event in self.events]


@pytest.fixture
def theatre(tmp_path: Path) -> Iterator[Theatre]:
    theatre = Theatre(tmp_path)
    yield theatre
    for engine in theatre.engines:
        engine.store.close()


WHOLE = ["started", "writing", "proving", "delivering", "finished"]


def test_an_export_is_told_from_beginning_to_end(theatre: Theatre) -> None:
    result = theatre.engine().export(theatre.request())
    assert theatre.names == WHOLE
    assert {(one.export_id, one.source, one.format, one.user) for one in theatre.events} == {
        (result.export_id, "orders", "lines", "kim")
    }
    assert [event.result for event in theatre.events] == [None] * 4 + [result]
    assert all(event.error is None for event in theatre.events)
    moments = [event.moment for event in theatre.events]
    assert moments == sorted(moments)
    assert all(isinstance(event.progress, Progress) for event in theatre.events[1:4])


def test_jobs_that_a_worker_carries_out_are_told_as_well(theatre: Theatre) -> None:
    engine = theatre.engine()
    job = engine.submit(theatre.request(), user=User("ada"))
    assert theatre.events == []
    engine.worker().run(until_idle=True)
    assert theatre.names == WHOLE
    assert {(one.export_id, one.user) for one in theatre.events} == {(job.id, "ada")}
    result = theatre.events[-1].result
    assert result is not None
    assert result.artifacts[0].manifest.tables[0].rows.written == 1000


def test_what_fails_is_told_with_its_error(theatre: Theatre) -> None:
    engine = theatre.engine()

    def broken(_call: SourceCall) -> pl.DataFrame:
        raise KeyError

    engine.add_source("broken", broken)
    with pytest.raises(SourceError) as caught:
        engine.export(theatre.request("broken"))
    assert theatre.names == ["started", "failed"]
    assert theatre.events[1].error is caught.value
    theatre.events.clear()
    engine.submit(theatre.request("broken"))
    engine.worker().run(until_idle=True)
    assert theatre.names == ["started", "failed"]
    assert isinstance(theatre.events[1].error, SourceError)


def test_what_cannot_even_be_made_ready_by_a_worker_has_failed(theatre: Theatre) -> None:
    engine = theatre.engine()
    job = engine.submit(theatre.request())
    poorer = Engine(
        engine.settings, plugins=[("folder", FolderSink())], discover=False, observers=[theatre.events.append]
    )
    poorer.add_source("orders", lambda _call: FRAME)
    theatre.engines.append(poorer)
    poorer.worker().run(until_idle=True)
    (event,) = theatre.events
    assert (event.name, event.export_id, event.source, event.format) == ("failed", job.id, "orders", "lines")
    assert "lines" in str(event.error)


def test_every_try_is_told(theatre: Theatre) -> None:
    engine, tries = theatre.engine(), []

    def flaky(_call: SourceCall) -> pl.DataFrame:
        tries.append(1)
        if len(tries) == 1:
            raise TransientError("Not now.")
        return FRAME

    engine.add_source("flaky", flaky)
    engine.export(theatre.request("flaky"), retry=RetryPolicy(attempts=2, first_delay=0.01, longest_delay=0.01))
    assert theatre.names == ["started", "failed", *WHOLE]
    assert len({event.export_id for event in theatre.events}) == 1


@pytest.mark.flaky(reruns=1)
def test_progress_is_told_about_once_a_second(theatre: Theatre) -> None:
    engine = theatre.engine()

    def slow(batch: pl.DataFrame) -> pl.DataFrame:
        time.sleep(0.05)
        return batch

    def orders(_call: SourceCall) -> pl.LazyFrame:
        frames = [FRAME.lazy().map_batches(slow, schema=FRAME.schema) for _part in range(60)]
        return pl.concat(frames, parallel=False)

    engine.add_source("slow", orders)
    seen: list[float] = []
    context = Context(on_progress=lambda progress: seen.append(progress.seconds))
    engine.export(theatre.request("slow"), context=context)
    told = [event.progress.seconds for event in theatre.events if event.progress and event.progress.phase == "writing"]
    assert len(told) >= 2
    assert min(after - before for before, after in itertools.pairwise(told)) >= 1.0
    # Whoever asked for progress has it more often.
    assert len(seen) > len(told)


def test_a_phase_is_told_when_it_begins_and_then_once_a_second() -> None:
    events: list[ExportEvent] = []
    claim = Claim("id", 1, "w", "kim", "orders", "lines", b"", Path(), None, RetryPolicy())
    watch = Watch(events.append, lambda: datetime.now(UTC), claim)
    watch.progress(Progress("delivering", 0, 0, None, 0.0))  # Of what is made already.
    watch.started()
    for phase, seconds in (("writing", 0.0), ("writing", 0.9), ("writing", 1.0), ("writing", 1.9), ("proving", 1.95)):
        watch.progress(Progress(phase, 0, 0, None, seconds))
    watch.progress(Progress("proving", 7, 0, None, 2.94))
    watch.progress(Progress("proving", 8, 0, None, 2.95))
    told = [(event.progress.phase, event.progress.seconds) for event in events[1:] if event.progress]
    assert told == [("writing", 0.0), ("writing", 1.0), ("proving", 1.95), ("proving", 2.95)]


def test_observers_that_misbehave_change_nothing(theatre: Theatre, caplog: pytest.LogCaptureFixture) -> None:
    def raises(_event: ExportEvent) -> None:
        raise KeyError("hunter2-canary")

    def exits(_event: ExportEvent) -> None:
        sys.exit(3)

    engine = theatre.engine(raises, exits)
    with caplog.at_level(logging.INFO):
        result = engine.export(theatre.request())
    assert result.complete
    assert theatre.names == WHOLE
    assert "raises raised KeyError; the export goes on" in caplog.text
    assert "exits raised SystemExit" in caplog.text
    assert "hunter2-canary" not in caplog.text


def test_an_observer_runs_in_the_thread_of_the_export_which_waits_for_it(theatre: Theatre) -> None:
    threads: list[threading.Thread] = []

    def slow(_event: ExportEvent) -> None:
        threads.append(threading.current_thread())
        time.sleep(0.1)

    began = time.monotonic()
    theatre.engine(slow).export(theatre.request())
    assert time.monotonic() - began >= 0.5
    assert {threads[0], threads[-1]} == {threading.current_thread()}


def test_observers_come_and_go(theatre: Theatre) -> None:
    engine, seen = theatre.engine(), list[ExportEvent]()
    first, second = engine.add_observer(seen.append), engine.add_observer(seen.append)
    engine.export(theatre.request())
    assert len(seen) == 2 * len(WHOLE)
    first()
    first()
    engine.export(theatre.request())
    assert len(seen) == 3 * len(WHOLE)
    second()
    engine.export(theatre.request())
    assert len(seen) == 3 * len(WHOLE)


def test_one_may_end_its_own_watch_meanwhile(theatre: Theatre) -> None:
    engine, seen = theatre.engine(), list[str]()

    def once(event: ExportEvent) -> None:
        seen.append(event.name)
        remove()

    remove = engine.add_observer(once)
    engine.export(theatre.request())
    assert seen == ["started"]
    assert theatre.names == WHOLE


async def asynchronous(_event: ExportEvent) -> None: ...


class AlsoAsynchronous:
    async def __call__(self, _event: ExportEvent) -> None: ...


@pytest.mark.parametrize("observer", [asynchronous, AlsoAsynchronous(), None, "print"])
def test_what_is_no_observer_is_refused(theatre: Theatre, observer: Any) -> None:
    engine = theatre.engine()
    with pytest.raises(RequestError, match="plain function"):
        engine.add_observer(observer)
    with pytest.raises(RequestError, match="plain function"):
        Engine(engine.settings, observers=[observer])


def test_plugins_are_told_the_same(theatre: Theatre) -> None:
    told: list[ExportEvent] = []

    class Hook:
        @hookimpl
        def tailrace_export_event(self, event: ExportEvent) -> None:
            told.append(event)

    engine = theatre.engine(plugins=(("watcher", Hook()),))
    engine.export(theatre.request())
    assert told == theatre.events
