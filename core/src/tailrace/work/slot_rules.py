"""The rules of misfire and overlap: what becomes of slots that are due, by what is known and by nothing else."""

from datetime import datetime, timedelta

import attrs

from tailrace.model.schedule import Misfire, Overlap, Schedule, SlotState
from tailrace.model.timing import Due, Slot
from tailrace.settings import ScheduleSettings

MOST_AT_ONCE = 200
"""Slots that are begun at once: of more, the others come right after."""


@attrs.frozen
class Step:
    """What becomes of one slot, or of several that one stands for.

    Args:
        state: What.
        slot: The slot.
        stands_for: For how many it stands, itself included.
        first: When the first of them was due.
    """

    state: SlotState
    slot: Slot
    stands_for: int
    first: datetime


@attrs.frozen
class Predecessor:
    """The newest job of a schedule.

    Args:
        making: Whether it waits to be made, or is being made.
        ended: When it ended; None where it has not, or there is none.
    """

    making: bool = False
    ended: datetime | None = None


def decide(
    schedule: Schedule, due: Due, before: Predecessor, *, now: datetime, settings: ScheduleSettings
) -> tuple[list[Step], datetime] | None:
    """Decide what becomes of the slots of a schedule that are due.

    Args:
        schedule: The schedule.
        due: Its slots that are, at least one.
        before: Its newest job.
        now: What time it is.
        settings: How schedules are kept to.

    Returns:
        What becomes of which, and up to where they are dealt with by that; None where all of them wait.
    """
    rules, newest, first = schedule.rules, due.latest[-1], due.latest[0] if due.first is None else due.first
    grace = timedelta(seconds=settings.grace)
    if rules.misfire is Misfire.ALL:
        return _each(due, before, rules.overlap, late=now - grace, most=settings.catch_up)
    if before.making and rules.overlap is Overlap.WAIT:
        return None
    if before.making and rules.overlap is Overlap.SKIP:
        return [Step(SlotState.SKIPPED, newest, due.count, first.moment)], newest.moment
    if rules.misfire is Misfire.LATEST:
        return [Step(SlotState.ENTERED, newest, due.count, first.moment)], newest.moment
    # It is not late that waited for the job before.
    waited = before.ended if rules.overlap is Overlap.WAIT and before.ended is not None else newest.moment
    if now - max(newest.moment, waited) > grace:
        return [Step(SlotState.MISSED, newest, due.count, first.moment)], newest.moment
    steps = [Step(SlotState.ENTERED, newest, 1, newest.moment)]
    if due.count > 1:
        steps.insert(0, Step(SlotState.MISSED, due.latest[-2], due.count - 1, first.moment))
    return steps, newest.moment


def _each(
    due: Due, before: Predecessor, overlap: Overlap, *, late: datetime, most: int
) -> tuple[list[Step], datetime] | None:
    """Begin every slot, the oldest first; those that are too many are missed."""
    slots, steps = list(due.latest), []
    if len(slots) > most:
        # One more is known of than are made up for: it stands for those that are given up.
        oldest = slots.pop(0)
        first = oldest if due.first is None else due.first
        steps.append(Step(SlotState.MISSED, oldest, due.count - len(slots), first.moment))
    making = before.making
    for slot in slots[:MOST_AT_ONCE]:
        if making and overlap is not Overlap.BESIDE:
            if overlap is Overlap.WAIT or slot.moment < late:
                break
            steps.append(Step(SlotState.SKIPPED, slot, 1, slot.moment))
            continue
        steps.append(Step(SlotState.ENTERED, slot, 1, slot.moment))
        making = True
    return (steps, steps[-1].slot.moment) if steps else None
