"""Schedules and their slots in the store.

A slot is a schedule and a moment, and there is one row for it: whoever enters it first has it, whatever clocks and
other processes do. A schedule says up to where its slots are dealt with, and that only rises.

All functions work inside of the caller's transaction; those that change something need one for writing.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tailrace.model.convert import structure, unstructure
from tailrace.model.errors import AlreadyExistsError
from tailrace.model.manifest import PreviousFile
from tailrace.model.schedule import (
    Schedule,
    ScheduleKind,
    ScheduleRules,
    SlotOutcome,
    SlotRecord,
    SlotState,
)
from tailrace.model.states import JobState
from tailrace.model.timing import Timing
from tailrace.store.tables import jobs, schedules, slots, templates

_SHOWN = [
    column
    for column in schedules.c
    if column.name not in {"template", "sealed", "alarm", "delivered", "digest", "increment_files"}
]


@attrs.frozen
class _Settings:
    """What the column ``settings`` holds."""

    rules: ScheduleRules
    sinks: tuple[Mapping[str, Any], ...] | None


@attrs.frozen
class NewSchedule:
    """A schedule to be entered, or changed into.

    Args:
        schedule: The schedule.
        template: Id of its template.
        sealed: Where it delivers, sealed.
        alarm: Who else is told of failures, sealed.
    """

    schedule: Schedule
    template: str
    sealed: bytes = attrs.field(repr=False)
    alarm: bytes = attrs.field(repr=False)


@attrs.frozen
class DueSchedule:
    """A schedule that is due, with what is needed to enter its jobs.

    Args:
        schedule: The schedule.
        template: Id of its template.
        sealed: Where it delivers, sealed.
    """

    schedule: Schedule
    template: str
    sealed: bytes = attrs.field(repr=False)


@attrs.frozen
class Chain:
    """How far the increments of a schedule go.

    Args:
        count: How many there are.
        until: Up to when they go; None for none.
        files: The files of the newest.
    """

    count: int
    until: datetime | None
    files: tuple[PreviousFile, ...]


@attrs.frozen
class Delivered:
    """The data that everybody has.

    Args:
        moment: Of which slot.
        digest: What tells it from other.
        job: The job that made it; None where it was removed.
    """

    moment: datetime
    digest: str
    job: str | None


@attrs.frozen
class JobSlot:
    """The slot that a job belongs to, and what its schedule knows.

    Args:
        slot: The slot.
        schedule: Its schedule.
        chain: How far its increments go.
        delivered: The data that everybody has; None for none.
        alarm: Who else is told of failures, sealed.
    """

    slot: SlotRecord
    schedule: Schedule
    chain: Chain
    delivered: Delivered | None
    alarm: bytes = attrs.field(repr=False)


def add(connection: sa.Connection, new: NewSchedule) -> None:
    """Enter a schedule.

    Raises:
        AlreadyExistsError: Its owner has one of that name.
    """
    with _unique(new.schedule):
        connection.execute(sa.insert(schedules).values(_values(new)))


def change(connection: sa.Connection, new: NewSchedule) -> None:
    """Change a schedule, which is found by its id; where it stands stays.

    Raises:
        AlreadyExistsError: Its owner has another one of that name.
    """
    values = _values(new)
    for name in ("job", "failures", "increments", "increment_until"):
        del values[name]
    if not new.schedule.rules.skip_unchanged:
        # Nobody needs to keep what is not compared with any more.
        values |= {"delivered": None, "digest": None}
    with _unique(new.schedule):
        connection.execute(sa.update(schedules).where(schedules.c.id == new.schedule.id).values(values))


def resume(
    connection: sa.Connection, schedule: Schedule, *, last: datetime, following: datetime | None, now: datetime
) -> None:
    """Let a schedule run again: slots up to ``last`` are none of those that were missed, and ``following`` is next."""
    values = {"enabled": True, "paused": "", "failures": 0, "last": last, "next": following}
    own = schedules.c.id == schedule.id
    connection.execute(sa.update(schedules).where(own).values(**values, changed=now))


def pause(connection: sa.Connection, schedule: str, *, why: str = "", now: datetime) -> None:
    """Let a schedule run no more.

    Args:
        connection: For writing.
        schedule: Its id.
        why: Why, in a sentence; empty where somebody wishes so.
        now: What time it is.
    """
    values = {"enabled": False, "paused": why, "next": None, "changed": now}
    connection.execute(sa.update(schedules).where(schedules.c.id == schedule).values(values))


def remove(connection: sa.Connection, schedule: str) -> bool:
    """Remove a schedule and its history; False where it is not there."""
    return connection.execute(sa.delete(schedules).where(schedules.c.id == schedule)).rowcount == 1


def get(connection: sa.Connection, schedule: str, *, lock: bool = False) -> NewSchedule | None:
    """A schedule with what is sealed of it; None where there is none of that id.

    Args:
        connection: Any; for writing where it is to be locked until the end of the transaction.
        schedule: Its id.
        lock: Whether it is.
    """
    asked = _asked(schedules.c.id == schedule, more=[schedules.c.template.label("template_id"), *_SEALED])
    row = connection.execute(asked.with_for_update(of=schedules) if lock else asked).mappings().one_or_none()
    if row is None:
        return None
    return NewSchedule(_schedule(row), row["template_id"], row["sealed"], row["alarm"])


def of_owner(connection: sa.Connection, owner: str, name: str) -> Schedule | None:
    """The schedule that a user has under a name; None where there is none."""
    return next(_found(connection, schedules.c.owner == owner, schedules.c.name == name), None)


def listing(connection: sa.Connection, *, owner: str | None = None, template: str | None = None) -> list[Schedule]:
    """Schedules in the order of their names.

    Args:
        connection: Any.
        owner: Only those of this user.
        template: Only those of the template with this id.
    """
    conditions = [] if owner is None else [schedules.c.owner == owner]
    conditions += [] if template is None else [schedules.c.template == template]
    return list(_found(connection, *conditions))


def next_due(connection: sa.Connection, *, after: datetime) -> datetime | None:
    """When the first slot after a moment is due; None for none."""
    asked = sa.select(sa.func.min(schedules.c.next, type_=schedules.c.next.type)).where(schedules.c.next > after)
    found: datetime | None = connection.execute(asked).scalar()
    return found


def due(
    connection: sa.Connection, *, now: datetime, limit: int, behind: tuple[datetime, str] | None = None
) -> list[DueSchedule]:
    """Schedules that are due, the longest first.

    Args:
        connection: Any.
        now: What time it is.
        limit: How many at most.
        behind: Only those that come behind the one that was due then and has this id.
    """
    place = (schedules.c.next, schedules.c.id)
    further = () if behind is None else (sa.tuple_(*place) > sa.tuple_(*behind, types=[one.type for one in place]),)
    more = [schedules.c.template.label("template_id"), schedules.c.sealed]
    asked = _asked(schedules.c.next <= now, *further, more=more).order_by(*place)
    rows = connection.execute(asked.limit(limit)).mappings()
    return [DueSchedule(_schedule(row), row["template_id"], row["sealed"]) for row in rows]


def hold(connection: sa.Connection, seen: Schedule) -> bool:
    """Lock a schedule for this transaction, if it stands as it was seen; False where it does not any more.

    One that another transaction deals with at this moment is passed over.
    """
    as_seen = (
        schedules.c.id == seen.id,
        schedules.c.last == seen.last,
        schedules.c.next == seen.next,
        schedules.c.changed == seen.changed,
        # Somebody may have asked for a job by hand since.
        schedules.c.job.is_not_distinct_from(seen.job),
    )
    asked = sa.select(sa.literal(1)).where(*as_seen).with_for_update(skip_locked=True)
    return connection.execute(asked).first() is not None


def advance(connection: sa.Connection, schedule: str, *, last: datetime, following: datetime | None) -> None:
    """Note up to where the slots of a schedule are dealt with, and when the next one is due, unless it is paused."""
    # A job that fails as it is entered may have paused it in the same transaction.
    upcoming = sa.case((schedules.c.enabled, sa.literal(following, schedules.c.next.type)), else_=None)
    connection.execute(sa.update(schedules).where(schedules.c.id == schedule).values(last=last, next=upcoming))


def is_enabled(connection: sa.Connection, schedule: str) -> bool:
    """Whether a schedule runs; False where it is paused, or removed."""
    return bool(connection.execute(sa.select(schedules.c.enabled).where(schedules.c.id == schedule)).scalar())


def enter_slot(connection: sa.Connection, slot: SlotRecord) -> bool:
    """Enter a slot, unless it was entered before; whether it was not."""
    insert = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(slots)
    keys = ["schedule", "moment"]
    entered = insert.values(attrs.asdict(slot)).on_conflict_do_nothing(index_elements=keys)
    # Not by how many rows there were: of an INSERT on PostgreSQL, SQLAlchemy says -1.
    return connection.execute(entered.returning(slots.c.schedule)).first() is not None


def note_job(connection: sa.Connection, schedule: str, job: str) -> None:
    """Note the newest job that a schedule asked for."""
    connection.execute(sa.update(schedules).where(schedules.c.id == schedule).values(job=job))


def history(connection: sa.Connection, schedule: str, *, limit: int) -> list[SlotRecord]:
    """The slots of a schedule, the newest first."""
    asked = sa.select(slots).where(slots.c.schedule == schedule).order_by(slots.c.moment.desc()).limit(limit)
    return [_slot(row) for row in connection.execute(asked).mappings()]


def unmade(connection: sa.Connection, schedule: str) -> list[str]:
    """Jobs of a schedule whose files are not made yet."""
    # Written out, so that the index is used that is of open ones only: a schedule may have had millions of slots.
    is_open = sa.text("slots.outcome = '' AND slots.job IS NOT NULL")
    open_ones = (slots.c.schedule == schedule, is_open)
    still = (jobs.c.made.is_(None), jobs.c.state.in_([JobState.PENDING, JobState.PROCESSING]))
    asked = sa.select(jobs.c.id).join(slots, slots.c.job == jobs.c.id).where(*open_ones, *still)
    return list(connection.execute(asked).scalars())


def slot_of(connection: sa.Connection, job: str) -> JobSlot | None:
    """The slot that a job belongs to; None where there is none, or its schedule was removed."""
    more = [
        *(column.label(f"slot_{column.name}") for column in slots.c),
        schedules.c.alarm,
        schedules.c.delivered,
        schedules.c.digest,
        schedules.c.increment_files,
    ]
    past = slots.alias("past")
    made_it = (past.c.schedule == schedules.c.id, past.c.moment == schedules.c.delivered)
    delivering = sa.select(past.c.job).join(jobs, jobs.c.id == past.c.job).where(*made_it).scalar_subquery()
    more.append(delivering.label("delivering"))
    asked = _asked(slots.c.job == job, more=more).join(slots, slots.c.schedule == schedules.c.id)
    row = connection.execute(asked).mappings().one_or_none()
    if row is None:
        return None
    schedule = _schedule(row)
    files = structure(row["increment_files"] or [], tuple[PreviousFile, ...], what="The stored increment")
    return JobSlot(
        slot=_slot({column.name: row[f"slot_{column.name}"] for column in slots.c}),
        schedule=schedule,
        chain=Chain(schedule.increments, schedule.increment_until, files),
        delivered=None if row["digest"] is None else Delivered(row["delivered"], row["digest"], row["delivering"]),
        alarm=row["alarm"],
    )


def note_data(connection: sa.Connection, slot: SlotRecord, digest: str | None, *, unchanged: bool, note: str) -> None:
    """Note what tells the data of a slot from other, and whether it was the same as before."""
    mine = (slots.c.schedule == slot.schedule, slots.c.moment == slot.moment)
    values = {"digest": digest, "unchanged": unchanged, "note": note}
    connection.execute(sa.update(slots).where(*mine).values(values))


def lengthen(
    connection: sa.Connection, schedule: str, *, count: int, until: datetime, files: Sequence[PreviousFile]
) -> bool:
    """Note that an increment was made; False where there is another one of that number already.

    Args:
        connection: For writing.
        schedule: Id of the schedule.
        count: Its number.
        until: Up to when it goes.
        files: Its files.
    """
    mine = (schedules.c.id == schedule, schedules.c.increments == count - 1)
    values = {"increments": count, "increment_until": until, "increment_files": unstructure(list(files))}
    return connection.execute(sa.update(schedules).where(*mine).values(values)).rowcount == 1


def end_slot(
    connection: sa.Connection, slot: SlotRecord, outcome: SlotOutcome, *, note: str, in_vain: bool, now: datetime
) -> int | None:
    """Note how the job of a slot ended.

    Args:
        connection: For writing.
        slot: The slot.
        outcome: How.
        note: What is to be known about it.
        in_vain: Whether nobody got anything.
        now: What time it is.

    Returns:
        How many jobs of its schedule failed in a row by now.
    """
    mine = (slots.c.schedule == slot.schedule, slots.c.moment == slot.moment)
    values = {"outcome": outcome, "ended": now, "note": note}
    connection.execute(sa.update(slots).where(*mine).values(values))
    own = schedules.c.id == slot.schedule
    if outcome == "cancelled":
        return connection.execute(sa.select(schedules.c.failures).where(own)).scalar()
    changes: dict[str, Any] = {"failures": schedules.c.failures + 1 if in_vain else 0}
    counted = sa.update(schedules).where(own).values(changes).returning(schedules.c.failures)
    return connection.execute(counted).scalar()


def note_cancelled(connection: sa.Connection, job: str, *, now: datetime) -> None:
    """Note that a job was cancelled because its schedule was paused."""
    values = {"outcome": "cancelled", "ended": now, "note": "was cancelled: the schedule was paused."}
    connection.execute(sa.update(slots).where(slots.c.job == job).values(values))


def note_delivered(connection: sa.Connection, slot: SlotRecord) -> None:
    """Note that everybody has the data of a slot, by now: also where it is an older one that was tried again."""
    values = {"delivered": slot.moment, "digest": slot.digest}
    connection.execute(sa.update(schedules).where(schedules.c.id == slot.schedule).values(values))


def lapse(connection: sa.Connection, schedule: str) -> None:
    """Note that nobody can say any more what everybody has: something else is on its way to them."""
    values = {"delivered": None, "digest": None}
    connection.execute(sa.update(schedules).where(schedules.c.id == schedule).values(values))


def reopen(connection: sa.Connection, job: str) -> None:
    """Note that a job which had ended goes on; nothing where it has no slot."""
    values = {"outcome": "", "ended": None, "note": "", "unchanged": False}
    connection.execute(sa.update(slots).where(slots.c.job == job).values(values))


def forget(connection: sa.Connection, *, before: datetime) -> int:
    """Remove slots that were due before a moment and have come to their end; returns how many."""
    old = (slots.c.moment < before, sa.or_(slots.c.job.is_(None), slots.c.outcome != ""))
    return connection.execute(sa.delete(slots).where(*old)).rowcount


_SEALED = (schedules.c.sealed, schedules.c.alarm)


def _asked(*conditions: sa.ColumnElement[bool], more: Sequence[Any] = ()) -> sa.Select[Any]:
    names = (templates.c.name.label("template_name"), templates.c.owner.label("template_owner"))
    return (
        sa.select(*_SHOWN, *names, *more)
        .select_from(schedules)
        .join(templates, templates.c.id == schedules.c.template)
        .where(*conditions)
    )


def _found(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> Iterator[Schedule]:
    asked = _asked(*conditions).order_by(schedules.c.name, schedules.c.owner)
    for row in connection.execute(asked).mappings():
        yield _schedule(row)


def _schedule(row: Any) -> Schedule:
    values: dict[str, Any] = {column.name: row[column.name] for column in _SHOWN}
    settings = structure(values.pop("settings"), _Settings, what="The settings of a schedule")
    own = row["template_owner"] == row["owner"]
    return Schedule(
        **values
        | {
            "kind": ScheduleKind(row["kind"]),
            "template": row["template_name"] if own else f"{row['template_owner']}/{row['template_name']}",
            "timing": structure(row["timing"], Timing, what="The timing of a schedule"),
            "rules": settings.rules,
            "sinks": settings.sinks,
            "folder": Path(row["folder"]),
        }
    )


def _values(new: NewSchedule) -> dict[str, Any]:
    schedule = new.schedule
    values = {column.name: getattr(schedule, column.name) for column in _SHOWN if column.name != "settings"}
    return values | {
        "kind": schedule.kind.value,
        "template": new.template,
        "timing": unstructure(schedule.timing),
        "settings": unstructure(_Settings(schedule.rules, schedule.sinks)),
        "folder": str(schedule.folder),
        "sealed": new.sealed,
        "alarm": new.alarm,
    }


def _slot(row: Any) -> SlotRecord:
    return SlotRecord(**dict(row) | {"state": SlotState(row["state"])})


@contextmanager
def _unique(schedule: Schedule) -> Iterator[None]:
    # Asking first would not do: another process may enter the name in between.
    try:
        yield
    except sa.exc.IntegrityError:
        message = f"{schedule.owner} has a schedule {schedule.name!r} already."
        raise AlreadyExistsError(message, hint="Choose another name.") from None
