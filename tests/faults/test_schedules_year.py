"""A year of twenty schedules in eight zones: workers are killed, clocks are set, and each slot has exactly one job.

Time is simulated: it is a number in a file that all processes have mapped, and this one moves it on, by minutes or by
days, and now and then an hour back, above all where clocks change. Two processes look at it, through the ticker, and
enter what is due; they are killed at random moments and replaced. What is expected is worked out here a second time,
from what the wall clock shows at every quarter of an hour of the year; all schedules keep to quarters. With
``ALL_FAULTS=1`` there are four years for each store, with smaller steps and four times the kills.
"""

import mmap
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
import sqlalchemy as sa
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

from tailrace import Engine, ExportRequest, SinkRequest, User
from tailrace.model.convert import unstructure
from tailrace.model.schedule import Misfire, Overlap, Schedule, ScheduleDraft, ScheduleRules
from tailrace.settings import ScheduleSettings, Settings, StoreSettings
from tailrace.store.tables import jobs, schedules, slots
from tailrace.work.slots import read_timing

from .injection import ALL
from .worker_forks import Workers, workers

ADA, ROOT = User("ada"), User("root", is_admin=True)
BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC)
QUARTER, HOUR, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
SEED = 1967
KILLS = 240 if ALL else 60
LONGEST_STEPS = (timedelta(hours=1), timedelta(hours=12), timedelta(days=1 if ALL else 2))
"""The size of a step is up to one of these, each as often as the others."""
CHANGES = [
    datetime.fromisoformat(f"2026-{text}:00+00:00")
    for text in (
        "03-08T05:00",  # Havana, at midnight
        "03-08T07:00",  # New York
        "03-29T01:00",  # Berlin
        "04-04T15:00",  # Lord Howe, half an hour
        "04-23T22:00",  # Cairo, at midnight
        "10-03T15:30",  # Lord Howe
        "10-25T01:00",  # Berlin
        "10-29T21:00",  # Cairo
        "11-01T05:00",  # Havana
        "11-01T06:00",  # New York
    )
]
"""When clocks change: UTC."""

TICKING = f"""
import mmap
from datetime import datetime, timedelta

import cronsim, schedule, tailrace.work.firing, tailrace.work.schedules
from tailrace.work.ticker import Beat, Ticker

BEGIN = datetime.fromisoformat("{BEGIN.isoformat()}")

def work(settings, concurrency):
    with open(os.environ["CLOCK"], "rb") as file:
        shown = memoryview(mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)).cast("q")
    clock = lambda: BEGIN + timedelta(microseconds=shown[0])
    engine = Engine(structure(settings, Settings), discover=False, clock=clock)
    firing, note = engine.worker().firing, Path(os.environ["WORKERS"], str(os.getpid()))

    def fire():
        turn = firing.turn()
        if turn.entered:
            note.write_text(str(os.getpid()))
        return turn.following

    ticker = Ticker((Beat("schedules", 0.01, fire),))
    while True:
        time.sleep(ticker.beat())
"""


