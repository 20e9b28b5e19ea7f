"""Whether schedules are kept to the second, and what that costs. ``schedules.py [--quick]``.

On SQLite and, where there is a server at 127.0.0.1:5432, on PostgreSQL. First a minute of real time: two workers,
processes of their own, are kept busy with exports of 100,000 rows, and eight schedules are due every second or every
few. What is told is by how much later than its slot each job was entered, and begun. Then what a look at the clock
takes: with schedules that are due at one moment, and with many of which none is. Last, reckoning alone: when odd cron
expressions are due next, and how many slots a year has. A missed goal makes the exit code 1.
"""

import os
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import attrs
import sqlalchemy as sa
import workload
from jobs import Bench, asked, bench_on, has_server
from run import Verdict

from tailrace import Engine, TailraceError, User
from tailrace.model.schedule import Misfire, Overlap, ScheduleDraft, ScheduleRules
from tailrace.model.states import JobState
from tailrace.store.tables import jobs, schedules, slots, workers
from tailrace.work.firing import Firing
from tailrace.work.slots import due_between, read_timing, slots_after

ADA, ANN = User("ada"), User("ann")
ROWS = 100_000
PHRASES = ["second"] * 5 + ["2 seconds", "3 seconds", "5 seconds"]
SHARE = 0.001
"""The share of slots that may be entered later than a second after they came."""
DUE, IDLE = (1, 100, 1000), 10_000
ODD = [
    "* * * * *",
    "0 2 * * *",
    "*/15 8-18 * * MON-FRI",
    "0 2 L * *",
    "0 0 13 * FRI",
    "30 1 * 3,11 SUN#2",
    "0 0 29 2 *",
    "0 0 29 2 */7",
]


def timing_of(every: str, now: datetime) -> Any:
    """A timing in Berlin."""
    return read_timing(cron=None, every=every, zone="Europe/Berlin", now=now)


@contextmanager
def two_workers(bench: Bench) -> Iterator[None]:
    """Two workers, each a process, which carry out two jobs at a time."""
    environment = {
        **os.environ,
        "TAILRACE_HOME": str(bench.engine.settings.home),
        "TAILRACE_STORE_URL": bench.engine.settings.store.url,
        "TAILRACE_RETENTION_DAILY": "false",
    }
    command = [str(Path(sys.executable).with_name("tailrace")), "worker", "--quiet", "--concurrency", "2"]
    running = [subprocess.Popen(command, env=environment) for _ in range(2)]
    try:
        asked = sa.select(sa.func.count()).select_from(workers)
        while True:
            with bench.engine.store.reading() as connection:
                if connection.execute(asked).scalar() == len(running):
                    break
            time.sleep(0.05)
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


@contextmanager
def kept_busy(bench: Bench, data: Path) -> Iterator[None]:
    """See that some exports wait all the time, but not so many that whatever is handed in waits for minutes."""
    parquet, _database = workload.make(data, ROWS)
    request, over = bench.request(parquet), threading.Event()
    estimate = bench.engine.estimate(request, exact=False)
    asked = sa.select(sa.func.count()).where(jobs.c.state == JobState.PENDING, jobs.c.schedule.is_(None))

    def feed() -> None:
        while not over.wait(0.05):
            with suppress(TailraceError), bench.engine.store.reading() as connection:
                waiting = connection.execute(asked).scalar() or 0
            for _ in range(3 - waiting):
                bench.engine.submit(request, user=ANN, estimate=estimate)

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def described(name: str, late: list[float]) -> None:
    """How late something was, in milliseconds."""
    milliseconds = sorted(1000 * seconds for seconds in late)
    p99 = milliseconds[min(len(milliseconds) - 1, round(0.99 * len(milliseconds)))]
    print(f"  {name:38}{statistics.median(milliseconds):10.0f}{p99:10.0f}{milliseconds[-1]:10.0f}{len(late):10}")


def in_time(bench: Bench, data: Path, seconds: int, verdict: Verdict) -> None:
    """How late slots are entered, and their jobs begun, under two busy workers."""
    engine = bench.engine
    engine.templates.save("tiny", bench.tiny(), user=ADA)
    with two_workers(bench), kept_busy(bench, data):
        # Their first export has them import what it needs.
        time.sleep(5)
        for number, phrase in enumerate(PHRASES):
            rules = ScheduleRules(misfire=Misfire.ALL, overlap=Overlap.BESIDE)
            draft = ScheduleDraft("tiny", timing_of(phrase, datetime.now(UTC)), rules=rules)
            engine.schedules.add(f"s{number}", draft, user=ADA, folder=bench.folder)
        time.sleep(seconds)
        for number in range(len(PHRASES)):
            engine.schedules.pause(f"s{number}", ADA)
        time.sleep(3)
    with engine.store.reading() as connection:
        asked = sa.select(slots.c.moment, slots.c.seen, jobs.c.started).join(jobs, jobs.c.id == slots.c.job)
        found = connection.execute(asked).all()
        exported = sa.select(sa.func.count()).where(jobs.c.schedule.is_(None), jobs.c.state == JobState.COMPLETED)
        beside = connection.execute(exported).scalar()
    print(f"\n{bench.name}: {seconds} s of two workers with {beside} exports of {ROWS:,} rows beside")
    print(f"  {'milliseconds after the slot':38}{'median':>10}{'99 of 100':>10}{'worst':>10}{'slots':>10}")
    entered = [(row.seen - row.moment).total_seconds() for row in found]
    described("entered", entered)
    described("begun", [(row.started - row.moment).total_seconds() for row in found if row.started])
    behind = sum(late > 1 for late in entered)
    print(f"  within a second: {1 - behind / len(entered):.2%}; not begun: {sum(not row.started for row in found)}")
    verdict.goal(f"{bench.name}: share of slots entered later than a second", behind / len(entered), SHARE)


