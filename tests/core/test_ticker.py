"""What a worker does again and again: whatever fails, and whatever the clock does, the rest of it goes on."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import attrs
import pytest
import schedule as library

from tailrace import SourceError
from tailrace.store.errors import StoreBusyError
from tailrace.work.ticker import Beat, Ticker

NOON = datetime(2026, 8, 20, 12)  # noqa: DTZ001 - the library keeps naive local time
BERLIN = ZoneInfo("Europe/Berlin")


@attrs.define
class Clocks:
    """The two clocks of a machine: one on the wall, which people and summer time change, and a steady one."""

    wall: datetime = NOON
    steady: float = 1000.0

    def pass_by(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.steady += seconds

    def set(self, seconds: float) -> None:
        """Set the one on the wall forward, or back."""
        self.wall += timedelta(seconds=seconds)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """Clocks that stand still; the library has no way to be told of another than its own."""
    clocks = Clocks()

    class Now(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # a clock that stands still has no zones
            assert tz is None
            return clocks.wall

    monkeypatch.setattr(library, "datetime", SimpleNamespace(datetime=Now, timedelta=timedelta))
    return clocks


@attrs.define
class Diary:
    """When what was done, in seconds of the steady clock."""

    clocks: Clocks
    entries: list[tuple[str, float]] = attrs.field(factory=list)

    def beat(self, name: str, every: float, *, instead: Callable[[], float | None] = lambda: None) -> Beat:
        def do() -> float | None:
            self.entries.append((name, self.clocks.steady - 1000.0))
            return instead()

        return Beat(name, every, do)

    def times(self, name: str) -> list[float]:
        return [round(when, 6) for one, when in self.entries if one == name]


@pytest.fixture
def diary(clocks: Clocks) -> Diary:
    return Diary(clocks)


def ticker_of(clocks: Clocks, *beats: Beat) -> Ticker:
    return Ticker(beats, wall=lambda: clocks.wall, steady=lambda: clocks.steady)


def run(ticker: Ticker, clocks: Clocks, seconds: float, *, most: int = 100_000) -> None:
    """Let it do what it does in so many seconds, and wait as long as it says in between."""
    until = clocks.steady + seconds
    for _ in range(most):
        pause = ticker.beat()
        if clocks.steady + pause >= until:
            clocks.pass_by(until - clocks.steady)
            return
        clocks.pass_by(pause)
    pytest.fail("it does not wait")


def fails_with(error: BaseException) -> Callable[[], float | None]:
    def do() -> float | None:
        raise error

    return do


# --- what is done when ---


def test_each_is_done_at_once_and_then_as_often_as_it_says(clocks: Clocks, diary: Diary) -> None:
    run(ticker_of(clocks, diary.beat("fast", 0.5), diary.beat("slow", 2.0)), clocks, 4.1)
    assert diary.times("fast") == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
    assert diary.times("slow") == [0.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("wish", "times"),
    [
        pytest.param(0.2, [0.0, 0.2, 1.2, 2.2], id="sooner"),
        pytest.param(0.0, [0.0, 0.0, 1.0, 2.0], id="at once"),
        pytest.param(-5.0, [0.0, 0.0, 1.0, 2.0], id="what is over already"),
        pytest.param(9.0, [0.0, 1.0, 2.0], id="never later than usual"),
        pytest.param(None, [0.0, 1.0, 2.0], id="none"),
    ],
)
def test_a_beat_may_wish_to_be_done_sooner_the_next_time(
    clocks: Clocks, diary: Diary, wish: float | None, times: list[float]
) -> None:
    wishes = iter([wish])
    run(ticker_of(clocks, diary.beat("one", 1.0, instead=lambda: next(wishes, None))), clocks, 2.5)
    assert diary.times("one") == times


def test_the_time_that_it_takes_is_not_made_up_for(clocks: Clocks, diary: Diary) -> None:
    ticker = ticker_of(clocks, diary.beat("long", 1.0, instead=lambda: clocks.pass_by(3.0)), diary.beat("other", 1.0))
    run(ticker, clocks, 8.0)
    assert diary.times("long") == [0.0, 4.0]
    assert diary.times("other") == [3.0, 7.0]


# --- what fails ---

ERRORS = [
    StoreBusyError("The store is busy.", hint="Wait."),
    SourceError("It is gone.", hint="Get it back."),
    ValueError("a secret"),
    SystemExit(3),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_what_fails_is_logged_and_stops_nothing_else(
    clocks: Clocks, diary: Diary, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    beats = [diary.beat("before", 1.0), diary.beat("bad", 1.0, instead=fails_with(error)), diary.beat("behind", 1.0)]
    run(ticker_of(clocks, *beats), clocks, 5.5)
    assert diary.times("before") == diary.times("behind") == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert diary.times("bad") == [0.0, 2.0]
    assert len([record for record in caplog.records if "bad" in record.getMessage()]) == 2
    assert {record.levelno for record in caplog.records} <= {logging.WARNING, logging.ERROR}


def test_what_fails_again_and_again_is_tried_ever_more_seldom_and_as_usual_when_it_works(
    clocks: Clocks, diary: Diary
) -> None:
    broken = [True]

    def do() -> float | None:
        if broken[0]:
            raise ValueError
        return None

    ticker = ticker_of(clocks, diary.beat("one", 1.0, instead=do))
    run(ticker, clocks, 17.0)
    assert diary.times("one") == [0.0, 2.0, 6.0, 11.0, 16.0]
    broken[0] = False
    run(ticker, clocks, 6.5)
    assert diary.times("one")[5:] == [21.0, 22.0, 23.0]


def test_whoever_interrupts_a_program_is_not_held_up(clocks: Clocks, diary: Diary) -> None:
    ticker = ticker_of(clocks, diary.beat("one", 1.0, instead=fails_with(KeyboardInterrupt())))
    with pytest.raises(KeyboardInterrupt):
        ticker.beat()


# --- clocks that are changed ---


@pytest.mark.parametrize("step", [-3600.0, 3600.0, -86400.0, 86400.0 * 400, -5.0, 5.0, 0.6, -0.6])
def test_a_clock_that_is_set_while_it_waits_changes_nothing(clocks: Clocks, diary: Diary, step: float) -> None:
    ticker = ticker_of(clocks, diary.beat("fast", 1.0), diary.beat("slow", 5.0))
    run(ticker, clocks, 2.5)
    clocks.set(step)
    run(ticker, clocks, 4.0)
    assert diary.times("fast") == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert diary.times("slow") == [0.0, 5.0]


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_a_clock_that_is_set_while_something_is_done_silences_nothing(
    clocks: Clocks, diary: Diary, step: float
) -> None:
    steps = iter([0.0, step])
    doing = diary.beat("doing", 1.0, instead=lambda: clocks.set(next(steps, 0.0)))
    run(ticker_of(clocks, diary.beat("before", 1.0), doing, diary.beat("behind", 1.0)), clocks, 4.5)
    for name in ("before", "doing", "behind"):
        assert diary.times(name) == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_the_end_of_summer_is_no_hour_of_silence(clocks: Clocks, diary: Diary) -> None:
    def wall(steady: float) -> datetime:
        # Twenty minutes before the hour that comes twice is over the first time.
        moment = datetime(2026, 10, 25, 0, 40, tzinfo=UTC) + timedelta(seconds=steady - 1000.0)
        return moment.astimezone(BERLIN).replace(tzinfo=None)

    clocks.wall = wall(clocks.steady)
    assert f"{clocks.wall:%H:%M}" == "02:40"
    ticker = Ticker((diary.beat("minutely", 60.0),), wall=lambda: wall(clocks.steady), steady=lambda: clocks.steady)
    for _ in range(60):
        clocks.wall = wall(clocks.steady)
        pause = ticker.beat()
        assert 0 < pause <= 60.0
        clocks.steady += pause
    assert diary.times("minutely") == [60.0 * number for number in range(60)]


def test_the_library_alone_would_be_silent_for_an_hour(clocks: Clocks) -> None:
    """Why the ticker follows the clock: without that, this is what becomes of it."""
    scheduler, done = library.Scheduler(), []
    scheduler.every(1).seconds.do(lambda: done.append(clocks.wall))
    clocks.pass_by(1.0)
    scheduler.run_pending()
    clocks.set(-3600.0)
    for _ in range(3599):
        clocks.pass_by(1.0)
        scheduler.run_pending()
    assert len(done) == 1


def test_what_one_job_of_the_library_raises_keeps_the_others_of_its_tick_from_running(clocks: Clocks) -> None:
    """Why each beat is wrapped."""
    scheduler, done = library.Scheduler(), []
    scheduler.every(1).seconds.do(fails_with(ValueError()))
    scheduler.every(1).seconds.do(lambda: done.append(1))
    clocks.pass_by(1.0)
    with pytest.raises(ValueError, match=r"^$"):
        scheduler.run_pending()
    assert done == []


# --- in a thread of its own ---


@pytest.fixture
def started() -> Iterator[list[Ticker]]:
    """Tickers that are stopped at the end."""
    tickers: list[Ticker] = []
    yield tickers
    for ticker in tickers:
        ticker.stop(10.0)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "tailrace-ticker"]


def test_it_goes_on_in_a_thread_until_it_is_stopped(started: list[Ticker]) -> None:
    done, enough = list[float](), threading.Event()

    def do() -> float | None:
        done.append(time.monotonic())
        if len(done) == 5:
            enough.set()
        return 0.01

    started.append(Ticker((Beat("one", 60.0, do), Beat("bad", 0.01, fails_with(SystemExit())))))
    started[0].start()
    assert enough.wait(10.0)
    begin = time.monotonic()
    started[0].stop(10.0)
    assert time.monotonic() - begin < 5.0
    assert threads() == []
    count = len(done)
    time.sleep(0.1)
    assert len(done) == count


def test_it_stops_at_once_while_it_waits(started: list[Ticker]) -> None:
    seen = threading.Event()
    started.append(Ticker((Beat("one", 3600.0, seen.set),)))
    started[0].start()
    assert seen.wait(10.0)
    begin = time.monotonic()
    started[0].stop(60.0)
    assert time.monotonic() - begin < 5.0
    assert threads() == []


def test_whoever_stops_it_waits_for_what_is_being_done_but_not_for_ever(started: list[Ticker]) -> None:
    begun, go = threading.Event(), threading.Event()

    def do() -> float | None:
        begun.set()
        assert go.wait(30.0)
        return None

    started.append(Ticker((Beat("one", 1.0, do),)))
    started[0].start()
    assert begun.wait(10.0)
    begin = time.monotonic()
    started[0].stop(0.2)
    assert 0.15 < time.monotonic() - begin < 5.0
    assert len(threads()) == 1
    go.set()
    started[0].stop(10.0)
    assert threads() == []


def test_nothing_is_done_twice_at_a_time(started: list[Ticker]) -> None:
    beside, most, over = [0], [0], threading.Event()
    counted = [0]

    def do() -> float | None:
        beside[0] += 1
        most[0] = max(most[0], beside[0])
        time.sleep(0.03)
        beside[0] -= 1
        counted[0] += 1
        if counted[0] == 10:
            over.set()
        return 0.0

    started.append(Ticker((Beat("one", 0.01, do), Beat("two", 0.01, do))))
    started[0].start()
    # Whoever starts it again changes nothing.
    started[0].start()
    assert len(threads()) == 1
    assert over.wait(10.0)
    assert most == [1]
