"""The engine in an event loop: awaited, cancelled, and out of the loop's way."""

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import attrs
import polars as pl
import pytest

from tailrace import (
    Context,
    Engine,
    ExportRequest,
    ImportRequest,
    JobResult,
    Progress,
    RequestError,
    SinkRequest,
    SourceCall,
    SourceError,
    UnknownNameError,
    User,
)
from tailrace.model.states import JobState
from tailrace.settings import Settings

T = TypeVar("T")
CURRENT: contextvars.ContextVar[str] = contextvars.ContextVar("current")
ROOT = User("root", is_admin=True)


@attrs.define
class Service:
    """A program that exports in an event loop."""

    root: Path
    engine: Engine
    begun: threading.Event = attrs.field(factory=threading.Event)
    ended: threading.Event = attrs.field(factory=threading.Event)

    def request(self, source: str = "orders", **more: Any) -> ExportRequest:
        sinks = (SinkRequest("disk", str(self.root / "out")),)
        return ExportRequest(source, "", "csv", sinks=sinks, **{"compress": False, **more})

    def slow(self, call: SourceCall) -> pl.LazyFrame:
        """Rows that take a minute, batch by batch."""

        def wait(batch: pl.DataFrame) -> pl.DataFrame:
            self.begun.set()
            time.sleep(0.02)
            call.context.check()
            return batch

        frame = pl.DataFrame({"id": [1]})
        return pl.concat([frame.lazy().map_batches(wait, schema=frame.schema) for _part in range(3000)])

    def stuck(self, call: SourceCall) -> pl.DataFrame:
        """Waits for what never comes, and asks whether it is still wanted."""
        self.begun.set()
        try:
            while True:
                call.context.sleep(0.05)
        finally:
            self.ended.set()

    def left(self) -> list[str]:
        """What is in the folders for exports and for files in the making."""
        folders = (self.root / "out", self.root / "home" / "staging")
        return [path.name for folder in folders if folder.exists() for path in folder.iterdir()]

    def states(self) -> list[JobState]:
        return [job.state for job in self.engine.jobs.list(ROOT, everybody=True).jobs]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    engine = Engine(Settings(home=tmp_path / "home"), user=lambda: User(CURRENT.get("nobody")))
    service = Service(tmp_path, engine)
    engine.add_source("orders", lambda _call: pl.DataFrame({"id": [1, 2]}))
    engine.add_source("slow", service.slow)
    engine.add_source("stuck", service.stuck)
    yield service
    engine.store.close()


async def until(event: threading.Event) -> None:
    """Wait for another thread without keeping the loop from anything."""
    await asyncio.to_thread(event.wait, 20)


def test_an_export_is_awaited(service: Service) -> None:
    async def main() -> JobResult:
        CURRENT.set("ada")
        expected = await service.engine.aestimate(service.request(), fits=True)
        assert expected.rows == 2
        assert expected.fits
        return await service.engine.aexport(service.request(), estimate=expected)

    result = asyncio.run(main())
    (artifact,) = result.artifacts
    assert artifact.path is not None
    assert artifact.path.read_text() == "id\n1\n2\n"
    # The current user of the task, though the work was done in another thread.
    assert artifact.manifest.user == "ada"
    verified = asyncio.run(service.engine.averify(artifact.path))
    assert verified.ok
    # Outside of any loop it is the same engine.
    assert service.engine.verify(artifact.path).ok


