"""What becomes of the slots of schedules: by which rules, once each, and whatever happens in between."""

import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
import sqlalchemy as sa
import tailrace_sink_email
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

from tailrace import Engine, ExportRequest, RequestError, SinkRequest, User
from tailrace.model.schedule import (
    Misfire,
    Overlap,
    Schedule,
    ScheduleDraft,
    ScheduleKind,
    ScheduleRules,
    SlotRecord,
    SlotState,
)
from tailrace.model.states import JobState
from tailrace.model.timing import Due, Slot, Timing
from tailrace.model.work import ExportJob
from tailrace.settings import ScheduleSettings, Settings, StoreSettings
from tailrace.store import jobs as queue
from tailrace.store import schedules as stored
from tailrace.store.tables import audit, jobs, messages, schedules, slots, templates
from tailrace.work.firing import MISSED, SKIPPED, Firing, Turn
from tailrace.work.slot_rules import Predecessor, decide
from tailrace.work.slots import read_timing

ADA, BOB, ROOT = User("ada"), User("bob"), User("root", is_admin=True)
NOON = datetime(2026, 8, 20, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

# --- the rules, as a table ---

GRACE, CATCH_UP = 60.0, 3
"""Seconds by which a slot may be late, and how many are made up for: in this table, where it is noon."""
PREDECESSORS = {
    "none": Predecessor(),
    "being made": Predecessor(making=True),
    "made, being delivered": Predecessor(),
    "ended long ago": Predecessor(ended=NOON - 30 * MINUTE),
    "ended just now": Predecessor(ended=NOON - timedelta(seconds=10)),
}
ARRIVALS = {
    "one, on time": ["11:59:30"],
    "one, late": ["11:50:00"],
    "many": ["11:39:30", "11:49:30", "11:59:30"],
    "too many": ["11:19:30", "11:29:30", "11:39:30", "11:49:30", "11:59:30"],
}
"""Slots that are due: three are made up for at most, and those from 11:59 on are in time."""
Row = tuple[str, str, str, str]
"""What becomes of each of these. ``E59`` enters the slot of 11:59, ``S`` skips it, ``M`` has missed it; ``x3<39`` says
that it stands for three of them, the first of 11:39; ``-`` waits."""
WAITS: Row = ("-", "-", "-", "-")
LATEST: Row = ("E59", "E50", "E59x3<39", "E59x5<19")
LEFT_OUT: Row = ("S59", "S50", "S59x3<39", "S59x5<19")
IN_TIME: Row = ("E59", "M50", "M49x2<39 E59", "M49x4<19 E59")
IN_TURN: Row = ("E59", "E50", "E39", "M29x2<19 E39")
AT_ONCE: Row = ("E59", "E50", "E39 E49 E59", "M29x2<19 E39 E49 E59")
TABLE: Mapping[tuple[Misfire, Overlap], Mapping[str, Row]] = {
    (Misfire.LATEST, Overlap.WAIT): {
        "none": LATEST,
        "being made": WAITS,
        "made, being delivered": LATEST,
        "ended long ago": LATEST,
        "ended just now": LATEST,
    },
    (Misfire.LATEST, Overlap.SKIP): {
        "none": LATEST,
        "being made": LEFT_OUT,
        "made, being delivered": LATEST,
        "ended long ago": LATEST,
        "ended just now": LATEST,
    },
    (Misfire.LATEST, Overlap.BESIDE): {
        "none": LATEST,
        "being made": LATEST,
        "made, being delivered": LATEST,
        "ended long ago": LATEST,
        "ended just now": LATEST,
    },
    (Misfire.SKIP, Overlap.WAIT): {
        "none": IN_TIME,
        "being made": WAITS,
        "made, being delivered": IN_TIME,
        "ended long ago": IN_TIME,
        # What waited for the job before is not late because of that.
        "ended just now": ("E59", "E50", "M49x2<39 E59", "M49x4<19 E59"),
    },
    (Misfire.SKIP, Overlap.SKIP): {
        "none": IN_TIME,
        "being made": LEFT_OUT,
        "made, being delivered": IN_TIME,
        "ended long ago": IN_TIME,
        "ended just now": IN_TIME,
    },
    (Misfire.SKIP, Overlap.BESIDE): {
        "none": IN_TIME,
        "being made": IN_TIME,
        "made, being delivered": IN_TIME,
        "ended long ago": IN_TIME,
        "ended just now": IN_TIME,
    },
    (Misfire.ALL, Overlap.WAIT): {
        "none": IN_TURN,
        # Those that are too many are given up, whatever is being made.
        "being made": ("-", "-", "-", "M29x2<19"),
        "made, being delivered": IN_TURN,
        "ended long ago": IN_TURN,
        "ended just now": IN_TURN,
    },
    (Misfire.ALL, Overlap.SKIP): {
        "none": IN_TURN,
        # What is made up for is not left out: it has its turn. What comes in time is.
        "being made": ("S59", "-", "-", "M29x2<19"),
        "made, being delivered": IN_TURN,
        "ended long ago": IN_TURN,
        "ended just now": IN_TURN,
    },
    (Misfire.ALL, Overlap.BESIDE): {
        "none": AT_ONCE,
        "being made": AT_ONCE,
        "made, being delivered": AT_ONCE,
        "ended long ago": AT_ONCE,
        "ended just now": AT_ONCE,
    },
}


def slot_at(clock: str) -> Slot:
    return Slot(datetime.fromisoformat(f"2026-08-20T{clock}+00:00"), f"2026-08-20T{clock}")


def due_at(*clocks: str, keep: int = CATCH_UP + 1) -> Due:
    found = [slot_at(clock) for clock in clocks]
    return Due(len(found), found[0], tuple(found[-keep:]))


def schedule_by(misfire: Misfire, overlap: Overlap) -> Schedule:
    return Schedule(
        id="s",
        name="s",
        owner="ada",
        kind=ScheduleKind.EXPORT,
        template="t",
        timing=Timing(every="10 minutes", start=NOON - DAY),
        rules=ScheduleRules(misfire=misfire, overlap=overlap),
        sinks=None,
        folder=Path("/"),
        enabled=True,
        paused="",
        last=NOON - HOUR,
        next=NOON - HOUR,
        job=None,
        failures=0,
        increments=0,
        increment_until=None,
        created=NOON - DAY,
        changed=NOON - DAY,
    )


def told(misfire: Misfire, overlap: Overlap, before: Predecessor, due: Due) -> str:
    """What is decided, in the words of the table."""
    limits = ScheduleSettings(grace=GRACE, catch_up=CATCH_UP)
    decided = decide(schedule_by(misfire, overlap), due, before, now=NOON, settings=limits)
    if decided is None:
        return "-"
    steps, last = decided
    assert last == steps[-1].slot.moment
    for step in steps:
        assert (step.stands_for == 1) == (step.first == step.slot.moment)
    words = [
        f"{step.state[0].upper()}{step.slot.moment:%M}"
        + (f"x{step.stands_for}<{step.first:%M}" * (step.stands_for > 1))
        for step in steps
    ]
    return " ".join(words)


@pytest.mark.parametrize("rules", TABLE, ids=lambda rules: f"{rules[0]}, {rules[1]}")
def test_what_becomes_of_slots_is_by_the_table(rules: tuple[Misfire, Overlap]) -> None:
    assert len(TABLE) == len(Misfire) * len(Overlap)
    assert TABLE[rules].keys() == PREDECESSORS.keys()
    for before, row in TABLE[rules].items():
        for arrival, expected in zip(ARRIVALS, row, strict=True):
            found = told(*rules, PREDECESSORS[before], due_at(*ARRIVALS[arrival]))
            assert found == expected, f"{arrival}, the job before {before}"


@pytest.mark.parametrize(("clock", "state"), [("11:59:00", "entered"), ("11:58:59", "missed")])
def test_a_slot_is_missed_when_it_is_later_than_the_grace(clock: str, state: str) -> None:
    assert told(Misfire.SKIP, Overlap.SKIP, Predecessor(), due_at(clock)) == f"{state[0].upper()}{clock[3:5]}"


def test_what_waited_for_a_job_that_ended_long_ago_is_late() -> None:
    ended = Predecessor(ended=NOON - timedelta(seconds=61))
    assert told(Misfire.SKIP, Overlap.WAIT, ended, due_at("11:50:00")) == "M50"
    ended = Predecessor(ended=NOON - timedelta(seconds=60))
    assert told(Misfire.SKIP, Overlap.WAIT, ended, due_at("11:50:00")) == "E50"


def test_of_two_that_come_in_time_the_second_is_left_out_while_the_first_is_made() -> None:
    due = due_at("11:59:10", "11:59:40")
    assert told(Misfire.ALL, Overlap.SKIP, Predecessor(), due) == "E59 S59"
    assert told(Misfire.ALL, Overlap.WAIT, Predecessor(), due) == "E59"


# --- on a store ---


@attrs.define
class Clock:
    """What time it is, as the test says."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


@attrs.define
class House:
    """An engine of fakes with a clock, on a store.

    Args:
        url: Of the store.
        folder: Where everything is.
        rules: How schedules are kept to.
    """

    url: str
    folder: Path
    clock: Clock = attrs.field(factory=Clock)
    limits: ScheduleSettings = attrs.field(factory=ScheduleSettings)
    engines: list[Engine] = attrs.field(factory=list)

    @property
    def settings(self) -> Settings:
        return Settings(home=self.folder / "home", user="ada", store=StoreSettings(self.url), schedules=self.limits)

    def engine(self) -> Engine:
        """An engine; every time a new one."""
        source = MemorySource([memory_table("rows", {"word": ["pump"]})])
        plugins = [
            ("memory", source),
            ("lines", LinesFormat()),
            ("folder", FolderSink()),
            ("email", tailrace_sink_email),
        ]
        engine = Engine(self.settings, plugins=plugins, discover=False, clock=self.clock)
        self.engines.append(engine)
        return engine

    def firing(self) -> Firing:
        """What enters jobs; every time another one."""
        firing = self.engine().worker().firing
        assert firing is not None
        return firing

    def request(self) -> ExportRequest:
        sinks = (SinkRequest("folder", str(self.folder / "out")),)
        return ExportRequest("memory", "memory://", "lines", sinks=sinks, compress=False)

    def add(self, name: str = "often", every: str = "10 minutes", *, template: str = "words", **rules: Any) -> Schedule:
        """A schedule of ada's."""
        timing = read_timing(cron=None, every=every, zone="Europe/Berlin", now=self.clock())
        draft = ScheduleDraft(template, timing, rules=ScheduleRules(**rules))
        return self.engines[0].schedules.add(name, draft, user=ADA, folder=self.folder)

    def at(self, later: timedelta) -> Turn:
        """Let time pass, and look at the clock."""
        self.clock.now += later
        return self.firing().turn()

    def history(self, schedule: Schedule) -> list[SlotRecord]:
        """Its slots, the oldest first."""
        with self.engines[0].store.reading() as connection:
            return stored.history(connection, schedule.id, limit=10_000)[::-1]

    def states(self, schedule: Schedule) -> list[tuple[SlotState, int]]:
        return [(slot.state, slot.stands_for) for slot in self.history(schedule)]

    def moments(self, schedule: Schedule) -> list[datetime]:
        return [slot.moment for slot in self.history(schedule)]

    def standing(self, schedule: Schedule) -> Schedule:
        return self.engines[0].schedules.show(schedule.name, ADA)

    def job(self, slot: SlotRecord) -> ExportJob:
        assert slot.job is not None
        return self.engines[0].jobs.show(slot.job, ROOT)

    def rows(self, asked: sa.Select[Any]) -> list[Any]:
        with self.engines[0].store.reading() as connection:
            return list(connection.execute(asked).all())

    def change(self, statement: sa.Update | sa.Delete) -> None:
        """Do something to the tables that the engine would not."""
        with self.engines[0].store.writing() as connection:
            connection.execute(statement)

    def check(self) -> None:
        """What holds whatever happened: jobs and slots agree one to one, and the trail is whole."""
        asked_for = self.rows(sa.select(slots.c.job).where(slots.c.job.is_not(None)))
        there = self.rows(sa.select(jobs.c.id))
        assert sorted(row.job for row in asked_for) == sorted(row.id for row in there)
        assert self.engines[0].audit.verify(ROOT).ok


@pytest.fixture
def house(store_url: str, tmp_path: Path) -> Iterator[House]:
    house = House(store_url, tmp_path)
    engine = house.engine()
    engine.upgrade_store()
    engine.templates.save("words", house.request(), user=ADA)
    yield house
    for each in house.engines:
        each.store.close()


def test_each_slot_gets_its_job_when_it_is_due_and_not_before(house: House) -> None:
    schedule = house.add(overlap=Overlap.BESIDE)
    assert schedule.next == NOON + 10 * MINUTE
    assert house.at(timedelta()) == Turn(0, 600.0)
    assert house.at(10 * MINUTE - timedelta(microseconds=1)) == Turn(0, 1e-6)
    assert house.at(timedelta(microseconds=1)) == Turn(1, 600.0)
    assert house.at(timedelta(seconds=1)) == Turn(0, 599.0)
    (slot,) = house.history(schedule)
    assert (slot.moment, slot.name, slot.state, slot.stands_for, slot.by_hand) == (
        NOON + 10 * MINUTE,
        "2026-08-20T14:10+02:00",
        SlotState.ENTERED,
        1,
        False,
    )
    job = house.job(slot)
    assert (job.state, job.creator, job.schedule, job.template) == (JobState.PENDING, "ada", "often", "words")
    now = house.standing(schedule)
    assert (now.last, now.next, now.job) == (slot.moment, NOON + 20 * MINUTE, slot.job)
    house.check()


def test_three_days_down_are_one_job_that_stands_for_all_of_them(house: House) -> None:
    schedule = house.add()
    assert house.at(3 * DAY).entered == 1
    (slot,) = house.history(schedule)
    assert (slot.state, slot.stands_for) == (SlotState.ENTERED, 432)
    assert (slot.first, slot.moment) == (NOON + 10 * MINUTE, NOON + 3 * DAY)
    assert house.at(timedelta(seconds=5)).entered == 0
    house.check()


def test_three_days_down_are_left_out_where_the_schedule_says_so(house: House) -> None:
    schedule = house.add(misfire=Misfire.SKIP)
    # Between two slots, so that all of them are late.
    assert house.at(3 * DAY + 5 * MINUTE).entered == 0
    assert house.states(schedule) == [(SlotState.MISSED, 432)]
    assert house.at(5 * MINUTE).entered == 1
    assert house.states(schedule) == [(SlotState.MISSED, 432), (SlotState.ENTERED, 1)]
    (entry,) = house.rows(sa.select(audit).where(audit.c.operation == MISSED))
    assert (entry.outcome, entry.thing, entry.parameters["slots"]) == ("failed", "ada/often", 432)
    house.check()


def test_three_days_down_are_made_up_for_up_to_a_limit(house: House) -> None:
    beside = house.add("beside", misfire=Misfire.ALL, overlap=Overlap.BESIDE)
    waiting = house.add("waiting", misfire=Misfire.ALL)
    assert house.at(3 * DAY).entered == 101
    assert house.states(beside) == [(SlotState.MISSED, 332)] + [(SlotState.ENTERED, 1)] * 100
    newest = [NOON + 3 * DAY - number * 10 * MINUTE for number in range(100)][::-1]
    assert house.moments(beside)[1:] == newest
    for done in range(1, 4):
        assert house.states(waiting) == [(SlotState.MISSED, 332)] + [(SlotState.ENTERED, 1)] * done
        assert house.moments(waiting)[1:] == newest[:done]
        assert house.at(timedelta()).entered == 0
        finish(house, house.history(waiting)[-1])
        assert house.at(timedelta()).entered == 1
    house.check()


def finish(house: House, slot: SlotRecord) -> None:
    """Let the job of a slot be made."""
    values = {"state": JobState.COMPLETED, "progress": 100, "finished": house.clock()}
    house.change(sa.update(jobs).where(jobs.c.id == slot.job).values(values))


def test_while_the_job_before_is_made_a_slot_waits_or_is_left_out_or_runs_beside(house: House) -> None:
    made = {rule: house.add(rule.value, overlap=rule) for rule in Overlap}
    assert house.at(10 * MINUTE).entered == 3
    assert house.at(10 * MINUTE).entered == 1
    assert house.at(10 * MINUTE).entered == 1
    entered, skipped = (SlotState.ENTERED, 1), (SlotState.SKIPPED, 1)
    assert house.states(made[Overlap.WAIT]) == [entered]
    assert house.states(made[Overlap.SKIP]) == [entered, skipped, skipped]
    assert house.states(made[Overlap.BESIDE]) == [entered] * 3
    assert len(house.rows(sa.select(audit).where(audit.c.operation == SKIPPED))) == 2
    finish(house, house.history(made[Overlap.WAIT])[0])
    assert house.at(timedelta(seconds=1)).entered == 1
    assert house.states(made[Overlap.WAIT]) == [entered, (SlotState.ENTERED, 2)]
    house.check()


def test_a_clock_that_goes_an_hour_forward_and_back_doubles_and_misses_nothing(house: House) -> None:
    schedule = house.add(misfire=Misfire.ALL, overlap=Overlap.BESIDE)
    steps = [10, 60, -60, 5, 5, 30, -60, 20, 60, 10, -60, 60, 60, -60, 65]
    for minutes in steps:
        house.at(minutes * MINUTE)
    furthest = max(sum(steps[:count]) for count in range(1, len(steps) + 1))
    assert house.moments(schedule) == [NOON + number * 10 * MINUTE for number in range(1, furthest // 10 + 1)]
    assert set(house.states(schedule)) == {(SlotState.ENTERED, 1)}
    house.check()


def test_two_workers_at_one_moment_enter_each_slot_once(house: House) -> None:
    made = [house.add(f"s{number}", misfire=Misfire.ALL, overlap=Overlap.BESIDE) for number in range(5)]
    crew, begin, rounds = [house.firing() for _ in range(3)], threading.Barrier(3), 15
    turns, problems = Counter[int](), list[BaseException]()

    def work(number: int) -> None:
        try:
            for _ in range(rounds):
                if begin.wait(30) == 0:
                    house.clock.now += 10 * MINUTE
                begin.wait(30)
                turns[number] += crew[number].turn().entered
                begin.wait(30)
        except BaseException as error:
            problems.append(error)
            begin.abort()
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
    assert turns.total() == 5 * rounds
    for schedule in made:
        assert house.moments(schedule) == [NOON + number * 10 * MINUTE for number in range(1, rounds + 1)]
    house.check()


def test_a_slot_that_was_dealt_with_is_not_again_even_where_the_schedule_is_set_back_by_hand(house: House) -> None:
    schedule = house.add(misfire=Misfire.ALL, overlap=Overlap.BESIDE)
    house.at(HOUR)
    house.change(sa.update(schedules).values(last=NOON, next=NOON + 10 * MINUTE))
    assert house.at(10 * MINUTE).entered == 1
    assert house.moments(schedule) == [NOON + number * 10 * MINUTE for number in range(1, 8)]
    # Its newest job is still the one that came last.
    assert house.standing(schedule).job == house.history(schedule)[-1].job
    house.check()


# --- what cannot be done ---


def broken(house: House, name: str) -> str:
    """What bob's public template is done to, and what the failed jobs say of it."""
    template = templates.c.owner == "bob"
    if name == "private":
        house.engines[0].templates.edit("words", BOB, public=False)
        return "NotAllowedError"
    values = {"tampered": b"x" * 200, "cut": b"x", "empty": b""}
    house.change(sa.update(templates).where(template).values(sealed=values[name]))
    return "TamperedError"


@pytest.mark.parametrize("how", ["private", "tampered", "cut", "empty"])
def test_what_has_a_template_no_more_fails_and_tells_until_it_is_paused(house: House, how: str) -> None:
    house.engines[0].templates.save("words", house.request(), user=BOB, public=True)
    schedule = house.add(template="bob/words", most_failures=3, notify_failure=("ann@example.com",))
    whole = house.add("whole", overlap=Overlap.BESIDE)
    assert house.at(10 * MINUTE).entered == 2
    kind = broken(house, how)
    finish(house, house.history(schedule)[-1])
    for count in range(1, 4):
        assert house.standing(schedule).enabled
        assert house.at(10 * MINUTE).entered == 2
        slot = house.history(schedule)[-1]
        job = house.job(slot)
        assert job.error is not None
        assert (slot.outcome, job.state, job.error.kind) == ("failed", JobState.FAILED, kind)
        assert house.standing(schedule).failures == count
        said = house.rows(sa.select(messages.c.addressee).where(messages.c.job == job.id))
        # Admins, and whom the schedule names.
        assert sorted(row.addressee for row in said) == ["admins", "ann@example.com"]
    paused = house.standing(schedule)
    assert (paused.enabled, paused.next, paused.paused) == (False, None, "It failed 3 times in a row.")
    # From then on it has its peace; the other one goes on.
    assert house.at(HOUR).entered == 1
    assert len(house.history(schedule)) == 4
    assert house.history(whole)[-1].stands_for == 6
    house.check()


def test_of_many_slots_that_fail_only_as_many_do_as_pause_it(house: House) -> None:
    house.engines[0].templates.save("words", house.request(), user=BOB, public=True)
    schedule = house.add(template="bob/words", misfire=Misfire.ALL, overlap=Overlap.BESIDE, most_failures=3)
    broken(house, "private")
    assert house.at(DAY).entered == 3
    assert house.states(schedule) == [(SlotState.MISSED, 44)] + [(SlotState.ENTERED, 1)] * 3
    assert house.at(DAY) == Turn(0, None)
    # What came while it was paused is not made up for.
    house.engines[0].templates.edit("words", BOB, public=True)
    house.engines[0].schedules.resume("often", ADA)
    assert house.at(10 * MINUTE).entered == 1
    assert house.moments(schedule)[-1] == NOON + 2 * DAY + 10 * MINUTE
    house.check()


def test_a_template_that_a_schedule_needs_is_not_removed(house: House) -> None:
    schedule = house.add()
    with pytest.raises(RequestError, match="used by a schedule"):
        house.engines[0].templates.delete("words", ADA)
    assert house.at(10 * MINUTE).entered == 1
    assert house.job(house.history(schedule)[0]).state is JobState.PENDING
    house.engines[0].schedules.remove("often", ADA)
    house.engines[0].templates.delete("words", ADA)


def test_where_a_schedule_delivers_is_not_moved_to_another(house: House) -> None:
    first, second = house.add("first", most_failures=1), house.add("second")
    with house.engines[0].store.reading() as connection:
        found = stored.get(connection, second.id)
    assert found is not None
    house.change(sa.update(schedules).where(schedules.c.id == first.id).values(sealed=found.sealed))
    assert house.at(10 * MINUTE).entered == 2
    assert [house.history(one)[0].outcome for one in (first, second)] == ["failed", ""]
    assert not house.standing(first).enabled


# --- one that stops the others ---


def test_a_zone_that_this_machine_does_not_know_stops_no_other_schedule(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    strange, plain = house.add("strange"), house.add("plain", overlap=Overlap.BESIDE)
    timing = {"cron": "0 * * * *", "zone": "Mars/Olympus", "start": NOON.isoformat()}
    house.change(sa.update(schedules).where(schedules.c.id == strange.id).values(timing=timing))
    firing = house.firing()
    for count in range(1, 4):
        house.clock.now += 10 * MINUTE
        assert firing.turn().entered == 1
        assert len(house.history(plain)) == count
    assert house.history(strange) == []
    assert len([text for text in caplog.messages if "ada/strange cannot be dealt with" in text]) == 1


def test_one_that_cannot_be_entered_stops_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad, *good = (house.add(name) for name in ("bad", "good", "fine"))
    real = queue.enter

    def enter(connection: sa.Connection, job: queue.NewJob, **more: Any) -> ExportJob:
        if job.schedule == "bad":
            raise ZeroDivisionError
        return real(connection, job, **more)

    monkeypatch.setattr(queue, "enter", enter)
    assert house.at(10 * MINUTE).entered == 2
    assert [len(house.history(one)) for one in (bad, *good)] == [0, 1, 1]
    assert "ada/bad cannot be dealt with here: ZeroDivisionError" in caplog.text
    monkeypatch.undo()
    assert house.at(timedelta(seconds=1)).entered == 1
    assert house.history(bad)[0].moment == NOON + 10 * MINUTE
    house.check()


def test_more_than_a_hundred_that_wait_for_their_jobs_keep_nobody_from_its_turn(house: House) -> None:
    waiting = [house.add(f"w{number}", "2 minutes") for number in range(120)]
    assert house.at(2 * MINUTE).entered == 120
    last = house.add("last", "9 minutes")
    assert house.at(9 * MINUTE).entered == 1
    assert house.states(last) == [(SlotState.ENTERED, 1)]
    assert {len(house.history(one)) for one in waiting[::17]} == {1}
    house.check()


def test_what_somebody_else_has_at_that_moment_is_looked_at_again_soon(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.add()
    monkeypatch.setattr(stored, "hold", lambda *_given: False)
    assert house.at(10 * MINUTE) == Turn(0, 0.1)
    monkeypatch.undo()
    assert house.at(timedelta(seconds=0.1)) == Turn(1, 599.9)


def test_what_comes_while_others_are_entered_is_looked_at_next(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.add("first")
    house.add("second", "11 minutes")
    firing, real = house.firing(), stored.hold

    def hold(connection: sa.Connection, seen: Schedule) -> bool:
        house.clock.now += 2 * MINUTE
        return real(connection, seen)

    monkeypatch.setattr(stored, "hold", hold)
    house.clock.now += 10 * MINUTE
    assert firing.turn() == Turn(1, 0.0)
    monkeypatch.undo()
    assert firing.turn() == Turn(1, 480.0)


def test_a_job_that_somebody_asks_for_meanwhile_is_seen(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = house.add()
    firing, real = house.firing(), stored.hold

    def hold(connection: sa.Connection, seen: Schedule) -> bool:
        # As if it had come between the look and the lock.
        connection.execute(sa.update(schedules).values(job="00000000-0000-0000-0000-000000000000"))
        return real(connection, seen)

    monkeypatch.setattr(stored, "hold", hold)
    house.clock.now += 10 * MINUTE
    assert firing.turn().entered == 0
    assert house.history(schedule) == []


def test_a_job_by_hand_leaves_the_slots_as_they_are(house: House) -> None:
    schedule = house.add(overlap=Overlap.BESIDE)
    first = house.engines[0].schedules.run_now("often", ADA)
    second = house.engines[0].schedules.run_now("often", ADA)
    assert first.id != second.id
    assert house.at(10 * MINUTE).entered == 1
    assert [slot.by_hand for slot in house.history(schedule)] == [True, True, False]
    house.check()


# --- a process that dies in the middle ---

DYING = """
import os, sys
from datetime import datetime
from pathlib import Path

import tailrace.store.audit, tailrace.store.jobs, tailrace.store.schedules
from tailrace import Engine
from tailrace.settings import Settings, StoreSettings

url, home, now, where, nth = sys.argv[1:]
module, name = where.split(".")
module, left = getattr(tailrace.store, module), [int(nth)]
real = getattr(module, name)

def dies(*given, **named):
    result = real(*given, **named)
    left[0] -= 1
    if not left[0]:
        os._exit(9)
    return result

clock = lambda: datetime.fromisoformat(now)
engine = Engine(Settings(home=Path(home), store=StoreSettings(url)), discover=False, clock=clock)
firing = engine.worker().firing
setattr(module, name, dies)
print(firing.turn())
"""
POINTS = [
    ("schedules.hold", 1),
    ("schedules.enter_slot", 1),
    ("schedules.note_job", 2),
    ("jobs.enter", 1),
    ("audit.append_all", 1),
    ("schedules.advance", 3),
]


def test_whoever_dies_between_entering_and_committing_has_done_nothing(house: House) -> None:
    made = [house.add(f"s{number}", overlap=Overlap.BESIDE) for number in range(3)]
    house.clock.now += 10 * MINUTE
    for where, nth in POINTS:
        given = [house.url, str(house.folder / "home"), house.clock().isoformat(), where, str(nth)]
        done = subprocess.run([sys.executable, "-c", DYING, *given], capture_output=True, text=True, check=False)
        assert done.returncode == 9, (where, done.stdout, done.stderr)
        assert house.rows(sa.select(slots)) == []
        assert house.rows(sa.select(jobs.c.id)) == []
        assert {house.standing(one).next for one in made} == {house.clock()}
        house.check()
    assert house.at(timedelta()).entered == 3
    assert [house.states(one) for one in made] == [[(SlotState.ENTERED, 1)]] * 3
    house.check()


def test_jobs_of_one_moment_begin_at_times_that_chance_spreads_and_everybody_agrees_on(house: House) -> None:
    made = [house.add(f"s{number}", overlap=Overlap.BESIDE, jitter=300.0) for number in range(40)]
    house.at(10 * MINUTE)
    due = dict(house.rows(sa.select(jobs.c.schedule, jobs.c.due).select_from(jobs)))
    waits = [(moment - house.clock()).total_seconds() for moment in due.values()]
    assert all(0 <= wait < 300 for wait in waits)
    assert min(waits) < 60
    assert max(waits) > 240
    assert len(set(waits)) == len(made)


Change = Callable[[ScheduleDraft], ScheduleDraft]


def test_a_schedule_that_comes_to_its_end_is_due_no_more(house: House) -> None:
    schedule = house.add(misfire=Misfire.ALL, overlap=Overlap.BESIDE)
    change: Change = lambda draft: attrs.evolve(  # noqa: E731 - as callers write it
        draft, timing=attrs.evolve(draft.timing, until=NOON + 30 * MINUTE)
    )
    house.engines[0].schedules.edit("often", ADA, change)
    assert house.at(DAY) == Turn(2, None)
    assert house.moments(schedule) == [NOON + 10 * MINUTE, NOON + 20 * MINUTE]
    assert house.standing(schedule).next is None
    assert re.fullmatch("[0-9a-f-]{36}", house.standing(schedule).job or "")
    assert house.at(DAY) == Turn(0, None)
