"""Telling people what became of exports: the one place that every end of a job in the background goes through.

Whoever ends a job has nothing but a transaction. In it, what is told in the application is written down, and what goes
by mail or webhook is entered as messages, which :mod:`tailrace.work.messages` sends: a job does not end without its
messages, and none is sent of an end that was not recorded. No key is needed for that: a message is entered with what
its target is sealed in, and opened by whoever sends it.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from tailrace.model.audit import AuditEntry
from tailrace.model.convert import StructureError, structure
from tailrace.model.delivery import Standing
from tailrace.model.manifest import Manifest
from tailrace.model.notify import NotifyOn
from tailrace.model.schedule import SlotOutcome
from tailrace.model.states import JobState
from tailrace.store import audit, deliveries, jobs, messages, notifications, schedules
from tailrace.store.schedules import JobSlot
from tailrace.work.announcing import About, alarm, announcement, sentence
from tailrace.work.wishes import UNSAID, Wishes, wishes_for

log = logging.getLogger(__name__)

SCHEDULE_FAILED: Final = "schedule.failed"
"""As which the audit trail has it that scheduled work did not come to its full end."""

_MOST_REASONS: Final = 5
ALARM: Final = "alarm"
"""The kind of thing that the addresses are sealed for that a schedule tells of failures, by the id of its owner."""

_OUTCOMES: Final[Mapping[JobState, SlotOutcome]] = {
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.PARTLY_DELIVERED: "partly delivered",
    JobState.CANCELLED: "cancelled",
}
_EVENTS: Final = {
    JobState.COMPLETED: NotifyOn.COMPLETED,
    JobState.FAILED: NotifyOn.FAILED,
    JobState.PARTLY_DELIVERED: NotifyOn.PARTLY_DELIVERED,
}


def tell(
    connection: sa.Connection, job: About, state: JobState, words: str, *, now: datetime, waited_for: bool = False
) -> None:
    """Tell whom it concerns how a job ended: its creator, as they wish; admins, where a schedule asked and it failed.

    Args:
        connection: For writing.
        job: The job.
        state: How it ended.
        words: The rest of the sentence that begins with ``Your export of … as …``.
        now: What time it is.
        waited_for: Whether whoever asked waited for it: then only those are told whom the request itself names.
    """
    wishes = _wishes(messages.asked(connection, job.id), job, waited_for=waited_for)
    event = _EVENTS.get(state)
    found = None if job.schedule is None else schedules.slot_of(connection, job.id)
    paused = found is not None and _end_slot(connection, found, state, words, now)
    if wishes.in_app(event):
        notifications.add(connection, job.creator, job.id, state.value, sentence(job, words), now=now)
    if event is None:
        return
    alarming = job.schedule is not None and event is not NotifyOn.COMPLETED
    meant = wishes.about(event)
    if not meant and not alarming:
        return
    files = [structure(one.manifest, Manifest) for one in deliveries.files_of(connection, job.id).values()]
    standing = deliveries.standing(connection, [job.id]).get(job.id, Standing())
    said = announcement(job, event, words, files=files, standing=standing, now=now)
    new = [
        messages.NewMessage(
            job=job.id,
            user=job.creator,
            channel=wish.channel,
            addressee=wish.target or "",
            sealed=wishes.sealed,
            kind=wishes.kind,
            number=number,
            announcement=said,
        )
        for number, wish in meant
    ]
    if alarming:
        reasons = "" if event is NotifyOn.FAILED else _why_undelivered(connection, job.id)
        said = alarm(job, event, words, files=files, standing=standing, paused=paused, reasons=reasons, now=now)
        new.append(messages.for_admins(job.id, job.creator, said))
        if found is not None:
            new += [
                messages.NewMessage(job.id, job.creator, messages.MAIL, address, found.alarm, ALARM, number, said)
                for number, address in enumerate(found.schedule.rules.notify_failure)
            ]
    messages.enter(connection, new, now=now)
    if alarming:
        entry = AuditEntry(
            user=job.creator,
            operation=SCHEDULE_FAILED,
            outcome="failed",
            job=job.id,
            thing=job.schedule or "",
            source=job.source,
            format=job.format,
            error=sentence(job, words),
            parameters={"paused": True} if paused else {},
        )
        audit.append(connection, entry, now=now)


def _end_slot(connection: sa.Connection, found: JobSlot, state: JobState, words: str, now: datetime) -> bool:
    """Note in the history of a schedule how a job of it ended; whether the schedule was paused because of it."""
    slot, schedule = found.slot, found.schedule
    note = slot.note if state is JobState.COMPLETED else words
    outcome: SlotOutcome = _OUTCOMES[state]
    reached = deliveries.standing(connection, [slot.job or ""]).get(slot.job or "", Standing())
    # Whoever gets nothing is not helped by its having been made.
    in_vain = state is JobState.FAILED or (state is JobState.PARTLY_DELIVERED and reached.delivered == 0)
    failures = schedules.end_slot(connection, slot, outcome, note=note, in_vain=in_vain, now=now)
    if state is JobState.COMPLETED and slot.digest is not None and not slot.unchanged:
        schedules.note_delivered(connection, slot)
    too_often = in_vain and 0 < schedule.rules.most_failures <= (failures or 0) and schedule.enabled
    if too_often:
        times = "" if failures == 1 else f" {failures} times in a row"
        schedules.pause(connection, schedule.id, why=f"It failed{times}.", now=now)
        for job in schedules.unmade(connection, schedule.id):
            # They would fail as well, and each would be told to everybody.
            if jobs.ask_to_cancel(connection, job, now=now) is JobState.PENDING:
                schedules.note_cancelled(connection, job, now=now)
    return too_often


def _why_undelivered(connection: sa.Connection, job: str) -> str:
    """Who did not get it and why, as far as a mail has room for; empty where everybody did."""
    failed = [row for row in deliveries.of_job(connection, job) if row.error and not row.delivered]
    said = [f"{row.addressee}: {row.error}" for row in failed[:_MOST_REASONS]]
    if len(failed) > _MOST_REASONS:
        said.append(f"and {len(failed) - _MOST_REASONS} more")
    return "; ".join(said)


def _wishes(asked: messages.Asked, job: About, *, waited_for: bool) -> Wishes:
    try:
        return wishes_for(asked.request, asked.sealed, asked.preferences, waited_for=waited_for)
    except StructureError as error:
        # A job has to come to its end even so.
        log.warning("who wishes to be told about job %s cannot be read: %s", job.id, error.message)
        return UNSAID