def test_imports_are_awaited(service: Service, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("http://one.example.com:8080\nhttp://two.example.com:8080\n")
    request = ImportRequest(tmp_path / "list.txt", str(tmp_path / "pool.json"))

    async def main() -> tuple[int, int]:
        plan = await service.engine.aplan_import(request)
        made = await service.engine.aapply_import(request, plan=plan)
        return plan.counts.add, made.counts.written

    assert asyncio.run(main()) == (2, 2)
    assert (tmp_path / "pool.json").exists()


def test_errors_are_the_same(service: Service) -> None:
    with pytest.raises(UnknownNameError) as plain:
        service.engine.export(service.request("nope"))
    with pytest.raises(UnknownNameError) as awaited:
        asyncio.run(service.engine.aexport(service.request("nope")))
    assert str(plain.value) == str(awaited.value)
    with pytest.raises(SourceError):
        asyncio.run(service.engine.averify(service.root / "nothing.csv"))


@pytest.mark.flaky(reruns=1)
@pytest.mark.parametrize("source", ["stuck", "slow"])
def test_cancelling_the_task_cancels_the_export(service: Service, source: str) -> None:
    async def main() -> float:
        task = asyncio.create_task(service.engine.aexport(service.request(source)))
        await until(service.begun)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - began

    assert asyncio.run(main()) < 1.0
    # It has ended by then: nothing is left behind, and the store knows what became of it.
    assert service.left() == []
    assert service.states() == [JobState.CANCELLED]
    assert service.ended.is_set() or source == "slow"


@pytest.mark.flaky(reruns=1)
def test_a_deadline_of_asyncio_is_kept(service: Service) -> None:
    async def main() -> float:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await service.engine.aexport(service.request("stuck"))
        return time.monotonic() - began

    assert 0.5 <= asyncio.run(main()) < 1.5
    assert service.ended.is_set()
    assert service.left() == []


def test_who_cancels_twice_still_waits_for_the_end(service: Service) -> None:
    async def main() -> None:
        task = asyncio.create_task(service.engine.aexport(service.request("stuck")))
        await until(service.begun)
        for _time in range(3):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert service.ended.is_set()

    asyncio.run(main())
    assert service.states() == [JobState.CANCELLED]


def test_what_waits_for_a_thread_is_cancelled_without_having_begun(service: Service) -> None:
    async def main() -> int:
        tasks = [asyncio.create_task(service.engine.aexport(service.request("stuck"))) for _number in range(40)]
        await until(service.begun)
        await asyncio.sleep(0.2)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        return sum(isinstance(result, asyncio.CancelledError) for result in results)

    assert asyncio.run(main()) == 40
    states = service.states()
    assert 0 < len(states) <= 32
    assert set(states) == {JobState.CANCELLED}
    assert service.left() == []


def longest_gap(work: Callable[[], Coroutine[Any, Any, object]]) -> float:
    """The longest time that a loop does nothing else, while something is done."""

    async def main() -> float:
        gaps, stop = [0.0], asyncio.Event()

        async def beat() -> None:
            last = time.perf_counter()
            while not stop.is_set():
                await asyncio.sleep(0.001)
                now = time.perf_counter()
                gaps.append(now - last)
                last = now

        heart = asyncio.create_task(beat())
        await asyncio.sleep(0.01)
        await work()
        await asyncio.sleep(0.01)
        stop.set()
        await heart
        return max(gaps)

    return asyncio.run(main())


@pytest.mark.flaky(reruns=1)
def test_the_loop_goes_on_meanwhile(service: Service) -> None:
    rows = pl.DataFrame({"id": range(1_500_000), "word": [f"word {number % 977}" for number in range(1_500_000)]})
    service.engine.add_source("large", lambda _call: rows)
    request = service.request("large", compress=True)
    asyncio.run(service.engine.aexport(service.request()))  # what is imported only once

    async def in_the_loop() -> None:
        began.append(time.perf_counter())
        service.engine.export(request)
        began.append(time.perf_counter())

    began: list[float] = []
    gap = longest_gap(lambda: service.engine.aexport(request))
    blocked = longest_gap(in_the_loop)
    assert blocked > 0.9 * (began[1] - began[0])
    assert gap < blocked / 3


def test_several_exports_run_side_by_side(service: Service) -> None:
    meeting = threading.Barrier(4)

    def orders(_call: SourceCall) -> pl.DataFrame:
        meeting.wait(20)
        return pl.DataFrame({"id": [1]})

    service.engine.add_source("meeting", orders)

    async def main() -> list[JobResult]:
        requests = [
            attrs.evolve(service.request("meeting"), sinks=(SinkRequest("disk", str(service.root / str(number))),))
            for number in range(4)
        ]
        return await asyncio.gather(*map(service.engine.aexport, requests))

    assert len({result.export_id for result in asyncio.run(main())}) == 4


def test_a_coroutine_function_is_awaited_in_the_loop_that_waits(service: Service) -> None:
    async def main() -> str:
        loop, lock = asyncio.get_running_loop(), asyncio.Lock()
        seen: list[bool] = []

        async def orders(_call: SourceCall) -> pl.DataFrame:
            # As a pool of connections would be, this lock belongs to one loop.
            async with lock:
                seen.append(asyncio.get_running_loop() is loop)
            return pl.DataFrame({"user": [CURRENT.get()]})

        CURRENT.set("ada")
        service.engine.add_source("async-orders", orders)
        result = await service.engine.aexport(service.request("async-orders"))
        assert seen == [True]
        assert result.artifacts[0].path is not None
        return result.artifacts[0].path.read_text()

    assert asyncio.run(main()) == "user\nada\n"


@pytest.mark.flaky(reruns=1)
def test_a_coroutine_function_is_cancelled_with_its_export(service: Service) -> None:
    ended: list[str] = []

    async def orders(_call: SourceCall) -> pl.DataFrame:
        try:
            service.begun.set()
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return pl.DataFrame()

    async def main() -> float:
        service.engine.add_source("async-orders", orders)
        task = asyncio.create_task(service.engine.aexport(service.request("async-orders")))
        await until(service.begun)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["cancelled"]
        return time.monotonic() - began

    assert asyncio.run(main()) < 1.0


def test_progress_is_told_to_plain_functions(service: Service) -> None:
    async def asynchronous(_progress: Progress) -> None: ...

    with pytest.raises(RequestError, match="plain function"):
        asyncio.run(service.engine.aexport(service.request(), context=Context(on_progress=asynchronous)))  # type: ignore[arg-type]  # the point

    async def main() -> list[str]:
        queue: asyncio.Queue[Progress] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(progress: Progress) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, progress)

        context = Context(on_progress=tell)
        await service.engine.aexport(service.request(), context=context)
        return [queue.get_nowait().phase for _number in range(queue.qsize())]

    assert set(asyncio.run(main())) == {"writing", "proving", "delivering"}