@attrs.frozen
class Clock:
    """What time it is, for all processes.

    Args:
        shown: Microseconds since the year began.
    """

    shown: memoryview

    def __call__(self) -> datetime:
        return BEGIN + timedelta(microseconds=self.shown[0])

    def set(self, moment: datetime) -> None:
        self.shown[0] = (moment - BEGIN) // timedelta(microseconds=1)


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: what is tried here is who writes when, not the disk."""
    shm = Path("/dev/shm")
    folder = shm / f"tailrace-{os.getpid()}-{tmp_path.name}" if shm.is_dir() else tmp_path / "quick"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def clock(quick: Path) -> Clock:
    path = quick / "clock"
    path.write_bytes(bytes(8))
    with path.open("r+b") as file:
        return Clock(memoryview(mmap.mmap(file.fileno(), 8)).cast("q"))


# --- what is expected ---

Says = Callable[[datetime], bool]
"""Whether a rule means a time of the wall clock."""


@lru_cache(maxsize=1)
def quarters() -> list[datetime]:
    """Every quarter of an hour of the year, and of some weeks around it."""
    first, count = BEGIN - 2 * DAY, (END + 40 * DAY - (BEGIN - 2 * DAY)) // QUARTER
    return [first + number * QUARTER for number in range(count)]


def by_the_wall(zone: str, says: Says) -> list[datetime]:
    """When the wall clock shows a time that is meant: not when it leaves that out, twice when that comes twice."""
    local = ZoneInfo(zone)
    return [moment for moment in quarters() if says(moment.astimezone(local).replace(tzinfo=None))]


def once(zone: str, says: Says) -> list[datetime]:
    """The same of a fixed time: when the clock first arrives at it, or at something later."""
    local, found = ZoneInfo(zone), []
    furthest = quarters()[0].astimezone(local).replace(tzinfo=None)
    for moment in quarters()[1:]:
        wall = moment.astimezone(local).replace(tzinfo=None)
        passed = []
        while furthest < wall:
            furthest += QUARTER
            passed.append(says(furthest))
        if any(passed):
            found.append(moment)
    return found


def each(step: timedelta) -> list[datetime]:
    """So much time after one another, the first so much after the year began."""
    return [BEGIN + number * step for number in range(1, (END + 40 * DAY - BEGIN) // step)]


def at(*clocks: str, days: str = "Mon Tue Wed Thu Fri Sat Sun") -> Says:
    """One of these times of day, on one of these days."""
    return lambda wall: f"{wall:%H:%M}" in clocks and f"{wall:%a}" in days


def minutes(*wanted: int, hours: str = "") -> Says:
    """These minutes, of these hours or of every one."""
    return lambda wall: wall.minute in wanted and (not hours or f"{wall:%H}" in hours.split())


@attrs.frozen
class Rule:
    """A schedule of the year.

    Args:
        name: Its name.
        zone: Its zone.
        expected: When it is due, by this file.
        cron: As a cron expression.
        every: As a phrase.
        misfire: What becomes of what is missed.
        until: When it ends.
    """

    name: str
    zone: str
    expected: Callable[[], list[datetime]]
    cron: str | None = None
    every: str | None = None
    misfire: Misfire = Misfire.ALL
    until: str | None = None

    def draft(self, now: datetime) -> ScheduleDraft:
        timing = read_timing(cron=self.cron, every=self.every, zone=self.zone, now=now, until=self.until)
        # Nothing carries out the jobs here.
        return ScheduleDraft("words", timing, rules=ScheduleRules(misfire=self.misfire, overlap=Overlap.BESIDE))


def rule(name: str, zone: str, expected: Callable[[str], list[datetime]], **more: Any) -> Rule:
    return Rule(name, zone, lambda: expected(zone), **more)


LATEST = Misfire.LATEST
RULES = [
    rule("b-gap", "Europe/Berlin", lambda z: once(z, at("02:30")), cron="30 2 * * *"),
    rule("b-wild", "Europe/Berlin", lambda z: by_the_wall(z, minutes(0, 30, hours="02")), cron="*/30 2 * * *"),
    rule("b-hour", "Europe/Berlin", lambda z: by_the_wall(z, minutes(15)), every="hour at :15", misfire=LATEST),
    rule("ny-two", "America/New_York", lambda z: once(z, at("01:15", "02:15")), cron="15 1,2 * * *"),
    rule("ny-week", "America/New_York", lambda z: once(z, at("02:30", days="Sun")), every="sunday at 02:30"),
    rule("ny-often", "America/New_York", lambda _z: each(timedelta(minutes=10)), every="10 minutes", misfire=LATEST),
    rule("lh-twice", "Australia/Lord_Howe", lambda z: once(z, at("01:45")), cron="45 1 * * *"),
    rule("lh-gap", "Australia/Lord_Howe", lambda z: once(z, at("02:15")), cron="15 2 * * *"),
    rule(
        "lh-wild",
        "Australia/Lord_Howe",
        lambda z: by_the_wall(z, minutes(0, 15, 30, 45)),
        cron="*/15 * * * *",
        misfire=LATEST,
    ),
    rule("k-day", "Asia/Kathmandu", lambda z: once(z, at("05:45")), every="day at 05:45"),
    rule("k-hours", "Asia/Kathmandu", lambda _z: each(8 * HOUR), every="8 hours"),
    rule("h-midnight", "America/Havana", lambda z: once(z, at("00:00")), cron="0 0 * * *"),
    rule("h-sundays", "America/Havana", lambda z: once(z, at("00:30", days="Sun")), cron="30 0 * * SUN"),
    rule("c-midnight", "Africa/Cairo", lambda z: once(z, at("00:00", "23:00")), cron="0 0,23 * * *"),
    rule("c-hour", "Africa/Cairo", lambda _z: each(HOUR), every="hour", misfire=LATEST),
    rule("a-noon", "Pacific/Apia", lambda z: once(z, at("12:00", days="Mon Tue Wed Thu Fri")), cron="0 12 * * 1-5"),
    rule("a-weekly", "Pacific/Apia", lambda z: once(z, at("23:45", days="Sat")), every="saturday at 23:45"),
    rule(
        "u-ends",
        "UTC",
        lambda z: [moment for moment in by_the_wall(z, minutes(0, hours="00 08 16")) if moment < END - 184 * DAY],
        cron="0 */8 * * *",
        until="2026-07-01T00:00:01",
    ),
    rule("u-edited", "UTC", lambda z: once(z, at("06:00")), cron="0 6 * * *"),
    rule(
        "b-paused",
        "Europe/Berlin",
        lambda z: once(z, at("09:00", days="Mon Tue Wed Thu Fri")),
        every="weekday at 09:00",
    ),
]
EDITED = rule("u-edited", "Europe/Berlin", lambda z: once(z, at("02:45", "18:45")), cron="45 2,18 * * *")
EDIT, PAUSE, RESUME = (datetime(2026, month, 14, 3, 20, tzinfo=UTC) for month in (5, 8, 9))


def test_the_oracle_knows_the_days_on_which_clocks_change() -> None:
    def on(moments: list[datetime], zone: str, day: str) -> list[str]:
        local = [moment.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes") for moment in moments]
        return [text.partition("T")[2] for text in local if text.startswith(day)]

    found = {one.name: on(one.expected(), one.zone, day) for one, day in zip(RULES, ["2026-03-29"] * 2, strict=False)}
    assert found == {"b-gap": ["03:00+02:00"], "b-wild": []}
    twice = ["02:00+02:00", "02:30+02:00", "02:00+01:00", "02:30+01:00"]
    assert on(RULES[0].expected(), "Europe/Berlin", "2026-10-25") == ["02:30+02:00"]
    assert on(RULES[1].expected(), "Europe/Berlin", "2026-10-25") == twice
    assert on(once("Australia/Lord_Howe", at("02:15")), "Australia/Lord_Howe", "2026-10-04") == ["02:30+11:00"]
    assert on(once("Australia/Lord_Howe", at("01:45")), "Australia/Lord_Howe", "2026-04-05") == ["01:45+11:00"]
    assert on(once("America/Havana", at("00:00")), "America/Havana", "2026-03-08") == ["01:00-04:00"]
    for change in CHANGES:
        zones = {one.zone for one in RULES}
        offsets = [
            [moment.astimezone(ZoneInfo(zone)).utcoffset() for zone in zones] for moment in (change - QUARTER, change)
        ]
        assert offsets[0] != offsets[1]


# --- the year ---


def moves(chance: random.Random) -> Iterator[datetime]:
    """Where the clock is set to, one after the other."""
    now, ahead = BEGIN, [*CHANGES, EDIT, PAUSE, RESUME]
    while now < END:
        until = min(now + chance.choice(LONGEST_STEPS) * chance.random(), END)
        if coming := [moment for moment in ahead if now < moment <= until]:
            until = min(coming)
        now = until
        yield now
        if now in CHANGES:
            for seconds in (-1, 1, -3600, 10, 1800, -1800, 3600):
                yield now + timedelta(seconds=seconds)
            now += HOUR
        elif chance.random() < 0.1 and now not in ahead:
            yield now - HOUR


@attrs.define
class Year:
    """The year, as it goes by.

    Args:
        engine: An engine of this process.
        clock: The clock.
        crew: Who enters jobs.
        chance: What is left to chance.
        now: Where the clock is.
    """

    engine: Engine
    clock: Clock
    crew: Workers
    chance: random.Random

    def dealt_with(self) -> bool:
        with self.engine.store.reading() as connection:
            asked = sa.select(sa.literal(1)).where(schedules.c.next <= self.clock())
            return connection.execute(asked).first() is None

    def settle(self) -> None:
        """Wait until all that is due is entered."""
        until = time.monotonic() + 60
        while not self.dealt_with():
            assert time.monotonic() < until, "nobody enters what is due"
            time.sleep(0.005)

    def kill(self) -> None:
        time.sleep(self.chance.uniform(0, 0.04))
        self.crew.kill(self.chance.choice(self.crew.running))
        self.crew.start()

    def pass_by(self, kills: int) -> None:
        planned = list(moves(self.chance))
        deadly = Counter(self.chance.choices(range(10, len(planned)), k=kills))
        for number, moment in enumerate(planned):
            self.clock.set(moment)
            for _ in range(deadly[number]):
                self.kill()
            if moment in (EDIT, PAUSE, RESUME):
                self.settle()
                self.touch(moment)
            if self.chance.random() < 0.2:
                self.settle()
            else:
                time.sleep(self.chance.uniform(0, 0.02))
        self.settle()
        print(f"{len(planned)} moves of the clock")  # noqa: T201 - what was tried

    def touch(self, moment: datetime) -> None:
        """Do what a user does in the middle of the year."""
        if moment == EDIT:
            timing = EDITED.draft(moment).timing
            self.engine.schedules.edit("u-edited", ADA, lambda draft: attrs.evolve(draft, timing=timing))
        elif moment == PAUSE:
            self.engine.schedules.pause("b-paused", ADA)
        else:
            self.engine.schedules.resume("b-paused", ADA)


def expected_of(one: Rule) -> list[datetime]:
    """When a schedule is due, from the beginning of the year to some weeks after its end."""
    found = one.expected()
    if one.name == "u-edited":
        found = [moment for moment in found if moment <= EDIT] + [m for m in EDITED.expected() if m > EDIT]
    if one.name == "b-paused":
        found = [moment for moment in found if not PAUSE < moment <= RESUME]
    return [moment for moment in found if moment > BEGIN]


def check(schedule: Schedule, one: Rule, rows: list[Any]) -> None:
    """See that each slot of the year is accounted for once."""
    found, case = expected_of(one), one.name
    wanted = [moment for moment in found if moment <= END]
    later = next((moment for moment in found if moment > END), None)
    assert {row.state for row in rows} == {"entered"}, case
    assert not any(row.by_hand for row in rows), case
    if one.misfire is Misfire.ALL:
        moments = [row.moment for row in rows]
        assert moments == wanted, (case, sorted(set(moments) ^ set(wanted))[:5])
        assert {(row.stands_for, row.first == row.moment) for row in rows} == {(1, True)}, case
    else:
        # What each stands for lies one after the other, without a gap.
        count = 0
        for row in rows:
            assert row.first == wanted[count], case
            count += row.stands_for
            assert row.moment == wanted[count - 1], case
        assert count == len(wanted), case
    assert len({row.name for row in rows}) == len(rows), case
    assert schedule.enabled, case
    assert (schedule.last, schedule.next) == (wanted[-1], later), case
    assert schedule.job == rows[-1].job, case


def engine_of(settings: Settings, clock: Clock) -> Engine:
    source = MemorySource([memory_table("rows", {"word": ["pump"]})])
    plugins = [("memory", source), ("lines", LinesFormat()), ("folder", FolderSink())]
    return Engine(settings, plugins=plugins, discover=False, clock=clock)


SEEDS = [SEED, *(random.SystemRandom().randrange(10**6) for _ in range(3 if ALL else 1))]


@pytest.mark.timeout(1800 if ALL else 300)
@pytest.mark.parametrize("number", range(len(SEEDS)) if ALL else [0])
def test_in_a_year_of_kills_and_set_clocks_each_slot_has_exactly_one_job(
    store_url: str, tmp_path: Path, quick: Path, clock: Clock, number: int
) -> None:
    # One store runs with a seed that never changes, the other with a new one each time.
    seed = SEEDS[number if ALL else store_url.startswith("postgresql")]
    print(f"seed {seed}")  # noqa: T201 - to do it again
    url = f"sqlite:///{quick}/store.db" if store_url.startswith("sqlite") else store_url
    limits = ScheduleSettings(catch_up=1000, history=0)
    settings = Settings(home=tmp_path / "home", user="ada", store=StoreSettings(url), schedules=limits)
    engine = engine_of(settings, clock)
    engine.upgrade_store()
    request = ExportRequest("memory", "", "lines", sinks=(SinkRequest("folder", str(tmp_path / "out")),))
    engine.templates.save("words", request, user=ADA)
    assert (len(RULES), len({one.zone for one in RULES})) == (20, 8)
    for one in RULES:
        engine.schedules.add(one.name, one.draft(BEGIN), user=ADA, folder=tmp_path)
    begin = time.monotonic()
    variables = {"CLOCK": str(quick / "clock")}
    with workers(tmp_path / "workers", unstructure(settings), work=TICKING, environment=variables) as crew:
        crew.start().start()
        Year(engine, clock, crew, random.Random(seed)).pass_by(KILLS)
        useful = len(list((tmp_path / "workers").iterdir()))
    taken = time.monotonic() - begin

    known = {schedule.name: schedule for schedule in engine.schedules.list(ADA)}
    with engine.store.reading() as connection:
        asked = sa.select(slots).order_by(slots.c.schedule, slots.c.moment)
        rows = connection.execute(asked).all()
        there = dict(connection.execute(sa.select(jobs.c.id, jobs.c.schedule)).all())
    for one in RULES:
        check(known[one.name], one, [row for row in rows if row.schedule == known[one.name].id])
    # Jobs and slots agree one to one.
    names = {schedule.id: schedule.name for schedule in known.values()}
    assert {row.job: names[row.schedule] for row in rows} == there
    assert len(rows) == len(there)
    assert engine.audit.verify(ROOT).ok
    stood_for = sum(row.stands_for for row in rows)
    # What was tried.
    print(f"{len(rows)} jobs for {stood_for} slots, {useful} of {KILLS + 2} workers entered some, {taken:.0f} s")  # noqa: T201
    assert useful > KILLS / 3, "most workers were killed before they did anything"
    engine.store.close()