@attrs.define
class Clock:
    """What time it is, as the benchmark says."""

    now: datetime = attrs.field(factory=lambda: datetime(2026, 8, 20, 12, tzinfo=UTC))

    def __call__(self) -> datetime:
        """What time it is."""
        return self.now


def firing_of(bench: Bench, clock: Clock) -> tuple[Engine, Firing]:
    """What looks at the clock, with one that stands still."""
    engine = Engine(bench.engine.settings, clock=clock)
    firing = engine.worker().firing
    if firing is None:
        raise SystemExit("this worker enters nothing")
    return engine, firing


def copies(engine: Engine, count: int) -> None:
    """Enter schedules like the one that there is, until there are so many."""
    with engine.store.writing() as connection:
        there = connection.execute(sa.select(sa.func.count()).select_from(schedules)).scalar() or 0
        row = dict(connection.execute(sa.select(schedules).where(schedules.c.name == "s")).mappings().one())
        if count > there:
            # Where it delivers is sealed for each by its id.
            sealer = engine.desk.sealer
            rows = []
            for number in range(there, count):
                identity = str(uuid.uuid4())
                sealed = sealer.seal("schedule", identity, None)
                rows.append(row | {"id": identity, "name": f"s{number}", "sealed": sealed, "job": None})
            connection.execute(sa.insert(schedules), rows)


def look(bench: Bench, rounds: int) -> None:
    """What looks at the clock take."""
    clock = Clock()
    engine, firing = firing_of(bench, clock)
    engine.templates.save("tiny", bench.tiny(), user=ADA)
    rules = ScheduleRules(overlap=Overlap.BESIDE)
    draft = ScheduleDraft("tiny", timing_of("hour", clock()), rules=rules)
    engine.schedules.add("s", draft, user=ADA, folder=bench.folder)
    print(f"\n{bench.name}: a look at the clock, milliseconds, median of {rounds}")
    for count in DUE:
        copies(engine, count)
        taken = []
        for _ in range(rounds):
            clock.now += timedelta(hours=1)
            taken.append(timed(partial(entered, firing, count)))
        print(f"  {f'{count:,} due at one moment':38}{statistics.median(taken):10.1f}")
    copies(engine, IDLE)
    clock.now += timedelta(hours=1)
    firing.turn()
    taken = [timed(lambda: entered(firing, 0)) for _ in range(50 * rounds)]
    print(f"  {f'{IDLE:,} of which none is due':38}{statistics.median(taken):10.2f}")
    engine.store.close()


def entered(firing: Firing, count: int) -> None:
    """Look at the clock; so many jobs have to be entered by that."""
    turn = firing.turn()
    if turn.entered != count:
        raise SystemExit(f"{count} are due, and {turn.entered} were entered")


def timed(call: Callable[[], object]) -> float:
    """Milliseconds that a call takes."""
    begin = time.perf_counter()
    call()
    return (time.perf_counter() - begin) * 1000


def reckon(rounds: int) -> None:
    """When odd cron expressions are due next, and how many slots a year has."""
    now = datetime(2026, 8, 20, 12, tzinfo=UTC)
    print(f"\nreckoning in Europe/Berlin, milliseconds, median of {rounds}")
    print(f"  {'':38}{'first':>10}{'ten':>10}{'a year':>10}{'slots':>10}")
    for cron in ODD:
        timing = read_timing(cron=cron, every=None, zone="Europe/Berlin", now=now)
        taken = {
            "first": [timed(lambda: next(slots_after(timing, now))) for _ in range(rounds)],  # noqa: B023 - at once
            "ten": [timed(lambda: list(islice(slots_after(timing, now), 10))) for _ in range(rounds)],  # noqa: B023 - as above
            "year": [timed(lambda: due_between(timing, now, later(now))) for _ in range(rounds)],  # noqa: B023 - as above
        }
        medians = "".join(f"{statistics.median(times):10.2f}" for times in taken.values())
        print(f"  {cron:38}{medians}{due_between(timing, now, later(now)).count:10,}")


def later(now: datetime) -> datetime:
    """A year later."""
    return now + timedelta(days=365)


def main() -> int:
    """Run all of it."""
    given = asked(__doc__, quick="ten seconds of a minute")
    given.data.mkdir(parents=True, exist_ok=True)
    seconds, rounds = (10, 2) if given.quick else (60, 5)
    verdict = Verdict()
    print(f"load average {os.getloadavg()[0]:.1f}")
    for name in given.store or ["SQLite", "PostgreSQL"]:
        if name == "PostgreSQL" and not has_server():
            print(f"\n{name}: not measured, there is no server")
            continue
        with bench_on(name, given.data) as bench:
            in_time(bench, given.data, seconds, verdict)
        with bench_on(name, given.data) as bench:
            look(bench, rounds)
    reckon(5 * rounds)
    print(f"\n{verdict.missed} goal(s) missed; load average {os.getloadavg()[0]:.1f}")
    return int(verdict.missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
