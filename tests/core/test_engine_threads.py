"""One engine in many threads, and many engines in one process."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

from tailrace import ConfigurationError, Engine, ExportRequest, NotAllowedError, RequestError, SinkRequest, User
from tailrace.engine.once import once
from tailrace.model.states import JobState
from tailrace.settings import Settings, StoreSettings, WorkerSettings

THREADS = 16
PARTS = (
    *("keyring", "store", "access", "jobs", "audit", "retention", "templates", "schedules", "preferences", "links"),
    *("post", "desk", "keeper", "_reference", "_firing", "_messengers", "_sealer", "_place", "_preparation"),
    *("_carrier", "_keeper", "_host", "_trust", "_threads"),
)
ROWS = {"word": ["pump", "wheel"]}


def together(work: Callable[[int], Any], threads: int = THREADS) -> list[Any]:
    """Do something in many threads that all begin at once."""
    gate = threading.Barrier(threads)

    def one(number: int) -> Any:
        gate.wait(20)
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads)))


def at_rest() -> None:
    """Wait for what keeps leases: a last look at the store would open it again."""
    for thread in threading.enumerate():
        if thread.name == "tailrace-leases":
            thread.join(10)


@pytest.fixture
def engine(store_url: str, tmp_path: Path) -> Iterator[Engine]:
    settings = Settings(
        home=tmp_path / "home", user="kim", store=StoreSettings(store_url), worker=WorkerSettings(poll=0.05)
    )
    engine = Engine(settings)
    engine.add_source("orders", lambda call: pl.DataFrame({"place": [call.location]}))
    yield engine
    at_rest()
    engine.store.close()


def test_every_part_is_made_once(engine: Engine) -> None:
    # Each thread begins with another part, so that they meet in what these are made of.
    found = together(lambda number: {name: getattr(engine, name) for name in PARTS[number:] + PARTS[:number]})
    for name in PARTS:
        assert len({id(parts[name]) for parts in found}) == 1, name


def test_all_parts_are_meant() -> None:
    made = {name for kind in Engine.__mro__ for name, value in vars(kind).items() if isinstance(value, once)}
    assert made == set(PARTS)


def test_many_threads_export_by_one_engine(engine: Engine, tmp_path: Path) -> None:
    def export(number: int) -> tuple[str, str]:
        sinks = (SinkRequest("disk", str(tmp_path / str(number))),)
        request = ExportRequest("orders", f"shop-{number}", "csv", compress=False, sinks=sinks)
        result = engine.export(request, user=User(f"user-{number}"))
        (artifact,) = result.artifacts
        assert artifact.path is not None
        return artifact.path.read_text(), artifact.manifest.user

    assert together(export) == [(f"place\nshop-{number}\n", f"user-{number}") for number in range(THREADS)]
    assert engine.audit.verify(User("root", is_admin=True))


def test_sources_come_and_go_meanwhile(engine: Engine, tmp_path: Path) -> None:
    def work(number: int) -> str:
        remove = engine.add_source(f"own-{number}", lambda _call: pl.DataFrame({"n": [number]}))
        drop = engine.add_observer(lambda _event: None)
        sinks = (SinkRequest("disk", str(tmp_path / str(number))),)
        result = engine.export(ExportRequest(f"own-{number}", "", "csv", compress=False, sinks=sinks))
        remove()
        drop()
        path = result.artifacts[0].path
        assert path is not None
        return path.read_text()

    assert together(work, 8) == [f"n\n{number}\n" for number in range(8)]
    sources = {entry.name for entry in engine.registry.entries() if entry.kind == "source"}
    assert not {name for name in sources if name.startswith("own-")}


def test_a_source_is_replaced_under_exports_that_go_on(engine: Engine, tmp_path: Path) -> None:
    """As a cell of a notebook that is run again: nobody finds that there is no source for a moment."""
    stop = threading.Event()

    def replace() -> None:
        while not stop.is_set():
            engine.add_source("orders", lambda call: pl.DataFrame({"place": [call.location]}), replace=True)

    replacing = threading.Thread(target=replace)
    replacing.start()
    try:
        for number in range(20):
            sinks = (SinkRequest("disk", str(tmp_path / str(number))),)
            assert engine.estimate(ExportRequest("orders", "x", "csv", compress=False, sinks=sinks)).rows == 1
    finally:
        stop.set()
        replacing.join()


def test_engines_have_plugins_of_their_own_by_the_same_names(tmp_path: Path) -> None:
    def export(number: int) -> list[str]:
        source = MemorySource([memory_table("rows", {"engine": [f"plugin {number}"]})])
        plugins = [("rows", source), ("lines", LinesFormat()), ("folder", FolderSink())]
        engine = Engine(Settings(home=tmp_path / f"home-{number}"), plugins=plugins, discover=False)
        engine.add_source("orders", lambda _call: pl.DataFrame({"engine": [f"frame {number}"]}))
        texts = []
        for name in ("rows", "orders"):
            sinks = (SinkRequest("folder", str(tmp_path / str(number))),)
            (artifact,) = engine.export(ExportRequest(name, "", "lines", compress=False, sinks=sinks)).artifacts
            assert artifact.path is not None
            texts.append(json.loads(artifact.path.read_text().splitlines()[0])["engine"])
        engine.store.close()
        return texts

    assert together(export, 4) == [[f"plugin {number}", f"frame {number}"] for number in range(4)]


def test_a_part_that_could_not_be_made_is_tried_again() -> None:
    class Thing:
        tries = 0

        @once
        def part(self) -> int:
            """A part."""
            self.tries += 1
            if self.tries == 1:
                raise OSError
            return self.tries

    thing = Thing()
    with pytest.raises(OSError, match=r"^$"):
        _ = thing.part
    assert (thing.part, thing.part, thing.tries) == (2, 2, 2)
    assert Thing.part.__doc__ == "A part."


# Who asks.


@attrs.define
class Login:
    user: Any = None

    def __call__(self) -> Any:
        return self.user


def request(folder: Path) -> ExportRequest:
    return ExportRequest("orders", "", "csv", sinks=(SinkRequest("disk", str(folder)),))


def test_the_application_says_who_asks(tmp_path: Path) -> None:
    login = Login(User("ada"))
    engine = Engine(Settings(home=tmp_path / "home"), user=login)
    engine.add_source("orders", lambda _call: pl.DataFrame(ROWS))
    result = engine.export(request(tmp_path))
    assert result.artifacts[0].manifest.user == "ada"
    login.user = User("bob")
    assert engine.submit(request(tmp_path)).creator == "bob"
    assert engine.export(request(tmp_path), user=User("eve")).artifacts[0].manifest.user == "eve"
    login.user = User("x" * 300)
    with pytest.raises(RequestError, match="id of a user"):
        engine.export(request(tmp_path))
    engine.store.close()


def test_nobody_is_not_the_user_of_the_system(tmp_path: Path) -> None:
    login = Login()
    engine = Engine(Settings(home=tmp_path / "home"), user=login)
    engine.add_source("orders", lambda _call: pl.DataFrame(ROWS))
    with pytest.raises(NotAllowedError, match="Nobody is known who asks"):
        engine.export(request(tmp_path))
    login.user = "ada"
    with pytest.raises(ConfigurationError, match="gives str instead of a User"):
        engine.export(request(tmp_path))


# What time it is.


def test_everything_tells_the_time_of_the_application(tmp_path: Path) -> None:
    now = [datetime(2031, 5, 1, 12, tzinfo=UTC)]

    def clock() -> datetime:
        now[0] += timedelta(seconds=1)
        return now[0]

    events: list[Any] = []
    settings = Settings(home=tmp_path / "home", user="kim", worker=WorkerSettings(poll=0.05))
    engine = Engine(settings, clock=clock, observers=[events.append])
    engine.add_source("orders", lambda call: pl.DataFrame({"at": [call.moment]}))
    result = engine.export(request(tmp_path / "out"))
    job = engine.submit(request(tmp_path / "out"))
    engine.worker().run(until_idle=True)
    done = engine.jobs.show(job.id, User("root", is_admin=True))
    assert done.state is JobState.COMPLETED
    moments = [result.started, result.finished, result.artifacts[0].manifest.created, done.created, done.finished]
    moments += [event.moment for event in events]
    moments += [event.result.finished for event in events if event.result is not None]
    trail = engine.audit.list(User("root", is_admin=True))
    moments += [record.moment for record in trail]
    assert {moment.year for moment in moments if moment is not None} == {2031}
    assert result.finished > result.started
    engine.store.close()
