import threading

import attrs
import pytest

from tailrace import CancelledError, Context, DeadlineError, Progress


@attrs.define
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def test_progress_is_told_at_intervals_and_at_each_phase() -> None:
    clock, told = Clock(), list[Progress]()
    context = Context(on_progress=told.append, interval=1.0, clock=clock)
    context.phase("writing", total_rows=10)
    clock.now = 100.5
    context.advance(rows=2, size=20)
    assert told == [Progress("writing", 0, 0, 10, 0.0)]
    clock.now = 101.0
    context.advance(rows=3, size=30)
    assert told[1:] == [Progress("writing", 5, 50, 10, 1.0)]
    clock.now = 101.9
    context.advance(rows=1)
    clock.now = 102.0
    context.phase("proving")
    assert told[2:] == [Progress("proving", 0, 50, None, 2.0)]
    clock.now = 102.5
    context.advance(rows=1)
    assert len(told) == 3


def test_nothing_is_told_without_a_listener() -> None:
    context = Context()
    context.phase("writing")
    context.advance(rows=1, size=1)
    context.check()


def test_cancelling_stops_at_the_next_check() -> None:
    context = Context()
    assert not context.cancelled
    thread = threading.Thread(target=context.cancel)
    thread.start()
    thread.join()
    assert context.cancelled
    for step in (context.check, context.advance, lambda: context.phase("writing")):
        with pytest.raises(CancelledError) as caught:
            step()
        assert caught.value.message == "It was cancelled."
        assert caught.value.hint == "Nothing was published or changed. Start it again."
        assert caught.value.exit_code == 1


def test_the_deadline_counts_from_the_beginning() -> None:
    clock = Clock()
    context = Context(timeout=2.5, clock=clock)
    clock.now = 102.5
    context.check()
    clock.now = 102.51
    with pytest.raises(DeadlineError) as caught:
        context.advance(rows=1)
    assert caught.value.message == "The export took longer than its 2.5 seconds."
    assert caught.value.hint == "Nothing was published. Allow more time, or narrow the export."


def test_being_cancelled_comes_before_being_late() -> None:
    clock = Clock()
    context = Context(timeout=1, clock=clock)
    clock.now = 200
    context.cancel()
    with pytest.raises(CancelledError):
        context.check()


def test_a_quiet_one_is_cancelled_and_late_with_the_other() -> None:
    clock, told = Clock(), list[Progress]()
    context = Context(on_progress=told.append, timeout=5, clock=clock)
    clock.now = 104
    quiet = context.quiet()
    quiet.phase("writing")
    quiet.advance(rows=5)
    assert told == []
    clock.now = 105.5
    with pytest.raises(DeadlineError):
        quiet.check()
    context.cancel()
    assert quiet.cancelled
    with pytest.raises(CancelledError):
        quiet.check()


def test_many_threads_lose_nothing() -> None:
    told = list[Progress]()
    context = Context(on_progress=told.append, interval=0)

    def work() -> None:
        for _ in range(500):
            context.advance(rows=1, size=2)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (told[-1].rows, told[-1].bytes) == (4000, 8000)
    assert [progress.rows for progress in told] == list(range(1, 4001))


def test_what_the_listener_raises_reaches_the_caller() -> None:
    def listen(_progress: Progress) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        Context(on_progress=listen).phase("writing")
